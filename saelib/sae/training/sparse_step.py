"""The step of one SAE on a CPU, touching active features alone: exact, and less work the sparser the SAE is.

In: an SAE and batches of activations. Out: its weights, changed in place by one step of Adam each. Of a step's five
matrix products only the encoding is dense; decoding and the gradients of decoder, features and encoder read the active
entries. A tile of the batch where too many are active goes the dense way.
"""

import functools

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saelib.run.progress import progress
from saelib.sae.autoencoder import CPU_TILE, SparseAutoencoder
from saelib.sae.config import TrainingConfig
from saelib.sae.training.cuda_step import CLIP_EPSILON
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.workspace import LANES, Arrays, Entries, Workspace

DENSE_FROM = 1 / 3  # share of active entries from which dense products are quicker; measured, about 0.4


def why_not_compiled() -> str | None:
    """What keeps numba from compiling, with the remedy; None where nothing does."""
    try:
        import numba
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        return f"{missing} is not installed (pip install {missing})"
    except ImportError as error:  # it refuses a NumPy that is newer than itself
        return f"numba cannot be imported ({error})"
    return "numba is switched off (unset NUMBA_DISABLE_JIT)" if numba.config.DISABLE_JIT else None


def can_skip(sae: SparseAutoencoder) -> bool:
    """Whether the sparse step does what this SAE's dense one does: its own class says so, in float32, on a CPU."""
    says_so = vars(type(sae)).get("SKIPS_INACTIVE", False)  # not inherited: a subclass may compute something else
    whole = sae.d_model % LANES == 0 and sae.d_sae % LANES == 0
    plain = all(weight.dtype == torch.float32 and weight.device.type == "cpu" for weight in sae.parameters())
    return says_so and whole and plain and why_not_compiled() is None


def most_entries(tokens: int, d_sae: int) -> int:
    """Active entries of a tile for which there is room; with more of them it goes the dense way."""
    return int(DENSE_FROM * tokens * d_sae) + d_sae


