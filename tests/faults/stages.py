"""The stages of a small run of both papers, one after the other, each as work for a child process.

In: a folder with a model and a text. Out: for each stage its name and what it does. Two layers, one replicate, few
tokens: a stage takes a fraction of a second once the libraries are loaded.
"""

import hashlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pandas as pd
from nbformat.v4 import new_markdown_cell, new_notebook

from saelib.batch.notebooks import REPORT
from saelib.batch.report import write_report
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.readings import readings_of
from saelib.htest.scoring.stored import score_study
from saelib.htest.stages import ask_controls, ask_models, stored_replies
from saelib.htest.study import Study, open_study
from saelib.results.figures import save_figure
from saelib.results.tables import write_tables
from saelib.results.values import record_values
from saelib.run.files import write_atomically
from saelib.run.lock import hold
from saelib.transfer import figures
from saelib.transfer.experiment import PHASES, Experiment, open_experiment
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase
from saelib.transfer.tables import read_maps, read_results, read_training

TEXT = "\n\n".join(
    f"Paragraph {number} tells of {number * 7} small things, and of nothing else at all." for number in range(3000)
)
RUN = "small"
CHUNK = 4 * 32  # tokens


class World(NamedTuple):
    """What runs are made from; nothing in it changes."""

    model: Path
    text: Path

    def experiment(self, **changes: Any) -> Experiment:
        phase = {"checkpoints": [0, CHUNK, 2 * CHUNK]}
        parameters: dict[str, Any] = {
            "preset": "smoke", "run": RUN, "language_model": str(self.model), "corpus": str(self.text),
            "layers": [0, 1], "sae_seeds": 1, "context_length": 32, "chunk_rows": 4, "batch_tokens": 64,
            "map_tokens": CHUNK, "held_out_rows": 4, "scratch": phase, "transfer": phase,
        }  # fmt: skip
        return open_experiment(**parameters | changes)

    def study(self, **changes: Any) -> Study:
        parameters: dict[str, Any] = {
            "preset": "smoke", "run": RUN, "models": ["embedded"], "shots": [0], "test_items": 4,
            "tasks": ["uppercase", "end_ly"], "official": "none",
        }  # fmt: skip
        return open_study(**parameters | changes)


class Stage(NamedTuple):
    """A part of a run that a process does, and may be ended in."""

    name: str
    paper: int
    """1 or 2; 0 for what is shown of both."""
    do: Callable[[World], object]

    def work(self, world: World) -> None:
        """Begin it, or finish it."""
        self.do(world)


def _ask(world: World) -> None:
    study = world.study()
    ask_controls(study)
    ask_models(study, study.config.models, study.config.shots)


def _show(world: World) -> None:
    """What notebooks keep of a run: values, tables, figures."""
    experiment = world.experiment()
    training, maps = read_training(experiment), read_maps(experiment)
    record_values(experiment, "11_scratch_saes", {"rows": len(training), "maps": len(maps)})
    write_tables(experiment, "maps", maps[["source_layer", "act_layer", "r2"]])
    save_figure(experiment, figures.training(training))


def _report(world: World) -> None:
    """The page, on a report notebook that is not this test's business."""
    folder = world.experiment().folder
    text = nbformat.writes(new_notebook(cells=[new_markdown_cell("# A report", id="title")]))
    with hold(folder):  # as the batch run does
        write_atomically(folder / "notebooks" / f"{REPORT.name}.ipynb", lambda path: path.write_text(text))
        write_report(folder)


STAGES = (
    Stage("train scratch", 1, lambda world: train_phase(world.experiment(), "scratch")),
    Stage("train transfer", 1, lambda world: train_phase(world.experiment(), "transfer")),
    Stage("evaluate scratch", 1, lambda world: evaluate_phase(world.experiment(), "scratch")),
    Stage("evaluate transfer", 1, lambda world: evaluate_phase(world.experiment(), "transfer")),
    Stage("evaluate zero-shot", 1, lambda world: evaluate_zero_shot(world.experiment())),
    Stage("H-Test asks", 2, _ask),
    Stage("H-Test scores", 2, lambda world: score_study(world.study())),
    Stage("notebooks show", 0, _show),
    Stage("report", 0, _report),
)


def go_on(world: World, paper: int) -> None:
    """All stages of a paper, or of both with 0, one after the other: a run goes on, or is found finished."""
    for stage in STAGES:
        if paper in (0, stage.paper):
            stage.work(world)


WHOLE = Stage(STAGES[-1].name, 0, lambda world: go_on(world, 0))
"""All of them as one, which ends as the last one does."""


def read(world: World, paper: int) -> dict[str, str]:
    """SHA-256 of everything that a finished run shows of a paper: tables, weights of all SAEs, scores of replies."""
    if paper == 2:
        return {"scores": _sha256_of_table(accuracies_of(readings_of(stored_replies(world.study()))))}
    experiment = world.experiment()
    evaluation, rows = read_results(experiment)
    assert rows is not None
    tables = {"evaluation": evaluation, "rows": rows, "training": read_training(experiment),
              "maps": read_maps(experiment)}  # fmt: skip
    return {name: _sha256_of_table(table) for name, table in tables.items()} | _weights(experiment)


def _weights(experiment: Experiment) -> dict[str, str]:
    found = {}
    for name in PHASES:
        for plan, tokens in product(experiment.plans(name), experiment.phase(name).checkpoints):
            sae = experiment.sae(plan.arm, plan.sae_layer, plan.seed, tokens)
            values = [parameter.numpy().tobytes() for _, parameter in sorted(sae.named_parameters())]
            found[f"{plan.arm} L{plan.sae_layer} at {tokens}"] = hashlib.sha256(b"".join(values)).hexdigest()
    return found


def _sha256_of_table(table: pd.DataFrame) -> str:
    return hashlib.sha256(table.to_json().encode()).hexdigest()
