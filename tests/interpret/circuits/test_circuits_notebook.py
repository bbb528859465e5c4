"""The notebook of circuits where there is nothing to show: it says why, and goes on to its end."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from saelib.interpret.circuits.tasks import library
from saelib.interpret.interpretation import Interpretation
from tests.helpers.notebook_cells import run_cells, sentences
from tests.helpers.prompt_pairs import any_tokens
from tests.helpers.small_interpretations import small_parameters
from tests.interpret.conftest import CopyInterpretation

NAME = "21_circuits"


@pytest.fixture
def parameters(copy_interpretation: CopyInterpretation) -> dict[str, Any]:
    """Of a run whose random model knows nothing and does no task."""
    config = copy_interpretation().experiment.config
    whole = small_parameters(Path(config.corpus), Path(config.language_model)) | {"run": config.run}
    return whole | {"circuit_tasks": ["repeats"], "circuit_prompts": 8}


def test_of_a_model_that_knows_nothing_it_says_so(
    parameters: dict[str, Any], runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert "The model knows no facts and is sure of too little text: there is no attribution." in said
    assert any(text.startswith("Seen: **0 of 1** tasks are done well enough") for text in said)
    (path,) = tmp_path.glob(f"runs/*/values/{NAME}.json")
    values = json.loads(path.read_text(encoding="utf-8"))["values"]
    assert values["attribution"] == values["attribution_leads"] == values["circuit_leads"] == []


def test_where_every_transfer_diverged_it_does_not_blame_the_model(
    parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Interpretation, "has_diverged", lambda _, subject: subject.arm != "scratch")
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    assert "Every transfer that was to be looked at diverged: there is no attribution." in said


def test_layers_that_the_run_lacks_are_refused_before_anything_is_trained(
    parameters: dict[str, Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("saelib.transfer.stages.train_phase", lambda *_: pytest.fail("SAEs were trained"))
    with pytest.raises(ValueError, match=r"circuit_layers=\[9\]: the run has no transfers of \[9\]; choose from"):
        run_cells(NAME, parameters | {"circuit_layers": [9]}, monkeypatch)


def test_where_no_sae_has_a_score_it_says_so_and_ends(
    parameters: dict[str, Any], runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model that "does" a task, of which no feature moves enough."""
    monkeypatch.setitem(library.TASKS, "repeats", library.Task("any tokens", any_tokens))
    monkeypatch.setattr("saelib.interpret.circuits.tasks.accuracy.LEAST", 0.0)
    monkeypatch.setattr("saelib.interpret.circuits.tasks.accuracy.LEAST_FALL", -np.inf)
    monkeypatch.setattr("saelib.interpret.circuits.faithfulness.LEAST_EFFECT", np.inf)
    said = sentences(run_cells(NAME, parameters, monkeypatch))
    (scores,) = [text for text in said if "pairs of an SAE and a task" in text]
    assert "have no score, as what ablating every feature of the SAE moves is nothing, or less than two" in scores
