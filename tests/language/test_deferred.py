"""Models and tokenizers that become transformers' own when somebody wants those: the same answers before and after."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, PreTrainedModel

from saelib.language import embedded
from saelib.language.deferred import DeferredLanguageModel, DeferredTokenizer
from saelib.language.loading import load_language_model, load_tokenizer
from saelib.language.proof import MismatchError, OwnOutputs
from tests.helpers.small_models import save_small_model, small_model

TEXTS = ["ban ted <|endoftext|> sing", "", "  a\n\nb ", "héllo 漢字 🙂 don't  stop.", "x" * 3000]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_small_model(tmp_path / "model")


def test_tokens_and_texts_are_those_of_transformers() -> None:
    found = load_tokenizer("embedded")
    wanted = AutoTokenizer.from_pretrained(embedded.EMBEDDED_FOLDER)
    assert isinstance(found, DeferredTokenizer)
    ids = found(TEXTS, add_special_tokens=False, verbose=False)["input_ids"]
    assert ids == wanted(TEXTS, add_special_tokens=False, verbose=False)["input_ids"]
    assert found(TEXTS[0], add_special_tokens=False)["input_ids"] == ids[0]
    for row in (*ids, torch.tensor(ids[0])):
        for skip in (False, True):
            assert found.decode(row, skip_special_tokens=skip) == wanted.decode(row, skip_special_tokens=skip)
    assert found.backend_tokenizer.to_str() == wanted.backend_tokenizer.to_str()
    assert (found.eos_token_id, found.chat_template, len(found)) == (wanted.eos_token_id, None, len(wanted))
    assert "hugging_face" not in found.__dict__


def test_whatever_else_is_asked_transformers_answers(folder: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    assert isinstance(tokenizer, DeferredTokenizer)
    assert tokenizer("ban ted")["attention_mask"] == [1] * len(tokenizer("ban ted")["input_ids"])
    assert tokenizer.bos_token == "<|endoftext|>"
    tokenizer.save_pretrained(tmp_path / "again")
    assert AutoTokenizer.from_pretrained(tmp_path / "again")("ban")["input_ids"] == tokenizer("ban")["input_ids"]
    with pytest.raises(AttributeError, match="no_such_thing"):
        tokenizer.no_such_thing  # noqa: B018
    assert copy.deepcopy(tokenizer)("ban")["input_ids"] == tokenizer("ban")["input_ids"]


def test_what_stands_around_a_text_is_that_of_transformers(folder: Path) -> None:
    saved = AutoTokenizer.from_pretrained(folder)
    special = [("ban", saved.convert_tokens_to_ids("ban")), ("<|endoftext|>", 0)]
    template = TemplateProcessing(single="ban $A <|endoftext|>", pair="ban $A $B", special_tokens=special)
    saved.backend_tokenizer.post_processor = template
    saved.save_pretrained(folder)
    tokenizer = load_tokenizer(str(folder))
    assert isinstance(tokenizer, DeferredTokenizer)
    for text in TEXTS:
        for added in (True, False):
            assert tokenizer.encode(text, add_special_tokens=added) == saved.encode(text, add_special_tokens=added)
    assert tokenizer.encode("sing")[0] == special[0][1] and tokenizer.encode("sing")[-1] == 0
    for token in ("ban", "<|endoftext|>", "<gone>"):
        assert tokenizer.convert_tokens_to_ids(token) == saved.convert_tokens_to_ids(token)
    assert tokenizer.name_or_path == saved.name_or_path == str(folder)
    names = ("bos_token", "eos_token", "unk_token", "bos_token_id", "eos_token_id", "unk_token_id")
    assert [getattr(tokenizer, name) for name in names] == [getattr(saved, name) for name in names]
    assert "hugging_face" not in tokenizer.__dict__
    cut: dict[str, Any] = {"truncation": True, "max_length": 2}
    assert tokenizer.encode("sing", **cut) == saved.encode("sing", **cut)


def test_another_end_of_text_that_is_set_is_used(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    tokenizer.eos_token = "ban"
    assert tokenizer.eos_token_id == tokenizer.hugging_face.convert_tokens_to_ids("ban") != 0


def test_a_chat_template_that_is_set_is_used(folder: Path) -> None:
    tokenizer = load_tokenizer(str(folder))
    tokenizer.chat_template = "{% for message in messages %}<{{ message.content }}>{% endfor %}"
    seen = tokenizer.apply_chat_template([{"role": "user", "content": "ban"}], tokenize=False)
    assert seen == "<ban>"
    assert tokenizer.chat_template is not None


@pytest.mark.parametrize("change", ["template", "class", "field", "not special", "map", "added"])
def test_a_tokenizer_that_transformers_adds_to_is_left_to_it(folder: Path, change: str) -> None:
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    if change == "template":
        (folder / "chat_template.jinja").write_text("{{ messages }}")
    if change == "map":
        (folder / "special_tokens_map.json").write_text('{"eos_token": "ban"}')
    if change == "added":
        (folder / "added_tokens.json").write_text('{"<more>": 320}')
    if change == "class":
        settings["tokenizer_class"] = "GPTNeoXTokenizer"
    if change == "field":
        settings["additional_special_tokens"] = ["<more>"]
    if change == "not special":
        settings["eos_token"] = "ban"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(str(folder))
    assert not isinstance(tokenizer, DeferredTokenizer)
    assert load_language_model(str(folder), "cpu").logits(torch.zeros(1, 4, dtype=torch.long)).shape[-1] == 320


def test_both_models_share_their_weights(folder: Path, tokens: torch.Tensor) -> None:
    model = load_language_model(str(folder), "cpu")
    assert isinstance(model, DeferredLanguageModel)
    before = model.logits(tokens)
    plain = model.reader
    twin = model.hugging_face
    assert isinstance(twin, PreTrainedModel) and not isinstance(plain, PreTrainedModel)
    assert model.reader is twin
    assert torch.equal(model.logits(tokens), before)
    with torch.no_grad():
        for weight in twin.parameters():
            weight.mul_(0.5)
    assert torch.equal(plain(tokens).logits, twin(tokens).logits)
    assert not torch.equal(model.logits(tokens), before)
    assert not twin.training and twin.generation_config.eos_token_id == 0


def test_the_bridge_is_that_of_transformers(folder: Path, tokens: torch.Tensor) -> None:
    model = load_language_model(str(folder), "cpu")
    assert torch.allclose(model.bridge(tokens), model.logits(tokens), atol=1e-4)
    assert model.bridge is model.bridge
    assert model.bridge.tokenizer is not None


def test_a_model_that_is_not_its_equations_is_refused_by_name(
    folder: Path, tokens: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = torch.ones(3, 2, 16, 32), torch.zeros(2, 16, 320)
    monkeypatch.setattr("saelib.language.deferred.gpt_neox_outputs", lambda *_: OwnOutputs(*wrong))
    model = load_language_model(str(folder), "cpu")
    assert isinstance(model, DeferredLanguageModel)
    for way, what in (("reader", "its model in plain PyTorch"), ("hugging_face", "transformers' model of it")):
        with pytest.raises(MismatchError, match=f"language model {folder} is refused: {what}: .* of layer 0 is off"):
            getattr(model, way)


def test_what_ends_a_reply_is_read_as_by_transformers(folder: Path) -> None:
    for content in ({"eos_token_id": [0, 7]}, None):
        path = folder / "generation_config.json"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(json.dumps(content))
        model = load_language_model(str(folder), "cpu")
        assert isinstance(model, DeferredLanguageModel)
        plain = model.reader.generation_config.eos_token_id
        assert plain == model.hugging_face.generation_config.eos_token_id


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_what_is_damaged_is_left_to_transformers_to_name(folder: Path, name: str) -> None:
    (folder / name).write_text("{")
    with pytest.raises(ValueError, match=f"language model {folder} cannot be read"):
        load_language_model(str(folder), "cpu")


def test_other_weights_than_were_read_are_refused(folder: Path) -> None:
    model = load_language_model(str(folder), "cpu")
    small_model(seed=1).save_pretrained(folder)
    with pytest.raises(ValueError, match="holds other files than when it was loaded"):
        model.hugging_face  # noqa: B018
