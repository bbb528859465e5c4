"""The dense step of one SAE as functions of tensors: no word from the host, so that a GPU never waits for it.

In: weights, Adam's moments and a batch on a device other than the CPU. Out: the weights and moments, changed in place,
and what the step measured. On CUDA `torch.compile` fuses everything between the five products (ReLU and its gradient,
scaling of the error, sums, clipping, Adam, unit rows), once it has been proved equal to the plain functions.
"""

import functools
import importlib.util
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.language.precision import factor_type, matrix_products
from saelib.sae.autoencoder import SparseAutoencoder, StepLosses
from saelib.sae.config import TrainingConfig
from saelib.sae.training.plan import SaePlan

ADAM_EPSILON = 1e-8  # PyTorch's default
CLIP_EPSILON = 1e-6  # as in `torch.nn.utils.clip_grad_norm_`
CHOSEN: dict[
    tuple[object, ...], "Step"
] = {}  # by what decides it: proved once, however many SAEs and branches there are
PROOF_TOLERANCE = 0.05  # of the largest change of a weight: more than rounding to bfloat16 makes, less than a fault


class Weights(NamedTuple):
    """The weights of an SAE, or one number for each: a gradient, a moment. No layout in memory is assumed."""

    W_enc: Float[Tensor, "d_model d_sae"]
    b_enc: Float[Tensor, " d_sae"]
    W_dec: Float[Tensor, "d_sae d_model"]
    b_dec: Float[Tensor, " d_model"]


class Rates(NamedTuple):
    """What changes from step to step, as tensors: a number of Python's would be compiled into the step."""

    l1_coefficient: Float[Tensor, ""]
    learning_rate: Float[Tensor, ""]
    first_correction: Float[Tensor, ""]  # 1 - beta_1^t
    second_correction: Float[Tensor, ""]  # 1 - beta_2^t


class StepKind(NamedTuple):
    """What one compiled step is made for."""

    betas: tuple[float, float]
    gradient_clip: float
    factors: torch.dtype


Step = Callable[[Weights, Weights | None, Weights, Float[Tensor, "tokens d_model"], Rates, StepKind], Tensor]


def product(first: Float[Tensor, "n m"], second: Float[Tensor, "m k"]) -> Float[Tensor, "n k"]:
    """`first @ second` in float32 (float64 stays); factors of bfloat16 are multiplied exactly and summed in float32."""
    if first.dtype != torch.bfloat16:
        return torch.mm(first, second)
    if first.is_cuda:
        return torch.mm(first, second, out_dtype=torch.float32)
    return torch.mm(first.float(), second.float())  # the same arithmetic, where no kernel has it


def dense_gradients(
    weights: Weights, x: Float[Tensor, "tokens d_model"], l1_coefficient: Float[Tensor, ""], factors: torch.dtype
) -> tuple[Weights, StepLosses]:
    """Gradient of the loss in `SparseAutoencoder`'s docstring, in closed form, and the losses.

    Args:
        factors: what the factors of the five products are rounded to; gradients, error and losses are not.
    """
    share = 1 / len(x)
    narrow_x, decoder = x.to(factors), weights.W_dec.to(factors)
    features = torch.relu(product(narrow_x, weights.W_enc.to(factors)) + weights.b_enc)
    narrow_features = features.to(factors)
    error = product(narrow_features, decoder) + weights.b_dec - x
    slope = error * (2 * share)
    narrow_slope = slope.to(factors)
    upstream = product(narrow_slope, decoder.T) + l1_coefficient * share
    upstream = torch.where(narrow_features > 0, upstream, 0)  # half of the bytes to read, where they are narrow
    sums = features.sum(0)
    penalty = (sums * (l1_coefficient * share)).unsqueeze(1) * weights.W_dec  # d norm / d row of a unit row: the row
    gradients = Weights(
        W_enc=product(upstream.T.to(factors), narrow_x).T,
        b_enc=upstream.sum(0),
        W_dec=product(narrow_features.T, narrow_slope) + penalty,
        b_dec=slope.sum(0),
    )
    active = (features > 0).sum().to(x.dtype)
    return gradients, StepLosses(error.square().sum() * share, sums.sum() * share, active * share)


