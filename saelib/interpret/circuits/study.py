"""What the SAEs of a run contribute to answers, and which circuits they hold, as stages of the run.

In: an `Interpretation` whose SAEs are trained. Out: `attribution.parquet`, the score of every prompt at every
checkpoint; `circuit_tasks.parquet`, how well the model itself does each task; `faithfulness.parquet`, circuits of
several sizes; and `patching.parquet`, estimated effects beside exact ones. What is finished costs nothing when called
again, an interrupted call loses a part at most. Prompts begin as the rows do that the SAEs learned from; where those
begin with text alone, what stands between two documents is put first.
"""

import warnings
from typing import NamedTuple

import pandas as pd

from saelib.interpret.circuits.asking import KEYS, Asker, Finder
from saelib.interpret.circuits.tasks.prompts import TaskError
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.parts import make_parts, parts_state
from saelib.interpret.subjects import Subject

ATTRIBUTION, TASKS_DONE, FAITHFULNESS, PATCHING = "attribution", "circuit_tasks", "faithfulness", "patching"
ATTRIBUTION_COLUMNS = [*KEYS, "prompt", "kind", "wanted", "tried", "score"]
CURVE_COLUMNS = ["task", *KEYS, "measure", "choice", "share", "k", "score", "standard_error", "reason", "prompts",
                 "circuit", "empty", "model", "sae_sha256"]  # fmt: skip
PATCHING_COLUMNS = ["task", *KEYS, "position", "feature", "estimate", "exact"]


class CircuitTables(NamedTuple):
    """What `run_circuits` makes; README of `saelib.interpret` has the columns."""

    tasks: pd.DataFrame
    faithfulness: pd.DataFrame
    patching: pd.DataFrame


def attribution_state(interpretation: Interpretation) -> str:
    """One line: what there is of the attribution."""
    asked = {} if interpretation.config.stored else {ATTRIBUTION: _series(interpretation)}
    return parts_state(interpretation, "Attribution over checkpoints", asked)


def circuits_state(interpretation: Interpretation) -> str:
    """One line: what there is of the circuits; which tasks have a score is known once the model has done them."""
    asked = {} if interpretation.config.stored else {TASKS_DONE: interpretation.config.circuit_tasks}
    return parts_state(interpretation, "Tasks", asked)


def run_attribution(interpretation: Interpretation) -> pd.DataFrame:
    """Make `attribution.parquet`, or finish it: of scratch and each arm at all their checkpoints.

    Returns:
        arm, sae_layer, act_layer, seed, tokens, prompt, kind ("facts" or "text"), wanted and tried (how many prompts),
        score, sae_sha256 (of all SAEs of the part together), and where the numbers come from.

    A model that knows no facts and is sure of no text has none: a warning says so, and the table is empty.

    Raises:
        FileNotFoundError, ValueError, RunInUseError, DamagedFileError: as `parts.make_parts`.
    """
    interpretation.check()
    series = {} if interpretation.config.stored else _series(interpretation)
    asker = Asker(interpretation)
    if not all(map(interpretation.table(ATTRIBUTION).has, series)):
        try:
            _ = asker.questions
        except TaskError as error:
            warnings.warn(f"no attribution: {error}", stacklevel=2)
            return pd.DataFrame(columns=ATTRIBUTION_COLUMNS)

    def make(part: str) -> pd.DataFrame:
        return pd.concat([asker.scores(subject) for subject in series[part]], ignore_index=True)

    return make_parts(interpretation, ATTRIBUTION, series, make, ATTRIBUTION_COLUMNS)


def _series(interpretation: Interpretation) -> dict[str, list[Subject]]:
    """Each SAE at its checkpoints, by the name of its part, layer after layer: transfers, and scratch beside them."""
    ends = {one for lineage in interpretation.lineages() for one in (lineage.scratch, lineage.transferred)}
    order = sorted(ends, key=lambda end: (end.act_layer, end))
    return {f"{end.arm}-L{end.act_layer}-seed{end.seed}": interpretation.at_checkpoints(end) for end in order}


def run_circuits(interpretation: Interpretation) -> CircuitTables:
    """Make the tables of circuits, or finish them; a task that the model does not do has a line in `tasks` alone.

    Raises:
        FileNotFoundError, ValueError, RunInUseError, DamagedFileError: as `parts.make_parts`.
    """
    interpretation.check()
    finder = Finder(interpretation)
    asked: dict[str, list[Subject]] = {task: [] for task in interpretation.config.circuit_tasks}
    tasks = make_parts(interpretation, TASKS_DONE, asked, finder.accuracy)
    scored = [str(task) for task in tasks.loc[tasks["scored"].astype(bool), "task"]]
    if not scored:
        return CircuitTables(tasks, pd.DataFrame(columns=CURVE_COLUMNS), pd.DataFrame(columns=PATCHING_COLUMNS))
    wanted = {} if interpretation.config.stored else finder.wanted(scored)
    curves = {part: [subject] for part, (_, subject) in wanted.items()}
    own = {part: [subject] for part, (_, subject) in wanted.items() if is_own(subject, interpretation)}
    return CircuitTables(
        tasks,
        make_parts(interpretation, FAITHFULNESS, curves, lambda part: finder.curves(*wanted[part]), CURVE_COLUMNS),
        make_parts(interpretation, PATCHING, own, lambda part: finder.patching(*wanted[part]), PATCHING_COLUMNS),
    )


def is_own(subject: Subject, interpretation: Interpretation) -> bool:
    """Whether it is the finished scratch SAE of the layer that it reads."""
    return subject.arm == "scratch" and not subject.is_zero_shot and (
        subject.tokens == interpretation.experiment.phase("scratch").tokens
    )  # fmt: skip