class SparseTrainee:
    """An SAE in training on a CPU: its plan, its weights and Adam's moments."""

    def __init__(self, plan: SaePlan, sae: SparseAutoencoder, config: TrainingConfig) -> None:
        """A new optimiser; `restore` takes over an older one's state."""
        self.plan, self.sae, self.betas, self.steps = plan, sae, config.adam_betas, 0
        self.weights = Arrays.of(sae)
        self.first_moments = self.weights.zeros(empty=self.betas[0] == 0)
        self.second_moments = self.weights.zeros()
        compile_kernels()

    @torch.no_grad()
    def step(
        self, x: Float[Tensor, "tokens d_model"], l1_coefficient: float, rate_factor: float, gradient_clip: float
    ) -> Float[Tensor, "5"]:
        """One step on a batch; returns `METRICS` and the gradient's norm before clipping."""
        from saelib.sae.training import update_kernels

        d_model, d_sae, tile_tokens = self.sae.d_model, self.sae.d_sae, min(len(x), CPU_TILE)
        space = Workspace.of_this_thread(d_model, d_sae, tile_tokens, most_entries(tile_tokens, d_sae))
        space.clear()
        scale, slope = 2 / len(x), l1_coefficient / len(x)
        tiles = [self._add_gradients(tile, scale, slope, space) for tile in x.contiguous().split(CPU_TILE)]
        update_kernels.add_penalty(self.weights.W_dec, space.feature_sums, np.float32(slope), space.gradients.W_dec)
        norm = float(sum(map(update_kernels.sum_of_squares, space.gradients))) ** 0.5
        clip = min(1.0, gradient_clip / (norm + CLIP_EPSILON))
        self._update(space.gradients, np.float32(clip), self.plan.learning_rate * rate_factor)
        squared_errors, active = zip(*tiles, strict=True)
        sums = sum(squared_errors), float(space.feature_sums.sum(dtype=np.float64)), sum(active)
        mse, l1, l0 = (value / len(x) for value in sums)
        return torch.tensor([mse + l1_coefficient * l1, mse, l1, l0, norm])

    def _add_gradients(
        self, tile: Float[Tensor, "tile d_model"], scale: float, slope: float, space: Workspace
    ) -> tuple[float, int]:
        """Add those of a tile; its squared error, and how many of its entries are active."""
        from saelib.sae.training import kernels

        by_token = space.by_token._replace(starts=space.by_token.starts[: len(tile) + 1])
        before = torch.addmm(self.sae.b_enc, tile, self.sae.W_enc, out=space.before[: len(tile)])
        if not kernels.find_active(before.numpy(), *by_token):
            features = before.relu_()
            space.feature_sums += features.sum(0).numpy()
            squared_error = self.sae.add_tile_gradients(tile, features, scale, slope, space.gradients.tensors())
            return float(squared_error), int(torch.count_nonzero(features))
        x, error, weights, gradients = tile.numpy(), space.error[: len(tile)], self.weights, space.gradients
        into: tuple[np.ndarray, ...] = (error, gradients.b_dec[0])
        squared = kernels.scaled_error(x, weights.W_dec, weights.b_dec[0], *by_token, np.float32(scale), *into)
        kernels.list_by_feature(*by_token, *space.by_feature)
        into = gradients.W_enc, gradients.W_dec, gradients.b_enc[0], space.feature_sums
        kernels.weight_gradients(x, error, weights.W_dec, np.float32(slope), *space.by_feature, *into)
        return squared, int(by_token.starts[-1])

    def _update(self, gradients: Arrays, clip: np.float32, learning_rate: float) -> None:
        """Adam's step, and decoder rows of unit norm again."""
        from saelib.sae.training import update_kernels

        self.steps += 1
        first, second = self.betas
        rate = np.float32(learning_rate / (1 - first**self.steps))
        inverse_root = np.float32((1 - second**self.steps) ** -0.5)
        for arrays in zip(self.weights, gradients, self.first_moments, self.second_moments, strict=True):
            flat = (array.reshape(-1) for array in arrays)
            update_kernels.adam(*flat, clip, rate, inverse_root, np.float32(first), np.float32(second))
        update_kernels.normalize_rows(self.weights.W_dec)

    def state(self) -> dict[str, Tensor]:
        """Weights and Adam's moments by name; no first moment where beta_1 is 0."""
        moments = {"exp_avg_sq": self.second_moments} | ({"exp_avg": self.first_moments} if self.betas[0] else {})
        state = self.weights.tensors() | {"steps": torch.tensor(self.steps)}
        for moment, arrays in moments.items():
            state |= {f"{name}.{moment}": value for name, value in arrays.tensors().items()}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for name, value in self.state().items():
            value.copy_(state[name])
        self.steps = int(state["steps"])


@functools.cache
def compile_kernels() -> None:
    """Compile the loops for this processor, once on a machine: numba keeps what it compiled (see `compiling`)."""
    from saelib.sae.training import kernels, update_kernels
    from saelib.sae.training.compiling import compile_now

    rows = Arrays(*(np.zeros(shape, np.float32) for shape in ((LANES, LANES), (1, LANES)) * 2))
    vector, number = np.zeros(LANES, np.float32), np.float32(0)
    entries = Entries.empty(LANES, LANES * LANES)
    calls = (
        (kernels.find_active, (rows.W_enc, *entries)),
        (kernels.list_by_feature, (*entries, *entries)),
        (kernels.scaled_error, (rows.W_enc, rows.W_dec, vector, *entries, number, rows.W_enc, vector)),
        (kernels.weight_gradients, (*[rows.W_enc] * 3, number, *entries, rows.W_enc, rows.W_dec, vector, vector)),
        (update_kernels.add_penalty, (rows.W_dec, vector, number, rows.W_dec)),
        (update_kernels.sum_of_squares, (rows.W_dec,)),
        (update_kernels.adam, (vector, vector, vector, vector, number, number, number, number, number)),
        (update_kernels.normalize_rows, (rows.W_dec,)),
    )
    with progress("compiling the training step", len(calls), unit="loop") as advance:
        for kernel, arguments in calls:
            compile_now(kernel, arguments)
            advance(1)
