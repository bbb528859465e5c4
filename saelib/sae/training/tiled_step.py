"""The step of one SAE on a CPU by PyTorch alone: dense products tile by tile, and PyTorch's own Adam.

In: an SAE and batches of activations. Out: its weights, changed in place. Slower than `sparse_step`, for SAEs and
machines that it does not fit.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingConfig
from saelib.sae.training.plan import SaePlan


class TiledTrainee:
    """An SAE in training: its plan, weights, and optimiser."""

    def __init__(self, plan: SaePlan, sae: SparseAutoencoder, config: TrainingConfig) -> None:
        """A new optimiser; `restore` takes over an older one's state."""
        self.plan, self.sae, self.steps = plan, sae, 0
        for weight in sae.parameters():  # the fused Adam takes for granted that numbers lie side by side
            weight.data = weight.data.contiguous()
        betas = config.adam_betas
        self.optimiser = torch.optim.Adam(sae.parameters(), lr=plan.learning_rate, betas=betas, fused=True)
        self.moments = ("exp_avg", "exp_avg_sq") if betas[0] else ("exp_avg_sq",)  # the first is the gradient else

    def step(
        self, x: Float[Tensor, "tokens d_model"], l1_coefficient: float, rate_factor: float, gradient_clip: float
    ) -> Float[Tensor, "5"]:
        """One step on a batch; returns `METRICS` and the gradient's norm before clipping."""
        losses = self.sae.accumulate_gradients(x, l1_coefficient)
        norm = nn.utils.clip_grad_norm_(self.sae.parameters(), gradient_clip)
        self.optimiser.param_groups[0]["lr"] = self.plan.learning_rate * rate_factor
        self.optimiser.step()
        self.optimiser.zero_grad()  # frees them: only the SAE whose turn it is has gradients
        self.sae.normalize_decoder()
        self.steps += 1
        return torch.stack([losses.loss(l1_coefficient), losses.mse, losses.l1, losses.l0, norm])

    def state(self) -> dict[str, Tensor]:
        """Weights and Adam's moments by name; no first moment where beta_1 is 0."""
        state: dict[str, Tensor] = {"steps": torch.tensor(self.steps)}
        for name, parameter in self.sae.named_parameters():
            state[name] = parameter
            kept = self.optimiser.state[parameter]
            state |= {f"{name}.{moment}": kept.get(moment, torch.zeros_like(parameter)) for moment in self.moments}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.steps = int(state["steps"])
        for name, parameter in self.sae.named_parameters():
            parameter.data.copy_(state[name])
            kept = {moment: torch.zeros_like(parameter) for moment in ("exp_avg", "exp_avg_sq")}
            for moment in self.moments:  # into the weights' layout, whatever that of the state
                kept[moment].copy_(state[f"{name}.{moment}"])
            self.optimiser.state[parameter] = kept | {"step": torch.tensor(float(self.steps))}
