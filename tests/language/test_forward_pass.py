"""Both ways through a model against each other and against Hugging Face's own forward pass."""

from pathlib import Path

import pytest
import torch

from saelib.language.forward_pass import BarePass, hook_name
from saelib.language.hooked_pass import HookedPass, layers_of
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from tests.helpers.small_models import ARCHITECTURES, D_MODEL, LAYERS, VOCABULARY, close, small_model

BARE = ["gpt_neox", "gpt2", "llama", "qwen2"]
EVERY = list(ARCHITECTURES)


def hugging_face(architecture: str, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual streams and logits of the model by Hugging Face's own forward pass and hooks on its layers."""
    model = small_model(architecture)
    streams: list[torch.Tensor] = []
    for layer in layers_of(model):
        layer.register_forward_hook(lambda module, inputs, output: streams.append(output))
    with torch.no_grad():
        logits = model(tokens).logits
    return torch.stack(streams), logits - logits.mean(-1, keepdim=True)


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


@pytest.mark.parametrize("architecture", EVERY)
def test_every_pass_equals_hooks_on_the_bridge(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    spliced = torch.randn(*tokens.shape, D_MODEL, generator=torch.Generator().manual_seed(0))
    _, cache = model.bridge.run_with_cache(tokens)
    assert close(model.logits(tokens), model.bridge(tokens))
    for layer in range(LAYERS):
        assert close(model.residual_streams(tokens, [layer])[0], cache[hook_name(layer)])
        hooks = [(hook_name(layer), lambda value, hook: spliced)]
        assert close(model.logits_from(spliced, layer, tokens), model.bridge.run_with_hooks(tokens, fwd_hooks=hooks))


@pytest.mark.parametrize("architecture", BARE)
def test_bare_pass_equals_hooks(models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str) -> None:
    model = models[architecture]
    slow = HookedPass(model.hugging_face, model.head, centred=model.is_centred)
    layers = [2, 0, 2]
    assert close(model.residual_streams(tokens, layers), slow.residual_streams(tokens, layers))
    assert close(model.logits(tokens), slow.logits(tokens))
    spliced = torch.randn(*tokens.shape, D_MODEL, generator=torch.Generator().manual_seed(0))
    for layer in range(LAYERS):
        assert close(model.logits_from(spliced, layer, tokens), slow.logits_from(spliced, layer, tokens))
        assert close(model.head_inputs_from(spliced, layer, tokens), slow.head_inputs_from(spliced, layer, tokens))


@pytest.mark.parametrize("architecture", EVERY)
def test_going_on_from_a_stream_gives_the_logits(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    streams = model.residual_streams(tokens, range(LAYERS))
    for layer in range(LAYERS):
        assert close(model.logits_from(streams[layer], layer, tokens), model.logits(tokens))


@pytest.mark.parametrize("architecture", ["gpt_neox", "gpt2"])
def test_a_constant_added_to_the_residual_changes_nothing(
    models: dict[str, LanguageModel], tokens: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    stream = model.residual_streams(tokens, [1])[0]
    assert close(model.logits_from(stream + 3.0, 1, tokens), model.logits_from(stream, 1, tokens))


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
    assert not streams.requires_grad and not model.logits_from(streams[0], 0, tokens).requires_grad
    weight = torch.ones(D_MODEL, requires_grad=True)
    (streams * weight).sum().backward()  # refused for tensors made under inference_mode
    assert weight.grad is not None and close(weight.grad, streams.sum((0, 1, 2)))


def test_the_pass_stops_after_the_deepest_layer(folders: dict[str, Path], tokens: torch.Tensor) -> None:
    model = load_language_model(str(folders["gpt_neox"]), "cpu")
    model.logits(tokens)  # the proof, which makes whole passes
    ran: list[str] = []
    for name, module in model._model.named_modules():
        module.register_forward_hook(lambda module, inputs, output, name=name: ran.append(name))
    model.residual_streams(tokens, [1, 0])
    assert {"gpt_neox.layers.0", "gpt_neox.layers.1"} <= set(ran)
    assert not {"gpt_neox.layers.2", "gpt_neox.final_layer_norm", "lm_head"} & set(ran)
    ran.clear()
    model.logits_from(torch.zeros(1, 4, D_MODEL), 1, tokens[:1, :4])
    assert "gpt_neox.layers.2" in ran and "gpt_neox.layers.1" not in ran


def test_rows_do_not_depend_on_the_batch(models: dict[str, LanguageModel], tokens: torch.Tensor) -> None:
    model = models["gpt_neox"]
    together = model.residual_streams(tokens, range(LAYERS))
    alone = torch.cat([model.residual_streams(tokens[row : row + 1], range(LAYERS)) for row in range(3)], dim=1)
    assert close(alone, together)
    assert torch.equal(model.residual_streams(tokens, [1])[0], together[1])
