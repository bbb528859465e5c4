"""One SAE in training: its weights and its optimiser's step.

In: batches of activations. Out: updated weights and what a step measured. Many of these share one stream (`train`),
and none sees another.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingConfig
from saelib.sae.training.plan import SaePlan

METRICS = ("loss", "mse", "l1", "l0")


class Trainee:
    """An SAE in training: its plan, weights, and optimiser."""

    def __init__(self, plan: SaePlan, sae: SparseAutoencoder, config: TrainingConfig) -> None:
        self.plan, self.sae = plan, sae
        self.optimiser = torch.optim.Adam(sae.parameters(), lr=plan.learning_rate, betas=config.adam_betas, fused=True)

    def step(
        self, x: Float[Tensor, "tokens d_model"], l1_coefficient: float, rate_factor: float, gradient_clip: float
    ) -> Float[Tensor, "5"]:
        """One step on a batch; returns `METRICS` and the gradient's norm before clipping, left on the device."""
        for parameter in self.sae.parameters():
            if parameter.grad is not None:
                parameter.grad.zero_()
        losses = self.sae.accumulate_gradients(x, l1_coefficient)
        norm = nn.utils.clip_grad_norm_(self.sae.parameters(), gradient_clip)
        self.optimiser.param_groups[0]["lr"] = self.plan.learning_rate * rate_factor
        self.optimiser.step()
        self.sae.normalize_decoder()
        return torch.stack([losses.loss(l1_coefficient), losses.mse, losses.l1, losses.l0, norm])

    def state(self) -> dict[str, Tensor]:
        """Weights and Adam's moments by name."""
        state: dict[str, Tensor] = {}
        for name, parameter in self.sae.named_parameters():
            state[name] = parameter
            state |= {f"{name}.{moment}": value for moment, value in self.optimiser.state[parameter].items()}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for name, parameter in self.sae.named_parameters():
            parameter.data.copy_(state[name])
            self.optimiser.state[parameter] = {
                moment: state[f"{name}.{moment}"].to("cpu" if moment == "step" else parameter.device)
                for moment in ("step", "exp_avg", "exp_avg_sq")
            }