def clipped(gradients: Weights, most: float) -> tuple[Weights, Float[Tensor, ""]]:
    """Gradients whose joint norm is at most `most`, and the norm before; as `clip_grad_norm_` does it."""
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    factor = (most / (norm + CLIP_EPSILON)).clamp_max(1)
    return Weights(*(gradient * factor for gradient in gradients)), norm


def adam_(
    weights: Weights,
    gradients: Weights,
    first_moments: Weights | None,
    second_moments: Weights,
    rates: Rates,
    betas: tuple[float, float],
) -> None:
    """Adam's update in place, as in `torch.optim.Adam`; with beta_1 = 0 the first moment is the gradient itself."""
    first_beta, second_beta = betas
    for index, (weight, gradient, second) in enumerate(zip(weights, gradients, second_moments, strict=True)):
        first = gradient
        if first_moments is not None:
            first = first_moments[index].lerp_(gradient, 1 - first_beta)
        second.mul_(second_beta).add_((1 - second_beta) * gradient.square())
        size = (second / rates.second_correction).sqrt() + ADAM_EPSILON
        weight.sub_(rates.learning_rate / rates.first_correction * first / size)


def dense_step(
    weights: Weights,
    first_moments: Weights | None,
    second_moments: Weights,
    x: Float[Tensor, "tokens d_model"],
    rates: Rates,
    kind: StepKind,
) -> Float[Tensor, "5"]:
    """Gradients, clipping, Adam and unit decoder rows, in place; returns `METRICS` and the norm before clipping."""
    gradients, losses = dense_gradients(weights, x, rates.l1_coefficient, kind.factors)
    gradients, norm = clipped(gradients, kind.gradient_clip)
    adam_(weights, gradients, first_moments, second_moments, rates, kind.betas)
    weights.W_dec.div_(torch.linalg.vector_norm(weights.W_dec, dim=1, keepdim=True).clamp_min(1e-8))
    loss = losses.mse + rates.l1_coefficient * losses.l1
    return torch.stack([loss, losses.mse, losses.l1, losses.l0, norm])


@functools.cache
def compiled_step(backend: str = "inductor") -> Step:
    """`dense_step` by `torch.compile`: one for all SAEs, as all that differs between them is a tensor."""
    return torch.compile(dense_step, backend=backend, dynamic=False, fullgraph=True)


def choose_step(weights: Weights, batch_tokens: int, kind: StepKind) -> Step:
    """The compiled step where the device is CUDA, a compiler is there and it does what `dense_step` does.

    A fault of the compiler is a warning, and the plain functions are used.
    """
    if not weights.W_enc.is_cuda or importlib.util.find_spec("triton") is None:
        return dense_step
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "TensorFloat32 tensor cores")  # whether they are used is for the config
            difference = difference_between(compiled_step(), dense_step, weights, batch_tokens, kind)
    except Exception as error:  # noqa: BLE001 (whatever a compiler and a driver may raise)
        warnings.warn(f"the step runs without torch.compile, which failed ({error})", stacklevel=2)
        return dense_step
    if difference > PROOF_TOLERANCE:
        warnings.warn(f"the step runs without torch.compile: it was off by {difference:.1e}", stacklevel=2)
        return dense_step
    return compiled_step()


