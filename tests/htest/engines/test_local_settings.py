"""The local engine under settings: a first token, a chat template, several samples, short numbers; and its proofs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.asking.replies import Condition, make_replies, read_replies, write_replies
from saelib.htest.engines import local, padded_batches, shared_prefix
from saelib.htest.engines.decoding import decode, stop_tokens
from saelib.htest.engines.local import LocalEngine
from saelib.htest.respondents import LocalSettings, local_respondent, open_respondent, split_revision, untrained_twin
from saelib.htest.scoring.readings import readings_of
from saelib.language.model import LanguageModel
from tests.helpers.framed_tokenizers import BOS, END_OF_TURN, framed_tokenizer, random_model, save
from tests.helpers.made_items import letter_tokenizer, made_items
from tests.htest.asking.test_chat_templates import PREFIXED, THINKS, TURNS

ITEMS = made_items(7)
SHOTS = choose_shots(made_items(20, "dev"), 4)
COMPLETION = Condition(model="small", form="completion", k=4, max_tokens=3)
BLOOM = {"n_layer": 2, "n_head": 4}


@torch.inference_mode()
def chances(model: LanguageModel, text: str, answers: dict[str, str]) -> dict[str, float]:
    """Log-probability of each one-token answer after a text, which transformers tokenises with its special tokens."""
    tokenizer = model.tokenizer
    ids = (
        tokenizer(text)["input_ids"]
        if not text.startswith(BOS)
        else tokenizer(text, add_special_tokens=False)["input_ids"]
    )
    values = model.hugging_face.eval()(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
    whole = {name: tokenizer.encode(answer, add_special_tokens=False) for name, answer in answers.items()}
    assert all(len(found) == 1 for found in whole.values())
    return {name: float(values[found[0]]) for name, found in whole.items()}


@pytest.mark.parametrize(("architecture", "sizes"), [("llama", {}), ("bloom", BLOOM)])
def test_a_base_model_reads_the_first_token_that_its_tokenizer_writes(architecture: str, sizes: dict) -> None:
    model = random_model(framed_tokenizer(), architecture, **sizes)
    prompts = render(ITEMS, SHOTS, "completion")
    answers = LocalEngine(model)(ITEMS, prompts, replace(COMPLETION, first_token=BOS))
    without = LocalEngine(model)(ITEMS, prompts, COMPLETION)
    for prompt, answer, other in zip(prompts, answers, without, strict=True):
        wanted = chances(model, prompt.text, {"A": " A", "B": " B"})
        assert answer.log_probabilities == pytest.approx(wanted, abs=1e-4)
        assert other.log_probabilities != pytest.approx(wanted, abs=1e-3)
        assert answer.usage["input_tokens"] == other.usage["input_tokens"] + 1


def test_a_respondent_says_under_which_settings_its_prompts_are_read() -> None:
    model = random_model(framed_tokenizer())
    base = local_respondent(model, "mine")
    assert base.settings("completion", "Be good.") == {"first_token": BOS, "dtype": "float32"}
    assert base.settings("chat", "Be good.") == {"first_token": BOS, "dtype": "float32"}  # no template, no place for it
    assert (
        local_respondent(model, "mine", settings=LocalSettings(first_token="none")).settings("bare")["first_token"]
        == ""
    )
    model.tokenizer.chat_template = THINKS
    settings = LocalSettings(template_arguments={"enable_thinking": False})
    chat = local_respondent(model, "mine", settings=settings)
    assert json.loads(chat.settings("chat")["template_arguments"]) == {"enable_thinking": False}
    assert "first_token" not in chat.settings("chat", "Be good.")
    assert chat.settings("chat", "Be good.")["system"] == "Be good."
    assert chat.settings("completion", "Be good.") == {"first_token": BOS, "dtype": "float32"}


def test_an_argument_that_a_template_does_not_name_is_said_to_be_left_out() -> None:
    model = random_model(framed_tokenizer())
    model.tokenizer.chat_template = TURNS
    with pytest.warns(UserWarning, match="chat template of mine does not name enable_thinkin: left out"):
        found = local_respondent(model, "mine", settings=LocalSettings(template_arguments={"enable_thinkin": False}))
    assert found.settings("chat")["template_arguments"] == ""


@pytest.mark.parametrize(
    ("template", "arguments", "end", "letters"),
    [
        (TURNS, {}, "<assistant>\n", {"A": "A", "B": "B"}),
        (THINKS, {"enable_thinking": False}, "<assistant>\n<think>\n\n</think>\n\n", {"A": "A", "B": "B"}),
        (PREFIXED, {}, "<assistant>\nAnswer:", {"A": " A", "B": " B"}),
    ],
)
def test_a_chat_model_reads_its_template_and_the_text_is_kept(
    template: str, arguments: dict, end: str, letters: dict, tmp_path: Path
) -> None:
    model = random_model(framed_tokenizer())
    model.tokenizer.chat_template = template
    prompts = render(ITEMS, SHOTS, "chat")
    asked = replace(COMPLETION, form="chat", system="Be good.", template_arguments=json.dumps(arguments))
    answers = LocalEngine(model)(ITEMS, prompts, asked)
    for prompt, answer in zip(prompts, answers, strict=True):
        text = f"{BOS}<system>\nBe good.{END_OF_TURN}\n<user>\n{prompt.text}{END_OF_TURN}\n{end}"
        assert answer.rendered == text
        assert answer.log_probabilities == pytest.approx(chances(model, text, letters), abs=1e-4)
    replies = make_replies(ITEMS, prompts, asked, answers)
    write_replies(tmp_path / "replies.jsonl", replies)
    assert read_replies(tmp_path / "replies.jsonl") == replies
    assert [reply.rendered for reply in replies] == [answer.rendered for answer in answers]


@pytest.mark.parametrize(("arguments", "scored"), [("{}", False), ('{"enable_thinking": false}', True)])
def test_a_letter_within_thoughts_has_no_log_probability(arguments: str, scored: bool, tmp_path: Path) -> None:
    """A template that ends its prompt with `<think>` has the model go on with a thought, not with the answer."""
    model = random_model(framed_tokenizer())
    closed = r"{% if enable_thinking is defined and not enable_thinking %}\n</think>\n\n{% endif %}"
    model.tokenizer.chat_template = TURNS.replace("<assistant>\n", "<assistant>\n<think>\n" + closed)
    asked = replace(COMPLETION, form="chat", template_arguments=arguments)
    prompts = render(ITEMS, SHOTS, "chat")
    replies = make_replies(ITEMS, prompts, asked, LocalEngine(model)(ITEMS, prompts, asked))
    assert {reply.log_probabilities is not None for reply in replies} == {scored}
    readings = readings_of(replies)
    assert {*readings["scored"]} == {scored} and readings["margin"].notna().all() == scored
    assert readings["replied"].all()


def test_a_reply_ends_where_the_template_ends_the_assistants_turn_and_keeps_other_marks() -> None:
    model = random_model(framed_tokenizer())
    tokenizer = model.tokenizer
    end, mark = (tokenizer.convert_tokens_to_ids(token) for token in (END_OF_TURN, BOS))
    assert stop_tokens(model.hugging_face, tokenizer.eos_token_id, [end]) == tuple(
        sorted({tokenizer.eos_token_id, end})
    )
    stops = (tokenizer.eos_token_id, end)
    letter = tokenizer.encode("A", add_special_tokens=False)
    assert decode(tokenizer, [mark, *letter, end], stops) == f"{BOS}A"
    assert decode(tokenizer, [mark, *letter], stops) == f"{BOS}A"


@pytest.mark.parametrize(("architecture", "sizes"), [("llama", {}), ("bloom", BLOOM)])
def test_samples_of_an_item_differ_and_stand_next_to_each_other(architecture: str, sizes: dict, tmp_path: Path) -> None:
    model = random_model(letter_tokenizer(), architecture, **sizes)
    prompts = render(ITEMS, SHOTS, "completion")
    asked = replace(COMPLETION, temperature=1.0, samples=3, max_tokens=6)
    answers = LocalEngine(model)(ITEMS, prompts, asked)
    assert len(answers) == 3 * len(ITEMS)
    first = LocalEngine(model)(ITEMS, prompts, replace(asked, samples=1))
    assert [answer.reply for answer in answers[::3]] == [answer.reply for answer in first]
    assert all(len({answer.reply for answer in answers[place : place + 3]}) > 1 for place in range(0, len(answers), 3))
    replies = make_replies(ITEMS, prompts, asked, answers)
    assert [(reply.item, reply.sample) for reply in replies] == [(item, n) for item in ITEMS for n in range(3)]
    write_replies(tmp_path / "replies.jsonl", replies)
    assert read_replies(tmp_path / "replies.jsonl") == replies


def test_the_settings_of_earlier_runs_have_their_names_still() -> None:
    old = Condition(model="embedded", form="completion", k=4, max_tokens=1)
    assert old.name() == "embedded-completion-k4-ba9c3681"
    changes: dict[str, Any] = {"first_token": BOS, "system": "Be good.", "samples": 2, "template_arguments": '{"a": 1}',
                               "dtype": "bfloat16"}  # fmt: skip
    assert len({replace(old, **{name: value}).name() for name, value in changes.items()} | {old.name()}) == 6


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_model_in_short_numbers_answers_up_to_their_rounding(dtype: str, tmp_path: Path) -> None:
    folder = save(random_model(framed_tokenizer()), tmp_path / "model")
    prompts = render(ITEMS, SHOTS, "completion")
    found = {}
    for name in ("float32", dtype):
        respondent = open_respondent(str(folder), ITEMS, local=LocalSettings("cpu", dtype=name))
        asked = replace(COMPLETION, **respondent.settings("completion"))
        assert (asked.dtype, asked.first_token) == (name, BOS)
        assert isinstance(respondent.engine, LocalEngine)
        assert respondent.engine.language_model.hugging_face.dtype == getattr(torch, name)
        answers = respondent.engine(ITEMS, prompts, asked)
        found[name] = torch.tensor([list((answer.log_probabilities or {}).values()) for answer in answers])
    assert 0 < (found["float32"] - found[dtype]).abs().max() < 0.5


def test_a_device_map_spreads_a_model_by_accelerate(tmp_path: Path) -> None:
    folder = save(random_model(framed_tokenizer()), tmp_path / "model")
    mapped = open_respondent(str(folder), ITEMS, local=LocalSettings("cpu", device_map="auto"))
    plain = open_respondent(str(folder), ITEMS, local=LocalSettings("cpu"))
    prompts = render(ITEMS, SHOTS, "completion")
    both = [respondent.engine(ITEMS, prompts, COMPLETION) for respondent in (mapped, plain)]
    for one, other in zip(*both, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


def test_a_revision_is_that_of_hub_models(tmp_path: Path) -> None:
    assert split_revision("EleutherAI/pythia-70m@step1000", None) == ("EleutherAI/pythia-70m", "step1000")
    assert split_revision("EleutherAI/pythia-70m@step1000", "main") == ("EleutherAI/pythia-70m", "step1000")
    assert split_revision("EleutherAI/pythia-70m", "step7") == ("EleutherAI/pythia-70m", "step7")
    assert split_revision("embedded", "step7") == ("embedded", None)
    (tmp_path / "a@b").mkdir()
    assert split_revision(str(tmp_path / "a@b"), "step7") == (str(tmp_path / "a@b"), None)


def test_a_token_that_the_model_has_no_embedding_for_is_named() -> None:
    model = random_model(framed_tokenizer(), vocab_size=len(letter_tokenizer()))
    prompts = render(ITEMS, SHOTS, "completion")
    LocalEngine(model)(ITEMS, prompts, COMPLETION)
    with pytest.raises(ValueError, match=r"tokenizer of llama makes token 322 .* embeds 322 tokens: resize it"):
        LocalEngine(model)(ITEMS, prompts, replace(COMPLETION, first_token=BOS))


@pytest.mark.parametrize("broken", [shared_prefix, padded_batches])
def test_a_fast_way_that_is_not_proved_is_not_taken(broken, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(letter_tokenizer())
    prompts = render(ITEMS, SHOTS, "completion")
    wanted = LocalEngine(model)(ITEMS, prompts, COMPLETION)
    monkeypatch.setattr(local, "agrees", lambda *_: False)
    if broken is padded_batches:
        monkeypatch.setattr(padded_batches, "agrees", lambda *_: False)

        def alone(model, prompts, *rest, generate=padded_batches.generate):
            assert len(prompts) == 1
            return generate(model, prompts, *rest)

        monkeypatch.setattr(padded_batches, "generate", alone)
    monkeypatch.setattr(local, "ask_together", None)
    found = LocalEngine(model)(ITEMS, prompts, COMPLETION)
    assert [answer.reply for answer in found] == [answer.reply for answer in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-4)


@torch.inference_mode()
def test_a_packed_pass_that_differs_from_a_plain_one_is_seen() -> None:
    model = random_model(letter_tokenizer()).hugging_face
    prompts = [[5, 6, 7, 8, 9], [5, 6, 7, 20, 21, 22, 23]]
    assert shared_prefix.agrees(model, prompts)
    plain = model.forward

    def forgets_positions(*arguments, position_ids=None, **options):
        return plain(*arguments, **options)

    model.forward = forgets_positions
    assert not shared_prefix.agrees(model, prompts)


def test_the_twin_of_a_model_with_tied_weights_is_tied() -> None:
    model = random_model(letter_tokenizer(), tie_word_embeddings=True)
    twin = untrained_twin(model, 0).hugging_face
    assert twin.get_input_embeddings().weight is twin.get_output_embeddings().weight
    assert untrained_twin(model, 0).revision.startswith("random weights, seed 0")
