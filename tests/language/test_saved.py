"""Which files of a folder are read, that its hash names them all, and what is refused by name."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from saelib.language.loading import load_language_model
from saelib.language.saved import hash_of_files, weight_files
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
    with pytest.raises(ValueError, match=r"model.safetensors.index.json names no shards"):
        load_language_model(str(folder), "cpu")
