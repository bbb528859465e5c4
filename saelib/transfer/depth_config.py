"""What a config says of the study `depth`: which layer is carried to all others, and what it is compared with.

In: fields of an `ExperimentConfig`, which has these among its own. Out: a refusal, with the field, the value and the
remedy, of what does not fit the rest of it.
"""

from typing import Annotated, ClassVar

from pydantic import AfterValidator, NonNegativeInt, PositiveFloat, PositiveInt

from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.transfer.fields import rising

SHORT_SHARE = 1 / 8  # of the source's tokens: a short training


def _with_one(multiples: tuple[float, ...]) -> tuple[float, ...]:
    if 1 not in multiples:
        raise ValueError(f"name 1 too, {sorted([1, *multiples])}: these are the layer's own")
    return multiples


class DepthConfig(TrainingConfig):
    """What trainings read, with the fields of the study."""

    ADDED: ClassVar[tuple[str, ...]] = (
        *TrainingConfig.ADDED,
        *("depth_source", "depth_budgets", "depth_scratch_layers", "depth_l1_multiples", "depth_fine_tuning"),
        *("depth_fine_tuning_tokens", "depth_group", "depth_rows"),
    )

    depth_source: NonNegativeInt | None = None
    """One of the run's layers, whose scratch SAEs are carried to every layer of the model (`depth.study`); None: no
    such study, and no other field named depth_... has an effect."""
    depth_budgets: Annotated[tuple[PositiveInt, ...], rising("budget", "None takes the end")] | None = None
    """Token counts of scratch at which the source is taken, the last a whole number of chunks; None: its end alone.
    What is trained to compare with has as many tokens."""
    depth_scratch_layers: Annotated[tuple[NonNegativeInt, ...], rising("layer", "None takes none")] | None = None
    """Layers of the model with scratch SAEs to compare with, trained for the study where the run has none."""
    depth_l1_multiples: Annotated[tuple[PositiveFloat, ...], rising("lambda", "1 is the layer's own"),
                                  AfterValidator(_with_one)] = (1.0,)  # fmt: skip
    """Lambdas of these scratch SAEs, in that of their layer; 1 is among them. With several, what is carried over is
    compared with scratch at its own L0."""
    depth_fine_tuning: Annotated[tuple[NonNegativeInt, ...], rising("layer", "None takes none")] | None = None
    """Layers of the model at which the mapped source is trained for a short while."""
    depth_fine_tuning_tokens: PositiveInt | None = None
    """Tokens of that training, whole chunks; None takes about an eighth of the source's."""
    depth_group: Annotated[tuple[NonNegativeInt, ...], rising("layer", "None takes none")] | None = None
    """Layers, the source among them, for which one SAE is trained, on as many tokens as one SAE of one layer: the idea
    of Group-SAE."""
    depth_rows: PositiveInt | None = None
    """Held-out rows on which the study's SAEs are scored, spread evenly over them; None takes all: there are many
    SAEs."""


def check_depth(
    config: DepthConfig,
    layers: tuple[int, ...] | None,
    held_out_rows: int,
    scratch: TrainingPhase,
    tuned: TrainingPhase,
) -> None:
    """Refuse fields of the study that contradict the run's; without a source none is looked at.

    Args:
        layers: of the run; None where it has all.
        held_out_rows: of the run.
        scratch: its phase.
        tuned: the study's short training.

    Raises:
        ValueError: names the field, its value, and what would be right.
    """
    source, ends, group = config.depth_source, config.depth_budgets or (scratch.tokens,), config.depth_group
    if source is None:
        return
    if layers is not None and source not in layers:
        raise ValueError(f"depth_source={source}: the run trains layers {list(layers)}; name one")
    there = scratch.checkpoints[1:]
    if wrong := sorted(set(ends) - set(there)):
        raise ValueError(f"depth_budgets={list(ends)}: {wrong} are none of scratch's; choose from {list(there)}")
    if config.schedule == "paper" and ends[-1] != there[-1]:
        raise ValueError(
            f"depth_budgets={list(ends)}: by the schedule paper a scratch SAE has had its decay at the end alone; "
            f"name {there[-1]} too"
        )
    if group is not None and (source not in group or len(group) < 2):
        raise ValueError(f"depth_group={list(group)}: name layers around depth_source={source}, and it too")
    if config.depth_rows is not None and config.depth_rows > held_out_rows:
        raise ValueError(f"depth_rows={config.depth_rows}: there are held_out_rows={held_out_rows}")
    own = TrainingPhase(checkpoints=(0, *ends), learning_rate=scratch.learning_rate)
    config.check_phases(depth_budgets=own, depth_fine_tuning_tokens=tuned)
