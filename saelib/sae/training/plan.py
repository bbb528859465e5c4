"""What is planned for an SAE: where it trains, from which start, and where its files go.

In: a plan. Out: the SAE at token 0, and folders. Who starts from whom is for the experiment to say (`saelib.transfer`).
"""

import math
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch

from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.config import TrainingConfig
from saelib.sae.folder import CONFIG, load_sae
from saelib.sae.mapping import map_sae
from saelib.sae.saved_maps import load_map, map_folder
from saelib.sae.starts import Start
from saelib.sae.training.divergence import diverged_at

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


PLACE = re.compile(r"([^/]+)/L(\d+)/seed(\d+)/(\d+)")  # of an SAE below `PhaseFolders.saes`
OWN_SOURCE = "source"  # in place of a group: the one SAE of `PhaseFolders.source`


@dataclass(frozen=True)
class SaePlan:
    """One SAE to train: where, from which start, how fast."""

    arm: str
    """Name of the group that it belongs to; its folder."""
    sae_layer: int
    """Layer whose residual stream it learns."""
    seed: int
    """Of the random start; a transfer carries the seed of its source."""
    data_seed: int
    """Of the order of the data; a transfer carries that of its source too."""
    learning_rate: float
    start: Start | Literal["random"] = "random"
    """From random weights, or how its source is carried over."""
    source_arm: str | None = None
    """Group of the finished SAE that it starts from, or `OWN_SOURCE`; None for a random start."""
    source_layer: int | None = None
    """Layer of that SAE."""
    source_tokens: int = 0
    """Tokens that it was trained on."""
    l1_coefficient: float | None = None
    """lambda, in the model's own units; None takes the config's, the same at every layer."""
    activation_scale: float | None = None
    """What its residual streams are divided by while it trains; None takes the config's number."""
    mixed_layers: tuple[int, ...] = ()
    """Layers whose residual streams it learns in turn, token by token (Group-SAE, Ghilardi et al., EMNLP 2025); empty:
    that of `sae_layer` alone."""

    def __post_init__(self) -> None:
        """Refuse rates with which no step can be taken.

        Raises:
            ValueError: names the SAE and the value.
        """
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"{self.name}: learning_rate={self.learning_rate} should be a number above 0")
        if self.l1_coefficient is not None and not 0 <= self.l1_coefficient < math.inf:
            raise ValueError(f"{self.name}: l1_coefficient={self.l1_coefficient} should be 0 or a number above")
        if self.activation_scale is not None and not 0 < self.activation_scale < math.inf:
            raise ValueError(f"{self.name}: activation_scale={self.activation_scale} should be a number above 0")
        if wrong := [name for name in ("seed", "data_seed") if getattr(self, name) < 0]:
            raise ValueError(f"{self.name}: {wrong[0]}={getattr(self, wrong[0])} should be 0 or a number above")

    @property
    def reads(self) -> tuple[int, ...]:
        """Layers whose residual streams it learns."""
        return self.mixed_layers or (self.sae_layer,)

    @property
    def name(self) -> str:
        """How messages name it."""
        return self.called(self.arm, self.sae_layer, self.seed)

    @staticmethod
    def called(arm: str, sae_layer: int, seed: int) -> str:
        """How messages name an SAE."""
        return f"{arm} L{sae_layer} seed {seed}"

    def scale(self, config: TrainingConfig) -> float:
        """What its residual streams are divided by while it trains.

        Raises:
            ValueError: the config says "norm", which somebody has to measure, and the plan has no number.
        """
        asked = config.activation_scale if self.activation_scale is None else self.activation_scale
        if asked == "norm":
            raise ValueError(
                f"{self.name}: activation_scale='norm' is measured by an experiment (`saelib.train_phase`); give the "
                "plan its layer's number"
            )
        return 1.0 if asked == "none" else float(asked)

    def penalty(self, config: TrainingConfig) -> float:
        r"""lambda in the model's own units, as tables say it.

        With streams divided by s the squared error is s^2 times as small and the features s times, so that

        .. math:: e + \lambda l = s^2 (e / s^2 + (\lambda / s) l / s)

        and the loss of the divided streams has lambda / s, which is what a config's number means.
        """
        return config.l1_coefficient * self.scale(config) if self.l1_coefficient is None else self.l1_coefficient

    def step_penalty(self, config: TrainingConfig) -> float:
        """lambda of the loss of the divided streams, as steps take it."""
        return config.l1_coefficient if self.l1_coefficient is None else self.l1_coefficient / self.scale(config)

    def described(self) -> dict[str, Any]:
        """Its fields by name, without those that leave a choice to the config."""
        optional = ("l1_coefficient", "activation_scale", "mixed_layers")
        return {name: value for name, value in asdict(self).items() if name not in optional or value not in (None, ())}


