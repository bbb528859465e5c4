"""An SAE of a run that trains on divided streams, trained once more without any of that: a check of `activation_scale`.

In: an experiment, and a layer. Out: its scratch SAE at the first budget, from streams that were divided before training
saw them, with no scale in the training, and its biases multiplied here.
"""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saelib.run.files import TEMPORARY, cache_folder
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingPhase
from saelib.sae.folder import load_sae
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.schedule import share_of_as_many
from saelib.sae.training.train import train
from saelib.transfer.experiment import Experiment

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


class DividedModel:
    """A language model whose residual streams are divided by a number."""

    def __init__(self, model: "LanguageModel", scale: float) -> None:
        self.model, self.scale = model, scale

    def __getattr__(self, name: str) -> Any:
        """All else is the model's own."""
        return getattr(self.model, name)

    def residual_streams(
        self, tokens: Int64[Tensor, "rows context"], layers: Sequence[int]
    ) -> Float[Tensor, "layers rows context d_model"]:
        """As `LanguageModel.residual_streams`, divided."""
        return self.model.residual_streams(tokens, layers) / self.scale


def first_budget(experiment: Experiment) -> int:
    """Tokens of scratch's first checkpoint that ends a chunk, as a training does."""
    config = experiment.config
    return next(tokens for tokens in config.scratch.checkpoints[1:] if tokens % config.chunk_tokens == 0)


def trained_again(experiment: Experiment, layer: int) -> SparseAutoencoder:
    """The scratch SAE of the first replicate at `layer`, at `first_budget`.

    By the schedule wsd an SAE at a budget is what a training of that length gives.
    """
    config, scale, tokens = experiment.settled, experiment.activation_scales[layer], first_budget(experiment)
    steps, of_run = (count // config.batch_tokens for count in (tokens, config.scratch.tokens))
    phase = TrainingPhase(checkpoints=(0, tokens), learning_rate=config.scratch.learning_rate)
    plain = config.replace(
        scratch=phase,
        transfer=phase,
        activation_scale="none",
        l1_warm_up_share=share_of_as_many(config.l1_warm_up_share, of_run, steps),
        target_l0=None,
        trial_tokens=None,
        depth_source=None,
    )
    (seed, data_seed), coefficient = config.replicates[0], experiment.l1_coefficients[layer] / scale
    plan = SaePlan("scratch", layer, seed, data_seed, phase.learning_rate, l1_coefficient=coefficient)
    model, rows = cast("LanguageModel", DividedModel(experiment.model, scale)), experiment.training_rows(data_seed)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=cache_folder(), prefix=".again-", suffix=TEMPORARY) as place:
        folders = PhaseFolders(Path(place) / "saes", Path(place) / "resume")
        train([plan], phase, model, rows, plain, folders)
        sae = load_sae(folders.sae(plan.arm, layer, seed, tokens), experiment.model.device)
    with torch.no_grad():
        sae.b_enc.mul_(scale)
        sae.b_dec.mul_(scale)
    return sae
