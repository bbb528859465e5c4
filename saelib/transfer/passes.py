"""Which SAEs of a phase train side by side, from how many rows at a time: as memory allows.

In: a config, its model, the plans of a phase. Out: the memory that they will take, groups of plans, and their training,
group by group. What was planned is written down when a phase begins, so that a run goes on in the same way wherever it
is resumed; a note of another training, or a changed one, is refused.
"""

import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from saelib.run.reading import DamagedFileError
from saelib.run.sealed import read_sealed_json, write_sealed_json
from saelib.sae.activations import default_rows_per_pass
from saelib.sae.config import TrainingPhase
from saelib.sae.training.divergence import DivergedError
from saelib.sae.training.fingerprint import fingerprint
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
    training: str = ""
    """What is trained, and how (`fingerprint`): to what a note of the two belongs."""


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
    saes, layers = max(map(len, by_order(plans))), len({layer for plan in plans for layer in plan.reads})
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
        DamagedFileError: what was written down cannot be read, is of another training, or is not there though there
            are resume points.
    """
    training = fingerprint(plans, phase, config)
    if (folder / PASSES).is_file() or _has_begun(folder):
        saes, rows = _noted(folder / PASSES, training)
        return divided(plans, saes, rows)._replace(training=training)
    planned = planned_memory(config, model, plans, phase)
    if planned.passes > 1 or planned.most > WORTH_SAYING * planned.free:
        print(f"Memory of phase {folder.name}, at most {gigabytes(planned.most)}:\n{planned}", file=sys.stderr)
    return divided(plans, planned.saes_per_pass, planned.rows_per_pass)._replace(training=training)


def divided(plans: Sequence[SaePlan], saes: int, rows: int) -> Passes:
    """The plans of a phase in passes of so many SAEs at most, each on one order of the data."""
    return Passes([group for order in by_order(plans) for group in groups(order, saes)], rows)


def note_passes(passes: Passes, folder: Path) -> None:
    """Write down how a phase begins."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = dict(zip(NOTED, (len(passes.groups[0]), passes.rows_per_pass), strict=True))
    write_sealed_json(folder / PASSES, numbers, folder.name + passes.training)


def train_passes(
    experiment: "Experiment", passes: Passes, config: ExperimentConfig, phase: TrainingPhase, folders: PhaseFolders
) -> list[dict[str, Any]]:
    """Train the groups one after the other, on the experiment's text; what is finished is found again.

    Args:
        config: of the trainings: the experiment's own, or one made from it.
        folders: each group's resume points lie in a folder of its own, numbered where there are several.

    Returns:
        The rows of `train`.

    Raises:
        DivergedError: no SAE of any group is left. Where one is, the phase is finished: its rows say which diverged.
    """
    origin: dict[str, str | bool | int] = {"model_name": config.language_model, "dataset_path": config.corpus}
    origin |= experiment.corpus.beginning
    rows: list[dict[str, Any]] = []
    lost: list[str] = []
    for number, plans in enumerate(passes.groups, start=1):
        name = folders.resume.name if len(passes.groups) == 1 else f"{folders.resume.name}-{number}"
        mine = folders._replace(resume=folders.resume.with_name(name))
        text = experiment.training_rows(plans[0].data_seed)
        try:
            rows += train(plans, phase, experiment.model, text, config, mine, origin,
                          rows_per_pass=passes.rows_per_pass, inputs=experiment.inputs)  # fmt: skip
        except DivergedError as error:
            rows += error.log
            lost.append(str(error))
    if len(lost) == len(passes.groups):
        raise DivergedError(lost[0], rows)
    for said in lost:
        warnings.warn(f"pass with no SAE left: {said}", stacklevel=2)
    return rows


def _has_begun(folder: Path) -> bool:
    """Whether a phase has resume points, of any of its passes."""
    return any(folder.parent.glob(f"{folder.name}/[0-9]*/")) or any(folder.parent.glob(f"{folder.name}-[0-9]*/[0-9]*/"))


def _noted(path: Path, training: str) -> list[int]:
    """SAEs that train side by side and rows per pass, as they were written down."""
    remedy = (
        f"the phase could not go on as it began: delete the folder {path.parent} to train it from its beginning, and "
        f"those of its passes beside it, {path.parent}-*"
    )
    try:
        return read_sealed_json(path, _numbers, path.parent.name + training, remedy)
    except FileNotFoundError as error:
        raise DamagedFileError(f"{path} is missing; {remedy}") from error


def _numbers(noted: Mapping[str, Any]) -> list[int]:
    numbers = [noted[name] for name in NOTED]
    if not all(type(number) is int and number > 0 for number in numbers):
        raise ValueError(f"{' and '.join(NOTED)} should be whole numbers above 0")
    return numbers
