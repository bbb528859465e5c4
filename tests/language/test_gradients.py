"""The differentiable rest of a model against the pass that records nothing, and its gradient against differences."""

import pytest
import torch

from saelib.language.gradients import logits_at
from saelib.language.model import LanguageModel
from tests.helpers.small_models import ARCHITECTURES, LAYERS, close

EVERY = list(ARCHITECTURES)  # one of them runs with hooks
STEP = 3e-2  # of a stream whose entries are about 1: float32 differences are good to a thousandth there


@pytest.fixture(scope="module")
def short(tokens: torch.Tensor) -> torch.Tensor:
    return tokens[:, :9]


def some_logit(model: LanguageModel, stream: torch.Tensor, layer: int, tokens: torch.Tensor) -> torch.Tensor:
    """A number of each row: one logit less another."""
    logits = logits_at(model, stream, layer, tokens, -2)
    return logits[:, 5] - logits[:, 9]


@pytest.mark.parametrize("architecture", EVERY)
def test_values_are_those_of_the_plain_pass(
    models: dict[str, LanguageModel], short: torch.Tensor, architecture: str
) -> None:
    model = models[architecture]
    places = torch.tensor([8, 0, 3])
    for layer, stream in enumerate(model.residual_streams(short, range(LAYERS))):
        plain = model.logits_from(stream, layer, short)
        assert close(logits_at(model, stream, layer, short), plain[:, -1])
        assert close(logits_at(model, stream, layer, short, 4), plain[:, 4])
        assert close(logits_at(model, stream, layer, short, places), plain[torch.arange(3), places])


@pytest.mark.parametrize("architecture", EVERY)
@pytest.mark.parametrize("layer", range(LAYERS))
def test_gradient_equals_finite_differences(
    models: dict[str, LanguageModel], short: torch.Tensor, architecture: str, layer: int
) -> None:
    model = models[architecture]
    stream = model.residual_streams(short, [layer])[0].requires_grad_()
    (gradient,) = torch.autograd.grad(some_logit(model, stream, layer, short).sum(), stream)
    assert not gradient[:, -1].any()  # a later position than the one that was asked for
    assert gradient[:, -2].any(-1).all()
    assert bool(gradient[:, :-2].any()) == (layer < LAYERS - 1)  # nothing looks back after the last layer
    direction = torch.nn.functional.normalize(gradient, dim=-1)  # where the difference is largest against rounding
    with torch.no_grad():
        ahead, behind = (some_logit(model, stream + way * STEP * direction, layer, short) for way in (1, -1))
    expected = (gradient * direction).sum((1, 2))
    assert ((ahead - behind) / (2 * STEP)).tolist() == pytest.approx(expected.tolist(), rel=0.01)


def test_nothing_is_recorded_where_nobody_asks(models: dict[str, LanguageModel], short: torch.Tensor) -> None:
    for model in models.values():
        stream = model.residual_streams(short, [0])[0]
        with torch.no_grad():
            assert not logits_at(model, stream, 0, short).requires_grad
        stream.requires_grad_()
        torch.autograd.grad(logits_at(model, stream, 0, short).sum(), stream)
        assert all(weight.grad is None for weight in model._model.parameters())


def test_rows_and_layers_that_do_not_fit_are_refused(models: dict[str, LanguageModel], short: torch.Tensor) -> None:
    model = models["gpt_neox"]
    stream = model.residual_streams(short, [0])[0]
    with pytest.raises(ValueError, match="choose from 0 to 2"):
        logits_at(model, stream, 3, short)
    with pytest.raises(ValueError, match="is not of token rows"):
        logits_at(model, stream, 0, short[:, 1:])
