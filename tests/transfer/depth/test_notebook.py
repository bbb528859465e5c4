"""Notebook 15 where a study is asked for: each of its cells runs, and draws its figures.

The notebooks' own tests run it by a preset that asks for none.
"""

import ast
from typing import Any

import nbformat
import pytest

from saelib.results.values import read_values
from saelib.run.files import PROJECT
from saelib.transfer.depth import changes, compare, study
from saelib.transfer.experiment import Experiment
from tests.transfer.conftest import OpenSmall
from tests.transfer.depth.conftest import ASKED

NAME = "15_map_distance"
ONE_LAMBDA = ASKED | {"depth_budgets": None, "depth_l1_multiples": [1.0], "depth_fine_tuning": None,
                      "depth_group": None, "sae_seeds": 1}  # fmt: skip


def run_cells(experiment: Experiment, asked: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the notebook says, with the parameters of a run put behind its parameters cell, as papermill does."""
    said: list[str] = []
    monkeypatch.setattr("IPython.display.display", lambda shown, **_: said.append(getattr(shown, "data", "")))
    config = experiment.config
    parameters = asked | {name: getattr(config, name) for name in ("preset", "run", "language_model", "corpus")}
    parameters |= {phase: {"checkpoints": [0, 1024, 2048]} for phase in ("scratch", "transfer")}
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for cell in nbformat.read(PROJECT / "notebooks" / f"{NAME}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(ast.parse(cell.source), cell.id, "exec"), namespace)
            namespace |= parameters if "parameters" in cell.metadata.get("tags", []) else {}
    return [text for text in said if isinstance(text, str)]


@pytest.fixture
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quick bootstraps."""
    for statistic in (compare.distance_curves, compare.objective_ratios, compare.equal_l0, changes.maturing,
                      changes.short_training):  # fmt: skip
        monkeypatch.setattr(statistic, "__kwdefaults__", {"seed": 0, "resamples": 100})


@pytest.mark.usefixtures("few_draws")
def test_every_cell_runs_and_says_what_the_tables_have(deep: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "\n".join(run_cells(deep, ASKED, monkeypatch))
    for part in (
        "Source: layer **0**, 2 replicates, each after 1.02 thousand and after 2.05 thousand of the run's",
        "Where source and scratch have 1.02 thousand tokens, a map reads **512 (50%)** of its layer, and a short "
        "training 1.02 thousand (100%) more",
        "Where source and scratch have 2.05 thousand tokens, a map reads **512 (25%)** of its layer",
        "not below 95% of the source's own score from layer",
        "tokens the ratio changes by",
        "after 1.02 thousand (50%) new tokens the objective is",
        "lowest difference from scratch at equal L0",
        "✓ the same map: largest relative difference of the mapped SAE's objective from the copy's",
        "comparisons at equal L0 from NumPy's",
    ):
        assert part in text, part
    values = read_values(deep, NAME)
    assert values["source"] == 0 and len(values["maturing"]) == 3 and len(values["short_training"]) == 2
    names = {path.stem for path in (deep.folder / "figures").glob("*.svg")}
    assert {"map_distance", "map_against_scratch", "depth_frontier"} <= {name.partition("-")[0] for name in names}


@pytest.mark.usefixtures("few_draws")
def test_a_study_with_one_budget_one_lambda_and_no_training_of_its_own_is_told_too(
    open_small: OpenSmall, empty_runs: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = open_small(run="plain", **ONE_LAMBDA)
    assert study.is_asked(experiment)
    said = run_cells(experiment, ONE_LAMBDA, monkeypatch)
    assert "a map reads **512 (25%)** of its layer." in "\n".join(said)
    assert read_values(experiment, NAME)["maturing"] == []
