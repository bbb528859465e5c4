"""Which files of a folder are read, that its hash names them all, and what is refused by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saelib.language import embedded
from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.language.loading import load_language_model
from saelib.language.saved import hash_of_files, remedy_of, weight_files
from saelib.run.reading import DamagedFileError
from tests.helpers.small_models import random_rows, save_small_model, small_model

TOKENS = torch.from_numpy(random_rows(1)).long()


def edit_config(folder: Path, **changes: object) -> None:
    content = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_shards_are_read_as_one(tmp_path: Path, architecture: str) -> None:
    whole = save_small_model(tmp_path / "whole", architecture)
    sharded = tmp_path / "sharded"
    shutil.copytree(whole, sharded)
    (sharded / "model.safetensors").unlink()
    small_model(architecture).save_pretrained(sharded, max_shard_size="40KB")
    shards = weight_files(sharded)
    assert len(shards) > 1
    first, second = (load_language_model(str(folder), "cpu") for folder in (whole, sharded))
    assert torch.equal(first.logits(TOKENS), second.logits(TOKENS))
    shards[1].unlink()
    with pytest.raises(FileNotFoundError, match=f"lacks {shards[1].name}"):
        load_language_model(str(sharded), "cpu")


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
def test_safetensors_that_are_not_read_change_nothing(tmp_path: Path, architecture: str) -> None:
    folder = save_small_model(tmp_path, architecture)
    before = load_language_model(str(folder), "cpu")
    save_file({"something.else": torch.ones(2)}, folder / "consolidated.safetensors")
    after = load_language_model(str(folder), "cpu")
    assert before.revision == after.revision
    assert torch.equal(before.logits(TOKENS), after.logits(TOKENS))


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
             "chat_template.jinja", "special_tokens_map.json", "additional_chat_templates/tools.jinja"]
)  # fmt: skip
def test_every_file_that_decides_is_in_the_hash(tmp_path: Path, name: str) -> None:
    folder = save_small_model(tmp_path)
    (folder / "README.md").write_text("not read")
    before = hash_of_files(folder)
    (folder / "README.md").write_text("not read either")
    assert hash_of_files(folder) == before
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes((path.read_bytes() if path.is_file() else b"") + b" ")
    assert hash_of_files(folder) != before


def test_an_adapter_is_refused_by_name(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path)
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ValueError, match="holds an adapter .* merge it into its base first"):
        load_language_model(str(folder), "cpu")


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"quantization_config": {"quant_method": "fp8"}}, r"has quantized weights \(fp8\); take its float16"),
        ({"is_encoder_decoder": True}, "has an encoder and a decoder"),
        ({"architectures": ["BertForMaskedLM"]}, "is a BertForMaskedLM; take a causal"),
        ({"architectures": ["LlamaForSequenceClassification"]}, "is a LlamaForSequenceClassification"),
    ],
)
def test_other_kinds_of_models_are_refused(
    tmp_path: Path, architecture: str, changes: dict[str, object], told: str
) -> None:
    edit_config(save_small_model(tmp_path, architecture), **changes)
    with pytest.raises(ValueError, match=told):
        load_language_model(str(tmp_path), "cpu")


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(tmp_path: Path, architecture: str, value: float) -> None:
    path = save_small_model(tmp_path, architecture) / "model.safetensors"
    tensors = load_file(path)
    name = next(name for name in tensors if "layers.1." in name and tensors[name].ndim == 2)
    tensors[name][0, :3] = value
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=rf"3 numbers of .*{name.split('layers')[1]} are NaN or infinite"):
        load_language_model(str(tmp_path), "cpu")


def test_a_damaged_index_is_named(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text('{"metadata": {}}')
    with pytest.raises(DamagedFileError, match=r"index\.json is not what it should be .*; save or download the model"):
        load_language_model(str(folder), "cpu")


@pytest.mark.parametrize("shard", ["../elsewhere.safetensors", "/etc/passwd", "a/b.safetensors", 3, ["a"]])
def test_a_shard_elsewhere_is_refused(tmp_path: Path, shard: object) -> None:
    folder = save_small_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(DamagedFileError, match=r"model\.safetensors\.index\.json is not what it should be"):
        load_language_model(str(folder), "cpu")


def damaged(content: bytes) -> dict[str, bytes]:
    half = len(content) // 2
    return {
        "empty": b"",
        "cut": content[:half],
        "half zero": content[:half] + bytes(len(content) - half),
        "no UTF-8": content[:half] + b"\xff\xfe" + content[half + 2 :],
        "a list": b"[]",
        "a number": b"3",
        "null": b"null",
    }


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("damage", damaged(b""))
def test_a_damaged_file_is_said_with_the_folder_and_the_remedy(
    tmp_path: Path, architecture: str, name: str, damage: str
) -> None:
    """Weights of other values are no damage that a folder of somebody else shows; a run notes its hash."""
    if name == "model.safetensors" and damage in ("half zero", "no UTF-8"):
        return
    path = save_small_model(tmp_path, architecture) / name
    path.write_bytes(damaged(path.read_bytes())[damage])
    with pytest.raises(
        ValueError, match=f"language model {tmp_path}.*(; save or download it again|place of an object)"
    ):
        load_language_model(str(tmp_path), "cpu")


@pytest.mark.parametrize("architecture", ["gpt_neox", "llama"])
@pytest.mark.parametrize(
    "change",
    [
        {"hidden_size": "wide"},
        {"hidden_size": -1},
        {"num_hidden_layers": None},
        {"num_attention_heads": 0},
        {"architectures": 3},
        {"architectures": [3], "vocab_size": [1]},
        {"model_type": ["llama"]},
        {"hidden_act": "nothing"},
        {"tie_word_embeddings": "yes"},
    ],
)
def test_a_config_with_values_of_the_wrong_type_is_said_with_the_folder(
    tmp_path: Path, architecture: str, change: dict[str, object]
) -> None:
    edit_config(save_small_model(tmp_path, architecture), **change)
    if change == {"architectures": 3}:  # which names the class for other programs
        assert load_language_model(str(tmp_path), "cpu").n_layers
        return
    with pytest.raises(ValueError, match=f"language model {tmp_path}.*; save or download it again"):
        load_language_model(str(tmp_path), "cpu")


def test_the_embedded_model_comes_back_by_git() -> None:
    assert "git checkout saelib/language/embedded/model" in remedy_of(EMBEDDED_FOLDER)
    assert remedy_of("elsewhere") == "save or download it again"


def test_the_embedded_model_is_what_its_record_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit of a weight changes no name and no shape; in another folder the model is somebody's own."""
    shutil.copytree(EMBEDDED_FOLDER, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    assert load_language_model(str(tmp_path / "model"), "cpu").n_layers
    monkeypatch.setattr(embedded, "EMBEDDED_FOLDER", tmp_path / "model")
    with pytest.raises(
        DamagedFileError, match=r"model\.safetensors is not what training\.json .*; restore it with `git"
    ):
        load_language_model("embedded", "cpu")