class PhaseFolders(NamedTuple):
    """Where one phase of a run reads and writes."""

    saes: Path
    """Finished SAEs, sources too."""
    resume: Path
    """Resume points, and wall times."""
    maps: Path | None = None
    """Maps between the layers of sources and their transfers; needed where a plan starts by one."""
    source: Path | None = None
    """An SAE from elsewhere, whoever trained it; needed where a plan's source is `OWN_SOURCE`."""
    config_sha256: str | None = None
    """Of the config that all SAEs here were trained by; None where nobody asks."""

    def sae(self, arm: str, layer: int, seed: int, tokens: int) -> Path:
        """Folder of one SAE at one token count."""
        return self.saes / arm / f"L{layer}" / f"seed{seed}" / str(tokens)

    def expected(self, folder: Path) -> dict[str, str | int] | None:
        """What the lineage of the SAE in a folder should say, the inverse of `sae`; None of a folder elsewhere."""
        parts = folder.relative_to(self.saes).parts if folder.is_relative_to(self.saes) else ()
        found = PLACE.fullmatch("/".join(parts))
        if found is None:
            return None
        arm, layer, seed, tokens = found.groups()
        config = {} if self.config_sha256 is None else {"config_sha256": self.config_sha256}
        return {"arm": arm, "sae_layer": int(layer), "seed": int(seed), "tokens": int(tokens), **config}


def check_sources(plans: Iterable[SaePlan], folders: PhaseFolders) -> None:
    """See that every SAE which is to be copied is there; what would start from one that diverged is not trained.

    Raises:
        FileNotFoundError: one is not; the message names it.
    """
    for plan in plans:
        if plan.source_arm is None or source_diverged_at(plan, folders) is not None:
            continue
        if not (source_folder(plan, folders) / CONFIG).is_file():
            own = plan.source_arm == OWN_SOURCE
            remedy = "put it back" if own else f"train the SAEs of the arm {plan.source_arm} first"
            raise FileNotFoundError(
                f"{plan.name} starts from {source_folder(plan, folders)}, which is missing; {remedy}"
            )


def source_diverged_at(plan: SaePlan, folders: PhaseFolders) -> int | None:
    """The step at which the SAE had diverged that a plan would start from; None where it has none, or a sound one."""
    return None if plan.source_arm in (None, OWN_SOURCE) else diverged_at(source_folder(plan, folders))


def start_sae(
    plan: SaePlan, model: "LanguageModel", config: TrainingConfig, folders: PhaseFolders
) -> SparseAutoencoder:
    """The SAE at token 0: its source, copied or mapped, or random weights that depend on the seed and the layer alone.

    Training counts on decoder rows of unit norm; the source's are scaled so, which changes none of its reconstructions.

    Raises:
        FileNotFoundError: the source is not there, or the map.
        ValueError: the source is not as wide as the model's residual stream.
    """
    if plan.source_arm is None:
        seed = int(np.random.SeedSequence([plan.seed, plan.sae_layer]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        return random_sae(model.d_model, config.expansion_factor * model.d_model, generator).to(model.device)
    check_sources([plan], folders)
    source = source_folder(plan, folders)
    sae = load_sae(source, model.device, folders.expected(source))
    if sae.d_model != model.d_model:
        raise ValueError(
            f"{plan.name} starts from an SAE of d_in {sae.d_model}; {model.name} has d_model {model.d_model}"
        )
    sae.fold_decoder_norms()
    if plan.start != "copy":
        sae = map_sae(sae, load_map(_map(plan, folders), model.device))
    return sae.requires_grad_(True)


def _map(plan: SaePlan, folders: PhaseFolders) -> Path:
    assert folders.maps is not None and plan.source_layer is not None
    return map_folder(folders.maps, plan.start, plan.source_layer, plan.sae_layer, plan.data_seed)


def source_folder(plan: SaePlan, folders: PhaseFolders) -> Path:
    """Of the SAE that a transfer starts from."""
    assert plan.source_arm is not None and plan.source_layer is not None
    if plan.source_arm == OWN_SOURCE:
        assert folders.source is not None
        return folders.source
    return folders.sae(plan.source_arm, plan.source_layer, plan.seed, plan.source_tokens)
