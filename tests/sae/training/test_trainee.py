"""Every step is Adam on the class docstring's loss, as float64 autograd has it; states go from one step to another."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.training import sparse_step
from saelib.sae.training.cuda_step import CudaTrainee
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.sparse_step import SparseTrainee
from saelib.sae.training.tiled_step import TiledTrainee
from saelib.sae.training.trainee import METRICS, Trainee, new_trainee
from saelib.sae.training.workspace import Workspace
from tests.helpers.small_world import toy_config

PLAN = SaePlan("scratch", 0, 0, 0, 1e-2)
KINDS = (SparseTrainee, TiledTrainee, CudaTrainee)
D_MODEL, D_SAE = 16, 48


def make(kind: Callable[..., Trainee], seed: int = 0, bias: float = 0.0, **changes: object) -> Trainee:
    sae = random_sae(D_MODEL, D_SAE, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        sae.b_enc.add_(bias)
    return kind(PLAN, sae, toy_config(**changes))


class PlainTraining:
    """The same training by autograd and `torch.optim.Adam`, in float64."""

    def __init__(self, sae: SparseAutoencoder, betas: tuple[float, float]) -> None:
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(weight.detach().double().clone()) for name, weight in sae.named_parameters()}
        )
        self.adam = torch.optim.Adam(self.weights.parameters(), lr=1e-2, betas=betas, foreach=False)

    def step(self, x: torch.Tensor, l1_coefficient: float, clip: float) -> list[float]:
        weights, x = self.weights, x.double()
        features = torch.relu(x @ weights["W_enc"] + weights["b_enc"])
        mse = (features @ weights["W_dec"] + weights["b_dec"] - x).square().sum(1).mean()
        l1 = (features * weights["W_dec"].norm(dim=1)).sum(1).mean()
        self.adam.zero_grad()
        (mse + l1_coefficient * l1).backward()
        norm = nn.utils.clip_grad_norm_(self.weights.parameters(), clip)
        self.adam.step()
        with torch.no_grad():
            weights["W_dec"].div_(weights["W_dec"].norm(dim=1, keepdim=True))
        l0 = (features > 0).sum(1).double().mean()
        return [value.item() for value in (mse + l1_coefficient * l1, mse, l1, l0, norm)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("betas", [(0.0, 0.999), (0.9, 0.99)])
@pytest.mark.parametrize("bias", [-100.0, -2.0, -0.5, 0.0, 100.0])  # from no active feature to all of them
def test_fifty_steps_equal_float64_autograd_and_adam(kind, betas, bias, monkeypatch):
    monkeypatch.setattr(sparse_step, "CPU_TILE", 24)  # whole tiles, a part of one, and one of a single token
    ours = make(kind, bias=bias, adam_betas=betas)
    plain, draw = PlainTraining(ours.sae, betas), torch.Generator().manual_seed(1)
    for tokens in (64, 25, 1, 24, 49) * 10:
        x = torch.randn(tokens, D_MODEL, generator=draw)
        measured = ours.step(x, 0.1, 1.0, 0.5).tolist()
        assert measured == pytest.approx(plain.step(x, 0.1, 0.5), rel=2e-4, abs=1e-6)
    for name, weight in plain.weights.items():
        torch.testing.assert_close(ours.sae.get_parameter(name).double(), weight, rtol=1e-3, atol=1e-4)


def test_gradients_of_the_sparse_step_are_those_of_autograd():
    ours = make(SparseTrainee, bias=-0.3)
    plain, x = PlainTraining(ours.sae, (0.0, 0.999)), torch.randn(64, D_MODEL)
    ours.step(x, 0.1, 0.0, 1e9)
    plain.step(x, 0.1, 1e9)
    gradients = Workspace.of_this_thread(*ours_sizes(64)).gradients.tensors()
    for name, gradient in gradients.items():
        expected = plain.weights[name].grad
        assert (gradient - expected).abs().max() <= 4e-6 * expected.abs().max(), name


def ours_sizes(tokens: int) -> tuple[int, int, int, int]:
    return D_MODEL, D_SAE, tokens, sparse_step.most_entries(tokens, D_SAE)


def test_dead_features_stay_as_they_are():
    ours = make(SparseTrainee)
    with torch.no_grad():
        ours.sae.b_enc[::2] = -1e6
    before = ours.sae.W_enc.detach().clone()
    for _ in range(3):
        ours.step(torch.randn(64, D_MODEL), 0.1, 1.0, 1.0)
    assert torch.equal(ours.sae.W_enc[:, ::2], before[:, ::2])
    assert not torch.equal(ours.sae.W_enc[:, 1::2], before[:, 1::2])


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_sparse_and_dense_tiles_give_the_same_step(share, monkeypatch):
    """Whatever share of active entries is called dense."""
    expected, x = make(SparseTrainee, bias=-0.3), torch.randn(64, D_MODEL)
    measured = expected.step(x, 0.1, 1.0, 1.0)
    monkeypatch.setattr(sparse_step, "DENSE_FROM", share)
    other = make(SparseTrainee, bias=-0.3)
    torch.testing.assert_close(other.step(x, 0.1, 1.0, 1.0), measured, rtol=1e-5, atol=1e-6)
    for name, weight in expected.sae.named_parameters():
        torch.testing.assert_close(other.sae.get_parameter(name), weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_how_weights_and_batches_lie_in_memory_is_no_matter(kind):
    plain, odd = make(kind), make(kind)
    sae, x = odd.sae, torch.randn(64, D_MODEL)
    sae.W_dec.data, sae.b_enc.data = sae.W_dec.data.T.clone().T, torch.zeros(2 * D_SAE)[::2]  # tied, and sliced
    odd = kind(PLAN, sae, toy_config())
    for _ in range(2):
        torch.testing.assert_close(odd.step(x.T.clone().T, 0.1, 1.0, 1.0), plain.step(x, 0.1, 1.0, 1.0))
    for name, weight in plain.sae.named_parameters():
        torch.testing.assert_close(sae.get_parameter(name), weight, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoilt", ["x", "W_enc", "W_dec", "b_enc"])
def test_what_is_no_number_is_seen(kind, spoilt):
    ours, x = make(kind, bias=-0.3), torch.randn(64, D_MODEL)
    place = x if spoilt == "x" else ours.sae.get_parameter(spoilt)
    with torch.no_grad():
        place[(3,) * place.ndim] = float("nan")
    assert not ours.step(x, 0.1, 1.0, 1.0).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_says_what_it_measured(kind):
    measured = make(kind).step(torch.randn(64, D_MODEL), 0.1, 1.0, 1e-3)
    loss, mse, l1, l0, norm = measured.tolist()
    assert METRICS == ("loss", "mse", "l1", "l0")
    assert abs(loss - (mse + 0.1 * l1)) < 1e-5
    assert 0 < l0 < D_SAE
    assert norm > 1e-3  # before clipping


@pytest.mark.parametrize("betas", [(0.0, 0.999), (0.9, 0.99)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_trainee_goes_on_to_the_bit(kind, betas):
    batches = [torch.randn(64, D_MODEL) for _ in range(4)]
    whole, first = make(kind, adam_betas=betas), make(kind, adam_betas=betas)
    for x in batches:
        whole.step(x, 0.1, 0.5, 1.0)
    for x in batches[:2]:
        first.step(x, 0.1, 0.5, 1.0)
    second = make(kind, seed=1, adam_betas=betas)
    second.restore({name: value.detach().clone() for name, value in first.state().items()})
    for x in batches[2:]:
        second.step(x, 0.1, 0.5, 1.0)
    assert second.state().keys() == whole.state().keys()
    assert ("W_enc.exp_avg" in whole.state()) is (betas[0] > 0)
    assert torch.equal(whole.sae.W_enc, whole.state()["W_enc"]), "the SAE itself is trained"
    for name, value in whole.state().items():
        assert torch.equal(value, second.state()[name]), name


@pytest.mark.parametrize("other", KINDS)
def test_a_state_goes_from_one_kind_of_step_to_another(other):
    batches = [torch.randn(64, D_MODEL) for _ in range(4)]
    ours, theirs = make(SparseTrainee), make(other, seed=1)
    for x in batches[:2]:
        ours.step(x, 0.1, 0.5, 1.0)
    theirs.restore({name: value.detach().clone() for name, value in ours.state().items()})
    for x in batches[2:]:
        torch.testing.assert_close(theirs.step(x, 0.1, 0.5, 1.0), ours.step(x, 0.1, 0.5, 1.0), rtol=1e-4, atol=1e-5)


def test_the_quickest_step_that_is_right_is_chosen(monkeypatch):
    def kind_for(d_model: int = 16, d_sae: int = 32, kind: type[SparseAutoencoder] = SparseAutoencoder) -> str:
        return type(new_trainee(PLAN, kind(d_model, d_sae), toy_config())).__name__

    class SaysNothing(SparseAutoencoder):
        """May encode as it likes."""

    class SkipsToo(SparseAutoencoder):
        SKIPS_INACTIVE = True

    assert kind_for() == kind_for(kind=SkipsToo) == "SparseTrainee"
    assert kind_for(d_model=12, d_sae=48) == kind_for(kind=SaysNothing) == "TiledTrainee"
    assert isinstance(new_trainee(PLAN, SparseAutoencoder(16, 32).double(), toy_config()), TiledTrainee)
    monkeypatch.setitem(sys.modules, "numba", None)
    with pytest.warns(UserWarning, match="numba is not installed.*pip install numba"):
        assert kind_for() == "TiledTrainee"
