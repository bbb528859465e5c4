"""Models from folders and from a hub cache; what is missing, damaged or not to be trusted is refused."""

import json
import socket
from pathlib import Path

import pytest
import torch

from saelib.language import embedded
from saelib.language.loading import load_language_model, load_tokenizer
from saelib.language.quiet import naming_model
from tests.helpers.small_models import COMMIT, LAYERS, cache_hub_model, random_rows, save_small_model, small_model

HUB_NAME = "EleutherAI/pythia-160m-deduped"


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every attempt to reach a host, none of which gets through."""
    seen: list[object] = []

    def refuse(*arguments: object, **options: object) -> None:
        seen.append(arguments)
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    return seen


def test_embedded_model_and_folders_never_reach_for_a_network(
    folders: dict[str, Path], attempts: list[object], monkeypatch: pytest.MonkeyPatch, tokens: torch.Tensor
) -> None:
    monkeypatch.setattr(embedded, "EMBEDDED_FOLDER", folders["gpt_neox"])
    model = load_language_model("embedded", "cpu")
    assert model.bridge.cfg.n_layers == LAYERS
    assert attempts == []
    assert model.name == "embedded"
    assert torch.equal(model.logits(tokens), load_language_model(str(folders["gpt_neox"]), "cpu").logits(tokens))


def test_a_tokenizer_comes_without_its_model(folders: dict[str, Path], hub: Path) -> None:
    cache_hub_model(hub, HUB_NAME)
    wanted = load_language_model(str(folders["gpt_neox"]), "cpu").tokenizer("ban ted")["input_ids"]
    for name in (str(folders["gpt_neox"]), HUB_NAME):
        assert load_tokenizer(name)("ban ted")["input_ids"] == wanted


def test_half_precision_on_disk_is_float32_in_memory(tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = save_small_model(tmp_path / "half")
    small_model().half().save_pretrained(folder)
    model = load_language_model(str(folder), "cpu")
    assert model.residual_streams(torch.zeros(1, 4, dtype=torch.long), [0]).dtype == torch.float32
    assert model.revision != load_language_model(str(folders["gpt_neox"]), "cpu").revision


def test_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"{tmp_path}/none does not exist"):
        load_language_model(str(tmp_path / "none"), "cpu")


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors", "tokenizer.json"])
def test_missing_files_are_named_with_the_remedy(tmp_path: Path, lost: str) -> None:
    folder = save_small_model(tmp_path)
    for path in folder.glob(lost.replace("tokenizer.", "tokenizer*.")):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{folder} lacks .*{Path(lost).suffix}.*save_pretrained"):
        load_language_model(str(folder), "cpu")


def test_missing_embedded_model_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "EMBEDDED_FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"python -m saelib\.language\.embedded\.train"):
        load_language_model("embedded", "cpu")


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    weights = save_small_model(tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match=f"{tmp_path} cannot be read"):
        load_language_model(str(tmp_path), "cpu")


def test_weights_that_lack_a_tensor_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = save_small_model(tmp_path) / "model.safetensors"
    tensors = load_file(weights)
    del tensors["gpt_neox.layers.1.mlp.dense_h_to_4h.weight"]
    save_file(tensors, weights, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=r"lacks 1 weights, gpt_neox\.layers\.1\.mlp\.dense_h_to_4h\.weight"):
        load_language_model(str(tmp_path), "cpu")


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"lacks \*\.safetensors"):
        load_language_model(str(folder), "cpu")


def test_code_in_a_folder_is_never_run(tmp_path: Path) -> None:
    folder = save_small_model(tmp_path)
    (folder / "own.py").write_text("raise SystemExit('code from a model folder was run')\n")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoModelForCausalLM": "own.Model", "AutoConfig": "own.Config"}
    (folder / "config.json").write_text(json.dumps(config))
    assert load_language_model(str(folder), "cpu").n_layers == LAYERS
    config["model_type"] = "own"
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="cannot be read"):
        load_language_model(str(folder), "cpu")


def test_a_folder_has_no_revision(folders: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="has no revision 'main'"):
        load_language_model(str(folders["gpt_neox"]), "cpu", revision="main")


def test_hub_model_has_the_commit_as_revision_and_a_bridge(hub: Path) -> None:
    cache_hub_model(hub, HUB_NAME)
    model = load_language_model(HUB_NAME, "cpu")
    assert (model.name, model.revision) == (HUB_NAME, COMMIT)
    assert load_language_model(HUB_NAME, "cpu", revision=COMMIT).revision == COMMIT
    tokens = torch.from_numpy(random_rows(2)).long()
    assert torch.allclose(model.bridge(tokens), model.logits(tokens), atol=1e-4)


def test_hub_model_that_is_not_cached_is_named(hub: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"language model {HUB_NAME}: no such folder.*hf download {HUB_NAME}"):
        load_language_model(HUB_NAME, "cpu")
    cache_hub_model(hub, HUB_NAME)
    with pytest.raises(FileNotFoundError, match="at revision step1000"):
        load_language_model(HUB_NAME, "cpu", revision="step1000")


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("of the GPU"), ImportError("a package")])
def test_what_is_no_fault_of_the_files_stays_what_it_is(error: Exception) -> None:
    with pytest.raises(type(error)), naming_model("somebody/model"):
        raise error


def test_what_a_library_raises_over_the_files_is_said_with_the_model() -> None:
    told = r"tokenizer of language model somebody/model cannot be read \(Exception: EOF at line 1\); save or download"
    with pytest.raises(ValueError, match=told), naming_model("somebody/model", "tokenizer of language model"):
        raise Exception("EOF\nat line 1")  # as tokenizers does
