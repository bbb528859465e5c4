"""Loading from folders, both ways through a model against each other and against Hugging Face's own, errors."""

import json
import socket
from pathlib import Path

import pytest
import torch

from saelib.language import embedded
from saelib.language.corpus.load import tokenizer_hash
from saelib.language.forward_pass import PARTS, BarePass, BridgePass, hook_name
from saelib.language.model import LanguageModel, choose_device, load_language_model
from tests.helpers.small_models import CONTEXT, D_MODEL, LAYERS, VOCABULARY, random_rows, save_small_model, small_model

BARE = ["gpt_neox", "gpt2", "llama"]
EVERY = [*BARE, "qwen2"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save_small_model(tmp_path_factory.mktemp(name), name) for name in EVERY}


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, LanguageModel]:
    return {name: load_language_model(str(folder), device="cpu") for name, folder in folders.items()}


@pytest.fixture(scope="module")
def tokens() -> torch.Tensor:
    return torch.from_numpy(random_rows(3)).long()


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


def close(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Equal up to float32 rounding, measured against the size of the values."""
    return torch.allclose(first, second, rtol=0, atol=2e-6 * float(second.abs().max()))


def hugging_face(architecture: str, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual streams and logits of the model by Hugging Face's own forward pass and hooks on its layers."""
    model = small_model(architecture)
    streams: list[torch.Tensor] = []
    for layer in PARTS.get(type(model).__name__, PARTS["LlamaForCausalLM"])(model).layers:
        layer.register_forward_hook(lambda module, inputs, output: streams.append(output))
    with torch.no_grad():
        logits = model(tokens).logits
    return torch.stack(streams), logits - logits.mean(-1, keepdim=True)


def test_what_the_model_says_of_itself(models: dict[str, LanguageModel]) -> None:
    for name, model in models.items():
        assert (model.n_layers, model.d_model, model.n_ctx, model.vocabulary) == (LAYERS, D_MODEL, CONTEXT, VOCABULARY)
        assert model.parameters == sum(weight.numel() for weight in small_model(name).parameters())
        assert model.device == torch.device("cpu")


def test_which_architectures_run_bare(models: dict[str, LanguageModel]) -> None:
    assert {name for name, model in models.items() if isinstance(model._pass, BarePass)} == set(BARE)
    assert "bridge" not in load_language_model(models["gpt_neox"].name, "cpu").__dict__  # no second copy unless asked


@pytest.mark.parametrize("architecture", EVERY)
def test_streams_and_logits_equal_hugging_face(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    streams, logits = hugging_face(architecture, tokens)
    if architecture in ("gpt_neox", "gpt2"):  # LayerNorm; an RMSNorm does not ignore the mean, so nothing is centred
        streams -= streams.mean(-1, keepdim=True)
    assert close(models[architecture].residual_streams(tokens, range(LAYERS)), streams)
    assert close(models[architecture].logits(tokens), logits)


@pytest.mark.parametrize("architecture", BARE)
def test_bare_pass_equals_bridge_pass(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    slow = BridgePass(model.bridge)
    layers = [2, 0, 2]
    assert close(model.residual_streams(tokens, layers), slow.residual_streams(tokens, layers))
    assert close(model.logits(tokens), slow.logits(tokens))
    spliced = torch.randn(*tokens.shape, D_MODEL, generator=torch.Generator().manual_seed(0))
    for layer in range(LAYERS):
        assert close(model.logits_from(spliced, layer), slow.logits_from(spliced, layer))


@pytest.mark.parametrize("architecture", EVERY)
def test_going_on_from_a_stream_gives_the_logits(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    streams = model.residual_streams(tokens, range(LAYERS))
    for layer in range(LAYERS):
        assert close(model.logits_from(streams[layer], layer), model.logits(tokens))


@pytest.mark.parametrize("architecture", ["gpt_neox", "gpt2"])
def test_a_constant_added_to_the_residual_changes_nothing(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    stream = model.residual_streams(tokens, [1])[0]
    assert close(model.logits_from(stream + 3.0, 1), model.logits_from(stream, 1))


@pytest.mark.parametrize("architecture", EVERY)
def test_no_position_sees_later_tokens(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    changed = tokens.clone()
    changed[:, 40:] = (changed[:, 40:] + 1) % VOCABULARY
    before, after = model.logits(tokens), model.logits(changed)
    assert close(after[:, :40], before[:, :40])
    assert not close(after[:, 40:], before[:, 40:])


@pytest.mark.parametrize("architecture", EVERY)
def test_results_can_be_trained_on(models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str) -> None:
    model = models[architecture]
    streams = model.residual_streams(tokens, [0])
    assert not streams.requires_grad and not model.logits_from(streams[0], 0).requires_grad
    weight = torch.ones(D_MODEL, requires_grad=True)
    (streams * weight).sum().backward()  # refused for tensors made under inference_mode
    assert weight.grad is not None and close(weight.grad, streams.sum((0, 1, 2)))


def test_the_pass_stops_after_the_deepest_layer(folders: dict[str, Path], tokens: torch.Tensor) -> None:
    model = load_language_model(str(folders["gpt_neox"]), "cpu")
    ran: list[str] = []
    for name, module in model._model.named_modules():
        module.register_forward_hook(lambda module, inputs, output, name=name: ran.append(name))
    model.residual_streams(tokens, [1, 0])
    assert {"gpt_neox.layers.0", "gpt_neox.layers.1"} <= set(ran)
    assert not {"gpt_neox.layers.2", "gpt_neox.final_layer_norm", "lm_head"} & set(ran)
    ran.clear()
    model.logits_from(torch.zeros(1, 4, D_MODEL), 1)
    assert "gpt_neox.layers.2" in ran and "gpt_neox.layers.1" not in ran


def test_rows_do_not_depend_on_the_batch(models: dict[str, LanguageModel], tokens: torch.Tensor) -> None:
    model = models["gpt_neox"]
    together = model.residual_streams(tokens, range(LAYERS))
    alone = torch.cat([model.residual_streams(tokens[row : row + 1], range(LAYERS)) for row in range(3)], dim=1)
    assert close(alone, together)
    assert torch.equal(model.residual_streams(tokens, [1])[0], together[1])


def test_bridge_is_folded_and_leaves_the_model_alone(models: dict[str, LanguageModel], tokens: torch.Tensor) -> None:
    model = models["gpt_neox"]
    before, hashed = model.logits(tokens), tokenizer_hash(model.tokenizer)
    _, cache = model.bridge.run_with_cache(tokens, names_filter=hook_name(1))
    assert close(cache[hook_name(1)], model.residual_streams(tokens, [1])[0])
    assert cache[hook_name(1)].mean(-1).abs().max() < 1e-5
    assert torch.equal(model.logits(tokens), before)
    assert tokenizer_hash(model.tokenizer) == hashed
    ids = model.tokenizer("ban ted")["input_ids"]
    assert model.bridge.to_tokens("ban ted", prepend_bos=False).tolist() == [ids]
    assert model.bridge.to_tokens("ban ted", prepend_bos=True).tolist() == [[0, *ids]]


def test_embedded_model_and_folders_never_reach_for_a_network(
    folders: dict[str, Path], attempts: list[object], monkeypatch: pytest.MonkeyPatch, tokens: torch.Tensor
) -> None:
    monkeypatch.setattr(embedded, "EMBEDDED_FOLDER", folders["gpt_neox"])
    model = load_language_model("embedded", "cpu")
    assert model.bridge.cfg.n_layers == LAYERS
    assert attempts == []
    assert model.name == "embedded"
    assert torch.equal(model.logits(tokens), load_language_model(str(folders["gpt_neox"]), "cpu").logits(tokens))


def test_half_precision_on_disk_is_float32_in_memory(tmp_path: Path, folders: dict[str, Path]) -> None:
    folder = save_small_model(tmp_path / "half")
    small_model().half().save_pretrained(folder)
    model = load_language_model(str(folder), "cpu")
    assert model.residual_streams(torch.zeros(1, 4, dtype=torch.long), [0]).dtype == torch.float32
    assert model.revision != load_language_model(str(folders["gpt_neox"]), "cpu").revision


@pytest.mark.parametrize("layers", [[3], [-1], []])
def test_absent_layers_are_refused(models: dict[str, LanguageModel], tokens: torch.Tensor, layers: list[int]) -> None:
    with pytest.raises(ValueError, match="choose from 0 to 2"):
        models["gpt_neox"].residual_streams(tokens, layers)


def test_rows_longer_than_the_context_are_refused(models: dict[str, LanguageModel]) -> None:
    with pytest.raises(ValueError, match=f"{CONTEXT + 1} tokens exceed the context of .*, {CONTEXT}"):
        models["gpt_neox"].logits(torch.zeros(1, CONTEXT + 1, dtype=torch.long))


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
    with pytest.raises(FileNotFoundError, match=r"python -m embedded\.train"):
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


def test_device_is_chosen_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("auto") == torch.device("cuda")
    assert choose_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto") == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    for absent in ("cuda", "cuda:0", "gpu"):
        with pytest.raises(ValueError, match=f"{absent!r} is not on this machine; choose one of auto, cpu"):
            choose_device(absent)
