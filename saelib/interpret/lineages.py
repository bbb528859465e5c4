"""Which SAEs of a run stand side by side: each transfer with its source, and with scratch of its layer.

In: the run's plans, and what the config asks for. Out: lineages; what the run does not have is refused by name.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from saelib.interpret.config import InterpretConfig
from saelib.interpret.subjects import SCRATCH, Lineage, Subject
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.directions import parse_arm

if TYPE_CHECKING:
    from saelib.sae.training.plan import SaePlan


def check_looked_at(config: InterpretConfig, plans: "Iterable[SaePlan]") -> None:
    """Refuse layers, arms and replicates that no transfer has, and a run without transfers.

    Args:
        plans: of the transfers.

    Raises:
        ValueError: names the field, its value, and what there is.
    """
    transfers = [plan for plan in plans if parse_arm(plan.arm) is not None]
    if not transfers:
        raise ValueError("a transfer needs two layers, and this run has scratch SAEs only: name two layers or more "
                         "(layers), or see 11_scratch_saes")  # fmt: skip
    layers = sorted({plan.sae_layer for plan in transfers})
    arms, replicates = (list(dict.fromkeys(getattr(plan, name) for plan in transfers)) for name in ("arm", "seed"))
    for field, there in {"feature_layers": layers, "circuit_layers": layers, "feature_arms": arms}.items():
        if wrong := [value for value in getattr(config, field) or () if value not in there]:
            raise ValueError(f"{field}={list(getattr(config, field))}: the run has no transfers of {wrong}; choose "
                             f"from {there}, or None")  # fmt: skip
    for field in ("feature_seeds", "circuit_seeds"):
        if getattr(config, field) > len(replicates):
            raise ValueError(f"{field}={getattr(config, field)}: the run has {len(replicates)} replicates")


def find_lineages(
    plans: "Sequence[SaePlan]",
    experiment: ExperimentConfig,
    layers: tuple[int, ...] | None,
    arms: tuple[str, ...] | None,
    seeds: int,
    has_diverged: Callable[[Subject], bool],
) -> list[Lineage]:
    """The transfers that are asked for, with what stands beside each; without those where one diverged.

    Args:
        plans: of the transfers.
        experiment: whose they are.
        layers: of the transfers; None takes all.
        arms: None takes those from the nearest source.
        seeds: how many replicates: those where fewest diverged, the first of equal ones. They are taken whole, as
            arms are compared within one.
        has_diverged: whether a training was stopped before that token count.
    """
    chosen = [
        plan for plan in plans
        if (layers is None or plan.sae_layer in layers) and (plan.arm in arms if arms else _is_near(plan))
    ]  # fmt: skip
    found = (_lineage(plan, experiment, has_diverged) for plan in chosen)
    sound = [lineage for lineage in found if lineage is not None]
    counts = Counter(lineage.seed for lineage in sound)
    taken = sorted(experiment.seeds, key=lambda seed: -counts[seed])[:seeds]
    return [lineage for lineage in sound if lineage.seed in taken]


def _is_near(plan: "SaePlan") -> bool:
    """Whether it is a transfer from the nearest source; where there is one source for all, every transfer is."""
    arm = parse_arm(plan.arm)
    return arm is not None and arm.distance == 1


def _lineage(
    plan: "SaePlan", experiment: ExperimentConfig, has_diverged: Callable[[Subject], bool]
) -> Lineage | None:  # fmt: skip
    """A transfer and what stands beside it; None where one that is needed diverged."""
    assert plan.source_layer is not None and plan.source_arm is not None
    scratch, transfer, layer, seed = experiment.scratch, experiment.transfer, plan.sae_layer, plan.seed
    source = Subject(plan.source_arm, plan.source_layer, plan.source_layer, seed, plan.source_tokens)
    transferred = Subject(plan.arm, layer, layer, seed, transfer.tokens)
    own = Subject(SCRATCH, layer, layer, seed, scratch.tokens)
    if any(map(has_diverged, (source, transferred, own))):
        return None
    equal = Subject(SCRATCH, layer, layer, seed, transfer.tokens)
    is_kept = transfer.tokens in scratch.checkpoints and not has_diverged(equal)
    return Lineage(source, source.at(layer), transferred, own, equal if is_kept else None)
