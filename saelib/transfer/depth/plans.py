"""The SAEs of the study: which are trained for it, and which are read at which layer.

In: an experiment. Out: plans of the two trainings that the run itself lacks, scratch SAEs of further layers and λs, and
short trainings from mapped starts; and every SAE that is scored, in parts of a few layers each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.sae.config import TrainingPhase
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.transfer.depth.lambdas import ByDepth
from saelib.transfer.lambdas import rounded
from saelib.transfer.scored import ScoredSae

if TYPE_CHECKING:
    from saelib.transfer.config import ExperimentConfig
    from saelib.transfer.experiment import Experiment

LAYERS_PER_PART = 2  # their SAEs are in memory at once; the clean pass is made for each part
GROUP_ARM = "depth_group"
TRAININGS = ("depth_scratch", "depth_tuned")
"""Of the study alone: names of their resume points, and beginnings of their arms' folders."""


@dataclass(frozen=True)
class DepthSae(ScoredSae):
    """An SAE and the layer that it reads. Of "copy" and "affine" `folder` is the source's."""

    budget: int
    """Tokens that its source was trained on; of a scratch SAE, itself."""
    distance: int
    """Layers from the source to the one that it reads; negative towards the input."""
    l1_multiple: float
    """Its λ in training, over that of its layer."""


def source_layer(experiment: "Experiment") -> int:
    """The layer whose scratch SAEs are carried to all others."""
    source = experiment.config.depth_source
    assert source is not None
    return source


def scratch_layers(experiment: "Experiment") -> tuple[int, ...]:
    """Layers with scratch SAEs to compare with: those asked for, and the source's own."""
    return tuple(sorted({*(experiment.config.depth_scratch_layers or ()), source_layer(experiment)}))


def training(experiment: "Experiment", name: str) -> TrainingPhase:
    """Tokens and rate of one of `TRAININGS`: scratch's, kept at the source's budgets; short, at transfers' rate."""
    config = experiment.config
    if name == "depth_scratch":
        return TrainingPhase(checkpoints=(0, *config.depth_ends), learning_rate=config.scratch.learning_rate)
    return TrainingPhase(checkpoints=(0, config.depth_tuned_for), learning_rate=config.transfer.learning_rate)


