"""One SAE in training, whatever its device: its weights, and the step of an optimiser.

In: batches of activations. Out: updated weights and what a step measured. Many of these share one stream (`train`),
and none sees another.
"""

import warnings
from typing import Protocol

from jaxtyping import Float
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingConfig
from saelib.sae.training.cuda_step import CudaTrainee
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.sparse_step import SparseTrainee, can_skip, why_not_compiled
from saelib.sae.training.tiled_step import TiledTrainee

METRICS = ("loss", "mse", "l1", "l0")


class Trainee(Protocol):
    """An SAE in training; its state is the same by name and shape whichever step it takes."""

    plan: SaePlan
    sae: SparseAutoencoder

    def step(
        self, x: Float[Tensor, "tokens d_model"], l1_coefficient: float, rate_factor: float, gradient_clip: float
    ) -> Float[Tensor, "5"]:
        """One step on a batch; returns `METRICS` and the gradient's norm before clipping, left on the device."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Weights and Adam's moments by name; no first moment where beta_1 is 0."""
        ...

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        ...


def new_trainee(plan: SaePlan, sae: SparseAutoencoder, config: TrainingConfig) -> Trainee:
    """An SAE with a new optimiser, and the quickest step that is right for it and its device."""
    if sae.W_enc.device.type != "cpu":
        return CudaTrainee(plan, sae, config)
    if reason := why_not_compiled():
        warnings.warn(f"{reason}, so that SAEs train by dense products, several times as slowly", stacklevel=2)
    return SparseTrainee(plan, sae, config) if can_skip(sae) else TiledTrainee(plan, sae, config)
