"""A phase that memory cannot hold at once trains in several passes, and ends in the same SAEs."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saelib.run.files import read_json
from saelib.transfer import passes
from saelib.transfer.experiment import Experiment
from saelib.transfer.passes import PASSES, Passes, note_passes, plan_passes
from saelib.transfer.stages import train_phase
from tests.helpers.small_world import files_below

Opens = Callable[[str], Experiment]


@pytest.fixture
def small_experiment(open_small: Callable[..., Experiment]) -> Opens:
    """Opens an experiment with four SAEs of one chunk each, two on each of two orders of the data."""
    phase = {"checkpoints": [0, 1024]}
    return lambda run: open_small(run=run, layers=[0, 1], scratch=phase, transfer=phase)


def planned(saes_per_pass: int, passes_needed: int, rows_per_pass: int = 16) -> SimpleNamespace:
    return SimpleNamespace(
        saes_per_pass=saes_per_pass, passes=passes_needed, rows_per_pass=rows_per_pass, most=1, free=10
    )


def test_several_passes_end_in_the_saes_of_one(
    small_experiment: Opens, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    whole, split = small_experiment("whole"), small_experiment("split")
    expected = train_phase(whole, "scratch")
    monkeypatch.setattr(passes, "planned_memory", lambda *_: planned(1, 2))
    log = train_phase(split, "scratch")
    assert "Memory of phase scratch" in capsys.readouterr().err
    keys = ["arm", "sae_layer", "seed", "tokens", "metric", "value"]
    assert log[keys].equals(expected[keys])
    weights = [
        {name: data for name, data in files_below(one.folder / "saes").items() if name.endswith(".safetensors")}
        for one in (whole, split)
    ]
    assert weights[0] == weights[1]
    assert len(weights[0]) == 8


def test_the_groups_of_a_phase_that_has_begun_stay(
    small_experiment: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small_experiment("begun")
    plans = experiment.plans("scratch")
    assert [plan.data_seed for plan in plans] == [0, 1, 0, 1]
    begun = Passes([[plans[0]], [plans[2]], [plans[1]], [plans[3]]], rows_per_pass=2)
    note_passes(begun, tmp_path)
    assert read_json(tmp_path / PASSES) == {"saes_per_pass": 1, "rows_per_pass": 2}
    monkeypatch.setattr(passes, "planned_memory", lambda *_: pytest.fail("it was planned before"))
    assert plan_passes(experiment.config, experiment.model, plans, experiment.config.scratch, tmp_path) == begun


def test_the_rows_of_a_pass_are_those_planned_when_the_phase_began(
    small_experiment: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, asked = small_experiment("rows"), []

    def train(*_: object, rows_per_pass: int, inputs: object) -> None:
        asked.append(rows_per_pass)
        raise KeyboardInterrupt

    monkeypatch.setattr(passes, "train", train)
    for rows in (3, 5):
        monkeypatch.setattr(passes, "planned_memory", lambda *_, rows=rows: planned(4, 1, rows))
        with pytest.raises(KeyboardInterrupt):
            train_phase(experiment, "scratch")
    assert asked == [3, 3]


@pytest.mark.parametrize("text", ["{", "[3]", "{}", '{"saes_per_pass": 3}', '{"saes_per_pass": 0, "rows_per_pass": 2}'])
def test_damaged_notes_are_named_with_the_remedy(small_experiment: Opens, tmp_path: Path, text: str) -> None:
    experiment = small_experiment("damaged")
    (tmp_path / PASSES).write_text(text)
    with pytest.raises(ValueError, match=rf"{PASSES} is .*delete the folder {tmp_path} to train"):
        plan_passes(
            experiment.config, experiment.model, experiment.plans("scratch"), experiment.config.scratch, tmp_path
        )


def test_too_little_memory_is_said_before_the_folder_is_claimed(
    small_experiment: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small_experiment("too_small")
    monkeypatch.setattr(passes, "free_memory", lambda device: 1000)
    with pytest.raises(MemoryError, match="not even one SAE fits"):
        train_phase(experiment, "scratch")
    assert not experiment.folder.exists()


def test_what_takes_little_is_not_said(small_experiment: Opens, capsys: Any) -> None:
    experiment = small_experiment("quiet")
    plans, phase = experiment.plans("scratch"), experiment.config.scratch
    assert plan_passes(experiment.config, experiment.model, plans, phase, experiment.folder)
    assert not capsys.readouterr().err