def difference_between(first: Step, second: Step, weights: Weights, batch_tokens: int, kind: StepKind) -> float:
    """Largest difference between two steps from the same start, as a share of the largest change of that weight.

    Adam's second moment is 1 and its rate too, so that a weight changes about as much as its clipped gradient is
    large: near 0 the sign of a gradient would make all the difference.
    """
    device = weights.W_enc.device
    x = torch.randn(batch_tokens, len(weights.W_enc), device=device, generator=torch.Generator(device).manual_seed(0))
    rates = Rates(*torch.ones(4, device=device).unbind())
    after = []
    for step in (first, second):
        changed = Weights(*(weight.clone() for weight in weights))
        ones = Weights(*(torch.ones_like(weight) for weight in weights))
        zeros = Weights(*(torch.zeros_like(weight) for weight in weights)) if kind.betas[0] else None
        step(changed, zeros, ones, x, rates, kind)
        after.append(changed)
    return max(
        float((one - other).abs().max() / (other - before).abs().max().clamp_min(1e-12))
        for one, other, before in zip(*after, weights, strict=True)
    )


class CudaTrainee:
    """An SAE in training on a GPU: its plan, weights and Adam's moments; what `Trainee` is on the CPU."""

    def __init__(self, plan: SaePlan, sae: SparseAutoencoder, config: TrainingConfig) -> None:
        """A new optimiser; `restore` takes over an older one's state.

        Raises:
            ValueError: the SAE has another architecture than the paper's, whose gradient is not here.
        """
        if sae.architecture != SparseAutoencoder.architecture:
            raise ValueError(f"architecture {sae.architecture!r} has no step for {sae.W_enc.device}; train on the CPU")
        self.plan, self.sae = plan, sae
        sae.W_enc.data = sae.W_enc.data.T.contiguous().T  # as its gradient comes out of the product
        self.weights = Weights(*(sae.get_parameter(name).detach() for name in Weights._fields))
        self.first_moments = self._zeros() if config.adam_betas[0] else None
        self.second_moments = self._zeros()
        self.steps = 0
        self.kind = StepKind(config.adam_betas, config.gradient_clip, factor_type(config.precision))
        self.precision = config.precision
        case = self.kind, sae.W_enc.shape, config.batch_tokens, config.precision, sae.W_enc.device
        if case not in CHOSEN:
            with self._products():  # under other settings than a step's it would be compiled twice
                CHOSEN[case] = choose_step(self.weights, config.batch_tokens, self.kind)
        self._step = CHOSEN[case]

    def _zeros(self) -> Weights:
        return Weights(*(torch.zeros_like(weight) for weight in self.weights))

    @contextmanager
    def _products(self) -> Iterator[None]:
        """How a step's products are computed: never by autocast, which would round what stays float32."""
        with torch.no_grad(), matrix_products("tf32" if self.precision == "tf32" else "float32", self.sae.W_enc.device):
            yield

    def step(
        self, x: Float[Tensor, "tokens d_model"], l1_coefficient: float, rate_factor: float, gradient_clip: float
    ) -> Float[Tensor, "5"]:
        """One step on a batch; returns `METRICS` and the gradient's norm before clipping, left on the device."""
        self.steps += 1
        first_beta, second_beta = self.kind.betas
        values = (l1_coefficient, self.plan.learning_rate * rate_factor,
                  1 - first_beta**self.steps, 1 - second_beta**self.steps)  # fmt: skip
        rates = Rates(*(torch.full((), value, device=x.device) for value in values))  # launches: no copy to wait for
        kind = self.kind._replace(gradient_clip=gradient_clip)
        with self._products():
            return self._step(self.weights, self.first_moments, self.second_moments, x, rates, kind)

    def state(self) -> dict[str, Tensor]:
        """Weights and Adam's moments by name; no first moment where beta_1 is 0."""
        state: dict[str, Tensor] = {}
        for index, (name, weight) in enumerate(self.weights._asdict().items()):
            state |= {name: weight, f"{name}.exp_avg_sq": self.second_moments[index]}
            if self.first_moments is not None:
                state[f"{name}.exp_avg"] = self.first_moments[index]
        return state | {"steps": torch.tensor(self.steps)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for index, (name, weight) in enumerate(self.weights._asdict().items()):
            weight.copy_(state[name])
            self.second_moments[index].copy_(state[f"{name}.exp_avg_sq"])
            if self.first_moments is not None:
                self.first_moments[index].copy_(state[f"{name}.exp_avg"])
        self.steps = int(state["steps"])