def training_config(experiment: "Experiment", name: str) -> "ExperimentConfig":
    """What one of `TRAININGS` trains by.

    Where scratch SAEs for the study end before the run's, λ grows over as many steps as in the run's, so that the two
    are equal at equal tokens.
    """
    config, phase = experiment.settled, training(experiment, name)
    if name != "depth_scratch" or phase.tokens == config.scratch.tokens:
        return config
    steps, of_run = (tokens // config.batch_tokens for tokens in (phase.tokens, config.scratch.tokens))
    warm_up = int(config.l1_warm_up_share * of_run)
    share = (warm_up + 1e-6) / steps  # of which the whole part is taken
    return config.replace(depth_source=None, trial_tokens=None, scratch=phase, transfer=phase, l1_warm_up_share=share)


def training_folders(experiment: "Experiment", name: str) -> PhaseFolders:
    """Where one of `TRAININGS` reads and writes."""
    return PhaseFolders(
        saes=experiment.folder / "saes",
        resume=experiment.folder / "resume_points" / name,
        maps=experiment.folder / "depth_maps",
        config_sha256=experiment.config.sha256(),
    )


def training_plans(experiment: "Experiment", name: str, numbers: ByDepth) -> list[SaePlan]:
    """The SAEs of one of `TRAININGS`.

    Args:
        numbers: λ and scale of each layer.
    """
    if name == "depth_scratch":
        return [*_scratch_plans(experiment, numbers), *_group_plans(experiment, numbers)]
    config = experiment.config
    return [
        SaePlan(_tuned_arm(budget), layer, *replicate, config.transfer.learning_rate, "affine", "scratch",
                source_layer(experiment), budget, numbers.l1_coefficients[layer], numbers.activation_scales[layer])
        for layer in config.depth_fine_tuning or ()
        for budget in config.depth_ends
        for replicate in config.replicates
    ]  # fmt: skip


def _scratch_plans(experiment: "Experiment", numbers: ByDepth) -> Iterator[SaePlan]:
    """Those that the run's own phase does not train."""
    config = experiment.config
    for layer in scratch_layers(experiment):
        for multiple in config.depth_l1_multiples:
            if not _is_own(experiment, layer, multiple):
                for replicate in config.replicates:
                    yield SaePlan(_scratch_arm(multiple), layer, *replicate, config.scratch.learning_rate,
                                  l1_coefficient=rounded(multiple * numbers.l1_coefficients[layer]),
                                  activation_scale=numbers.activation_scales[layer])  # fmt: skip


def _group_plans(experiment: "Experiment", numbers: ByDepth) -> Iterator[SaePlan]:
    """One SAE for several layers, with the start, λ and scale of the source's."""
    config, source = experiment.config, source_layer(experiment)
    for replicate in config.replicates if config.depth_group else ():
        yield SaePlan(GROUP_ARM, source, *replicate, config.scratch.learning_rate,
                      l1_coefficient=numbers.l1_coefficients[source],
                      activation_scale=numbers.activation_scales[source],
                      mixed_layers=config.depth_group or ())  # fmt: skip


def _is_own(experiment: "Experiment", layer: int, multiple: float) -> bool:
    return multiple == 1 and layer in experiment.layers


def _scratch_arm(multiple: float) -> str:
    return f"depth_scratch_{multiple:g}"


def _tuned_arm(budget: int) -> str:
    return f"depth_tuned_{budget}"


def asked_by_part(experiment: "Experiment") -> dict[str, list[DepthSae]]:
    """Every SAE that is scored, by the name of its part."""
    layers = range(experiment.model.n_layers)
    groups = [layers[first : first + LAYERS_PER_PART] for first in layers[::LAYERS_PER_PART]]
    return {
        f"layers-{group[0]:03d}-{group[-1]:03d}": [one for layer in group for one in _asked(experiment, layer)]
        for group in groups
    }


def _asked(experiment: "Experiment", layer: int) -> Iterator[DepthSae]:
    """What is read at one layer."""
    config = experiment.config
    for budget in config.depth_ends:
        for replicate in config.replicates:
            yield carried(experiment, layer, budget, replicate, "copy")
            yield carried(experiment, layer, budget, replicate, "affine")
            if layer in (config.depth_fine_tuning or ()):
                yield _tuned(experiment, layer, budget, replicate)
            if layer in scratch_layers(experiment):
                for multiple in config.depth_l1_multiples:
                    yield _scratch(experiment, layer, budget, replicate, multiple)
            if layer in (config.depth_group or ()):
                yield _group(experiment, layer, budget, replicate)


def carried(
    experiment: "Experiment", layer: int, budget: int, replicate: tuple[int, int], arm: str, tokens: int = 0
) -> DepthSae:
    """The source at another layer; `arm` is how it comes there."""
    source, (seed, data_seed) = source_layer(experiment), replicate
    distance = layer - source
    return DepthSae(
        arm=arm,
        direction=None if distance == 0 else "forward" if distance > 0 else "backward",
        start="copy" if arm == "copy" else "affine",
        source_layer=source,
        sae_layer=layer if tokens else source,
        act_layer=layer,
        seed=seed,
        data_seed=data_seed,
        tokens=tokens,
        source_tokens=budget,
        map_tokens=0 if arm == "copy" else experiment.config.map_tokens,
        folder=experiment.phase_folders("scratch").sae("scratch", source, seed, budget),
        budget=budget,
        distance=distance,
        l1_multiple=1.0,
    )


def _tuned(experiment: "Experiment", layer: int, budget: int, replicate: tuple[int, int]) -> DepthSae:
    """The mapped source after a short training at its new layer."""
    tokens, folders = experiment.config.depth_tuned_for, training_folders(experiment, "depth_tuned")
    folder = folders.sae(_tuned_arm(budget), layer, replicate[0], tokens)
    return replace(carried(experiment, layer, budget, replicate, "tuned", tokens), folder=folder)


def _scratch(
    experiment: "Experiment", layer: int, budget: int, replicate: tuple[int, int], multiple: float
) -> DepthSae:
    """A scratch SAE of the layer itself."""
    own = _is_own(experiment, layer, multiple)
    folders = experiment.phase_folders("scratch") if own else training_folders(experiment, "depth_scratch")
    folder = folders.sae("scratch" if own else _scratch_arm(multiple), layer, replicate[0], budget)
    return _from_scratch(experiment, "scratch", layer, layer, budget, replicate, folder, multiple)


def _group(experiment: "Experiment", layer: int, budget: int, replicate: tuple[int, int]) -> DepthSae:
    """The SAE of several layers at one of them."""
    source = source_layer(experiment)
    folder = training_folders(experiment, "depth_scratch").sae(GROUP_ARM, source, replicate[0], budget)
    return _from_scratch(experiment, "group", source, layer, budget, replicate, folder)


def _from_scratch(
    experiment: "Experiment",
    arm: str,
    sae_layer: int,
    act_layer: int,
    budget: int,
    replicate: tuple[int, int],
    folder: Path,
    multiple: float = 1.0,
) -> DepthSae:
    return DepthSae(
        arm=arm,
        direction=None,
        start="random",
        source_layer=None,
        sae_layer=sae_layer,
        act_layer=act_layer,
        seed=replicate[0],
        data_seed=replicate[1],
        tokens=budget,
        source_tokens=0,
        map_tokens=0,
        folder=folder,
        budget=budget,
        distance=act_layer - source_layer(experiment),
        l1_multiple=multiple,
    )
