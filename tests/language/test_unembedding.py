"""The unembedding with the final norm in it: TransformerLens's, and what a step along a direction does to logits."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.unembedding import final_norm, unembedding
from tests.helpers.small_models import D_MODEL, LAYERS, VOCABULARY, close


@pytest.mark.parametrize("name", ["gpt_neox", "gpt2", "llama", "qwen2"])
def test_it_is_that_of_the_folded_bridge(models: dict[str, LanguageModel], name: str) -> None:
    found = unembedding(models[name])
    assert found.shape == (D_MODEL, VOCABULARY)
    assert close(found, models[name].bridge.W_U.detach())


@pytest.mark.parametrize("name", ["gpt_neox", "gpt2", "llama", "qwen2", "olmo2"])
def test_a_small_step_along_a_direction_moves_the_logits_as_it_says(
    models: dict[str, LanguageModel], tokens: Tensor, name: str
) -> None:
    # With the length that the norm divides by held fixed, a step d moves the logits by U d / length. The length moves
    # too, unless d is at right angles to the stream.
    model = models[name]
    stream = model.residual_streams(tokens[:1], [LAYERS - 1])[0][:, :1]
    direction = torch.randn(D_MODEL)
    if model.is_centred:
        direction -= direction.mean()
    direction -= (direction @ stream.flatten()) / stream.square().sum() * stream.flatten()
    ends = [model.logits_from(stream + sign * 0.01 * direction, LAYERS - 1, tokens[:1, :1]) for sign in (1, -1)]
    moved = (ends[0] - ends[1]).flatten() / 0.02
    expected = direction @ unembedding(model) / stream.square().mean().sqrt()
    assert torch.allclose(moved, expected, rtol=0, atol=2e-3 * float(expected.abs().max()))


def test_the_embedded_model_needs_no_transformers_for_it() -> None:
    model = load_language_model("embedded", "cpu")
    found = unembedding(model)
    assert found.shape == (model.d_model, model.vocabulary)
    assert "hugging_face" not in vars(model)
    assert float(found.mean(1).abs().max()) < 1e-6
    assert float(found.mean(0).abs().max()) < 1e-6


def test_a_head_that_is_not_one_matrix_is_refused_by_name(
    models: dict[str, LanguageModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LanguageModel, "head", object())
    with pytest.raises(ValueError, match="GPT2LMHeadModel of .* has a head that is not one matrix"):
        unembedding(models["gpt2"])


def test_a_norm_that_does_something_else_is_refused_by_name(folders: dict) -> None:
    class OtherNorm(nn.Module):
        weight: Tensor

        def __init__(self, norm: Any) -> None:
            super().__init__()
            self.weight = norm.weight

        def forward(self, x: Tensor) -> Tensor:
            return torch.tanh(x) * self.weight

    model = load_language_model(str(folders["llama"]), device="cpu")
    model.hugging_face.model.norm = OtherNorm(model.hugging_face.model.norm)
    with pytest.raises(ValueError, match="final norm OtherNorm of .* is none that is known"):
        unembedding(model)


def test_a_norm_of_gemmas_kind_is_read_by_its_numbers(folders: dict) -> None:
    class GemmaNorm(nn.Module):
        weight: Tensor

        def __init__(self, norm: Any) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(norm.weight.detach() - 1), norm.variance_epsilon

        def forward(self, x: Tensor) -> Tensor:
            return x * (x.square().mean(-1, keepdim=True) + self.eps).rsqrt() * (1 + self.weight)

    model = load_language_model(str(folders["llama"]), device="cpu")
    before = unembedding(model)
    model.hugging_face.model.norm = GemmaNorm(model.hugging_face.model.norm)
    fresh = LanguageModel(model.name, model.revision, model.hugging_face, model.tokenizer)
    assert close(unembedding(fresh), before)


def test_a_model_without_a_norm_that_is_known_is_refused_by_name(folders: dict) -> None:
    model = load_language_model(str(folders["llama"]), device="cpu")
    model.hugging_face.model.norm = nn.Identity()
    with pytest.raises(ValueError, match="LlamaForCausalLM of .* has no final norm with a gain"):
        final_norm(model)
