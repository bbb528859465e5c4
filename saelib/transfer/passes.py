"""Which SAEs of a phase train side by side, from how many rows at a time: as memory allows.

In: a config, its model, the plans of a phase. Out: the memory that they will take, groups of plans, and their training,
group by group. What was planned is written down when a phase begins, so that a run goes on in the same way wherever it
is resumed.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from saelib.run.files import read_json, write_json
from saelib.sae.activations import default_rows_per_pass
from saelib.sae.config import TrainingPhase
from saelib.sae.training.memory_plan import (
    MemoryPlan,
    PhaseSizes,
    free_memory,
    gigabytes,
    groups,
    model_sizes,
    plan_memory,
)
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.schedule import most_branches
from saelib.sae.training.train import train
from saelib.transfer.config import ExperimentConfig

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel
    from saelib.transfer.experiment import Experiment

PASSES = "passes.json"  # beside a phase's resume points
NOTED = ("saes_per_pass", "rows_per_pass")  # in it
WORTH_SAYING = 0.5  # share of the free memory


class Passes(NamedTuple):
    """How a phase goes over its text."""

    groups: list[list[SaePlan]]
    """One for each pass: SAEs with the same order of the data, which train side by side."""
    rows_per_pass: int
    """Rows that the language model reads at once; they decide how sums are rounded."""


def by_order(plans: Sequence[SaePlan]) -> list[list[SaePlan]]:
    """The plans of each order of the data."""
    orders: dict[int, list[SaePlan]] = {}
    for plan in plans:
        orders.setdefault(plan.data_seed, []).append(plan)
    return list(orders.values())


def planned_memory(
    config: ExperimentConfig, model: "LanguageModel", plans: Sequence[SaePlan], phase: TrainingPhase
) -> MemoryPlan:
    """The memory of a phase on the device of the model, as it is free now.

    Raises:
        MemoryError: not even one SAE fits.
    """
    saes, layers = max(map(len, by_order(plans))), len({plan.sae_layer for plan in plans})
    sizes = PhaseSizes(model_sizes(model), config, saes, layers, config.evaluation_batch_rows, model.device,
                       strands=1 + most_branches(phase, config))  # fmt: skip
    held = sizes.model.parameters * 4  # the model is there already, and the plan counts it
    return plan_memory(sizes, free_memory(model.device) + held, default_rows_per_pass(model.device, config))


def plan_passes(
    config: ExperimentConfig, model: "LanguageModel", plans: Sequence[SaePlan], phase: TrainingPhase, folder: Path
) -> Passes:
    """The plans in groups, each for one pass over the text; one for each order of the data where memory holds all.

    What is planned is said on standard error where it takes much of the memory, or several passes.

    Args:
        folder: of the phase's resume points, where `note_passes` has written down how a phase has begun.

    Raises:
        MemoryError: not even one SAE fits; the message has the numbers and the remedy.
        ValueError: what was written down cannot be read.
    """
    if (folder / PASSES).is_file():
        saes, rows = _noted(folder / PASSES)
        return divided(plans, saes, rows)
    planned = planned_memory(config, model, plans, phase)
    if planned.passes > 1 or planned.most > WORTH_SAYING * planned.free:
        print(f"Memory of phase {folder.name}, at most {gigabytes(planned.most)}:\n{planned}", file=sys.stderr)
    return divided(plans, planned.saes_per_pass, planned.rows_per_pass)


def divided(plans: Sequence[SaePlan], saes: int, rows: int) -> Passes:
    """The plans of a phase in passes of so many SAEs at most, each on one order of the data."""
    return Passes([group for order in by_order(plans) for group in groups(order, saes)], rows)


def note_passes(passes: Passes, folder: Path) -> None:
    """Write down how a phase begins."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / PASSES, dict(zip(NOTED, (len(passes.groups[0]), passes.rows_per_pass), strict=True)))


def train_passes(
    experiment: "Experiment", passes: Passes, config: ExperimentConfig, phase: TrainingPhase, folders: PhaseFolders
) -> list[dict[str, Any]]:
    """Train the groups one after the other, on the experiment's text; what is finished is found again.

    Args:
        config: of the trainings: the experiment's own, or one made from it.
        folders: each group's resume points lie in a folder of its own, numbered where there are several.

    Returns:
        The rows of `train`.
    """
    origin: dict[str, str | bool] = {"model_name": config.language_model, "dataset_path": config.corpus}
    origin["prepend_bos"] = experiment.corpus.prepend_bos
    rows = []
    for number, plans in enumerate(passes.groups, start=1):
        name = folders.resume.name if len(passes.groups) == 1 else f"{folders.resume.name}-{number}"
        mine = folders._replace(resume=folders.resume.with_name(name))
        text = experiment.training_rows(plans[0].data_seed)
        rows += train(plans, phase, experiment.model, text, config, mine, origin, rows_per_pass=passes.rows_per_pass,
                      inputs=experiment.inputs)  # fmt: skip
    return rows


def _noted(path: Path) -> list[int]:
    """SAEs that train side by side and rows per pass, as they were written down."""
    try:
        noted = read_json(path)
    except ValueError:
        noted = None
    found = map(noted.get, NOTED) if isinstance(noted, dict) else ()
    numbers = [number for number in found if isinstance(number, int) and number > 0]
    if len(numbers) < len(NOTED):
        raise ValueError(
            f"{path} is damaged: it has no {' and '.join(NOTED)}, and the phase could not go on as it began; delete "
            f"the folder {path.parent} to train it from its beginning"
        )
    return numbers
