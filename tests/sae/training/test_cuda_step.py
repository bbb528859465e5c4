"""The step for a GPU does what autograd, `clip_grad_norm_` and `torch.optim.Adam` do, compiled and resumed too."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from saelib.language.precision import Precision, matrix_products
from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.config import TrainingConfig
from saelib.sae.training import cuda_step
from saelib.sae.training.cuda_step import CudaTrainee, Rates, StepKind, Weights
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.schedule import schedule
from tests.helpers.small_saes import small_sae
from tests.helpers.small_world import toy_config

PLAN = SaePlan("scratch", 0, 0, 0, 1e-2)
KIND = StepKind((0.0, 0.999), 1.0, torch.float32)


def start(d_model: int = 8, d_sae: int = 32, dtype: torch.dtype = torch.float32) -> Weights:
    """Weights of an SAE, the encoder's held the other way round in memory, as training holds them."""
    torch.manual_seed(0)  # the biases are drawn from it
    sae = small_sae(d_model, d_sae).to(dtype)
    sae.normalize_decoder()
    weights = Weights(*(sae.get_parameter(name).detach().clone() for name in Weights._fields))
    return weights._replace(W_enc=weights.W_enc.T.contiguous().T)


def new_trainee(seed: int = 0, config: TrainingConfig | None = None) -> CudaTrainee:
    return CudaTrainee(PLAN, random_sae(8, 32, torch.Generator().manual_seed(seed)), config or toy_config())


def zeros(weights: Weights) -> Weights:
    return Weights(*(torch.zeros_like(weight) for weight in weights))


def rates(weights: Weights, l1_coefficient: float = 0.3, learning_rate: float = 1e-2) -> Rates:
    return Rates(*weights.b_enc.new_tensor([l1_coefficient, learning_rate, 1.0, 1e-3]).unbind())


def plain_losses(sae: nn.ParameterDict, x: torch.Tensor, l1_coefficient: float) -> torch.Tensor:
    features = torch.relu(x @ sae["W_enc"] + sae["b_enc"])
    error = (features @ sae["W_dec"] + sae["b_dec"] - x).square().sum(1).mean()
    return error + l1_coefficient * (features * sae["W_dec"].norm(dim=1)).sum(1).mean()


@pytest.mark.parametrize("bias", [-100.0, -1.0, 0.0, 1.0, 100.0])  # from no active feature to all of them
def test_gradients_equal_autograd(bias: float) -> None:
    weights, x = start(dtype=torch.float64), torch.randn(24, 8, dtype=torch.float64)
    weights.b_enc.add_(bias)
    ours, losses = cuda_step.dense_gradients(weights, x, x.new_tensor(0.3), torch.float64)
    plain = nn.ParameterDict({name: nn.Parameter(weight) for name, weight in weights._asdict().items()})
    loss = plain_losses(plain, x, 0.3)
    loss.backward()
    for name, gradient in ours._asdict().items():
        torch.testing.assert_close(gradient, plain[name].grad, rtol=1e-10, atol=1e-12)
    assert (losses.mse + 0.3 * losses.l1).item() == pytest.approx(loss.item(), rel=1e-12)
    active = (x @ weights.W_enc + weights.b_enc > 0).sum(1).double().mean()
    torch.testing.assert_close(losses.l0, active)


def test_gradients_are_laid_out_as_the_weights() -> None:
    weights = start()
    gradients, _ = cuda_step.dense_gradients(weights, torch.randn(24, 8), torch.tensor(0.3), torch.float32)
    assert [gradient.stride() for gradient in gradients] == [weight.stride() for weight in weights]
    assert [weight.stride() for weight in new_trainee().weights] == [weight.stride() for weight in weights]


