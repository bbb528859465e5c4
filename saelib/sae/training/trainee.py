"""One SAE in training: what is planned for it, where it starts, and its optimiser step.

In: a plan and batches of activations. Out: updated weights and what a step measured. Many of these share one stream
(`training`), and none sees another.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.folder import CONFIG, load_sae
from saelib.transfer.config import ExperimentConfig

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

METRICS = ("loss", "mse", "l1", "l0")


@dataclass(frozen=True)
class SaePlan:
    """One SAE to train: where, from which start, how fast."""

    arm: str
    """"scratch", "forward", "backward" or "control"."""
    sae_layer: int
    """Layer whose residual stream it learns."""
    seed: int
    """Of the random start; a transfer carries the seed of its source."""
    learning_rate: float
    source_layer: int | None = None
    """Layer of the finished scratch SAE that it copies; None for a random start."""
    source_tokens: int = 0
    """Tokens that the source was trained on."""

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.arm} L{self.sae_layer} seed {self.seed}"


class PhaseFolders(NamedTuple):
    """Where one phase of a run reads and writes."""

    saes: Path
    resume: Path

    def sae(self, arm: str, layer: int, seed: int, tokens: int) -> Path:
        """Folder of one SAE at one token count."""
        return self.saes / arm / f"L{layer}" / f"seed{seed}" / str(tokens)


class Trainee:
    """An SAE in training: its plan, weights, optimiser, and sums since the last checkpoint of the grid."""

    def __init__(self, plan: SaePlan, sae: SparseAutoencoder, config: ExperimentConfig) -> None:
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


def start_sae(
    plan: SaePlan, model: "LanguageModel", config: ExperimentConfig, folders: PhaseFolders
) -> SparseAutoencoder:
    """The SAE at token 0: a copy of its source, or random weights that depend on the seed and the layer alone."""
    if plan.source_layer is None:
        seed = int(np.random.SeedSequence([plan.seed, plan.sae_layer]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        return random_sae(model.d_model, config.expansion_factor * model.d_model, generator).to(model.device)
    source = folders.sae("scratch", plan.source_layer, plan.seed, plan.source_tokens)
    if not (source / CONFIG).is_file():
        raise FileNotFoundError(f"{plan.name} starts from {source}, which is missing; train the scratch SAEs first")
    return load_sae(source, model.device)