@pytest.mark.parametrize("betas", [(0.0, 0.999), (0.9, 0.99)])
def test_fifty_steps_equal_torch_adam_in_float64(betas: tuple[float, float]) -> None:
    weights = start(dtype=torch.float64)
    plain = nn.ParameterDict({name: nn.Parameter(weight.clone()) for name, weight in weights._asdict().items()})
    adam = torch.optim.Adam(plain.parameters(), lr=1e-2, betas=betas, foreach=False)
    first, second = zeros(weights) if betas[0] else None, zeros(weights)
    kind = StepKind(betas, 0.5, torch.float64)
    for count in range(1, 51):
        x = torch.randn(24, 8, dtype=torch.float64)
        now = Rates(*x.new_tensor([0.3, 1e-2, 1 - betas[0] ** count, 1 - betas[1] ** count]).unbind())
        measured = cuda_step.dense_step(weights, first, second, x, now, kind)
        adam.zero_grad()
        plain_losses(plain, x, 0.3).backward()
        norm = nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
        adam.step()
        with torch.no_grad():
            plain["W_dec"].div_(plain["W_dec"].norm(dim=1, keepdim=True))
        assert measured[-1].item() == pytest.approx(norm.item(), rel=1e-7)
    for name, weight in weights._asdict().items():
        torch.testing.assert_close(weight, plain[name].detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("factors", [torch.float32, torch.bfloat16])
def test_the_compiled_step_equals_the_plain_one_and_is_compiled_once_for_all_saes(factors: torch.dtype) -> None:
    torch.compiler.reset()
    compiled, kind = cuda_step.compiled_step("aot_eager"), KIND._replace(factors=factors)
    results = []
    for step in (compiled, cuda_step.dense_step):
        weights = start()
        second, x = zeros(weights), torch.randn(24, 8, generator=torch.Generator().manual_seed(1))
        results.append((step(weights, None, second, x, rates(weights), kind), *weights, *second))
    for ours, plain in zip(*results, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-5, atol=1e-6)
    with torch.compiler.set_stance("fail_on_recompile"):
        for seed in range(3):
            weights = start()
            x = torch.randn(24, 8, generator=torch.Generator().manual_seed(seed))
            compiled(weights, None, zeros(weights), x, rates(weights, 0.1 * seed, 1e-3 * seed), kind)


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_what_the_proof_compiles_is_what_training_takes(monkeypatch: pytest.MonkeyPatch, precision: Precision) -> None:
    torch.compiler.reset()
    compiled, config = cuda_step.compiled_step("aot_eager"), toy_config(precision=precision)

    def proved(weights: Weights, batch_tokens: int, kind: StepKind) -> cuda_step.Step:
        assert cuda_step.difference_between(compiled, cuda_step.dense_step, weights, batch_tokens, kind) < 1e-3
        return compiled

    monkeypatch.setattr(cuda_step, "choose_step", proved)
    trainee = new_trainee(config=config)
    with torch.compiler.set_stance("fail_on_recompile"), matrix_products(precision, torch.device("cpu")):
        trainee.step(torch.randn(config.batch_tokens, 8), 0.3, 1.0, config.gradient_clip)


def test_the_proof_of_a_compiled_step_can_fail() -> None:
    def without_clipping(
        weights: Weights, first: Weights | None, second: Weights, x: torch.Tensor, now: Rates, kind: StepKind
    ) -> torch.Tensor:
        return cuda_step.dense_step(weights, first, second, x, now, kind._replace(gradient_clip=1e9))

    weights = start()
    kept = [weight.clone() for weight in weights]
    assert cuda_step.difference_between(cuda_step.dense_step, cuda_step.dense_step, weights, 24, KIND) == 0
    assert cuda_step.difference_between(without_clipping, cuda_step.dense_step, weights, 24, KIND) > 0.1
    assert all(torch.equal(weight, before) for weight, before in zip(weights, kept, strict=True))


def test_without_cuda_the_plain_functions_run() -> None:
    assert cuda_step.choose_step(start(), 24, KIND) is cuda_step.dense_step


def bfloat16_and_float32(tokens: int = 512) -> tuple[Weights, Weights, Any, Any]:
    """Gradients and losses at the width of the embedded model, nearly half of the features active."""
    weights = start(128, 1024)
    weights.b_enc.sub_(0.06)
    x = torch.randn(tokens, 128)
    rounded = cuda_step.dense_gradients(weights, x, torch.tensor(0.3), torch.bfloat16)
    exact = cuda_step.dense_gradients(weights, x, torch.tensor(0.3), torch.float32)
    return rounded[0], exact[0], rounded[1], exact[1]


def test_factors_of_bfloat16_stay_within_bounds() -> None:
    rounded, exact, rounded_losses, exact_losses = bfloat16_and_float32()
    for name, gradient in rounded._asdict().items():
        assert gradient.dtype == torch.float32
        off = (gradient - getattr(exact, name)).norm() / getattr(exact, name).norm()
        assert 0 < off < (0.03 if name == "W_enc" else 0.01), name
    for name, value in rounded_losses._asdict().items():
        assert value.dtype == torch.float32
        assert value.item() == pytest.approx(getattr(exact_losses, name).item(), rel=2e-3), name


def test_bfloat16_factors_are_summed_in_float32() -> None:
    ones, small = torch.ones(1, 4096).bfloat16(), torch.full((4096, 1), 1 / 256).bfloat16()
    assert cuda_step.product(ones, small).item() == 16.0  # a sum in bfloat16 stops growing on the way
    assert cuda_step.product(ones, small).dtype == torch.float32


def test_autocast_around_it_changes_nothing() -> None:
    x, results = torch.randn(64, 8), []
    for enabled in (False, True):
        trainee = new_trainee()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            results.append(trainee.step(x, 0.1, 1.0, 1.0))
    assert torch.equal(*results)


def test_another_architecture_is_refused() -> None:
    class Other(SparseAutoencoder):
        architecture = "other"

    with pytest.raises(ValueError, match="architecture 'other' has no step for cpu"):
        CudaTrainee(PLAN, Other(8, 32), toy_config())


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_chunk_of_steps_never_waits_for_the_device(precision: Precision) -> None:
    config = toy_config(precision=precision, batch_tokens=16)  # four steps
    device = torch.device("cuda")
    trainees = [CudaTrainee(PLAN, small_sae(64, 256, seed).to(device), config) for seed in range(3)]
    activations = torch.randn(1, config.chunk_tokens, 64, device=device)

    def train_chunk(first_step: int) -> list[torch.Tensor]:
        measured = []
        with matrix_products(config.precision, device):
            for step, batch in enumerate(activations.split(config.batch_tokens, dim=1), start=first_step):
                l1_coefficient, rate_factor = schedule(step, 8, config)
                measured += [trainee.step(batch[0], l1_coefficient, rate_factor, 1.0) for trainee in trainees]
        return measured

    train_chunk(0)  # warm
    torch.cuda.set_sync_debug_mode("error")
    try:
        measured = train_chunk(4)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert np.isfinite(torch.stack(measured).cpu().numpy()).all()
