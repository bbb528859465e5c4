"""A phase that memory cannot hold at once trains in several passes, and ends in the same SAEs."""

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from saelib.run.reading import DamagedFileError, read_json
from saelib.sae.training.fingerprint import fingerprint
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


@pytest.mark.parametrize("saes_per_pass", [1, 8])
def test_an_sae_that_diverges_is_stopped_alone_in_whichever_pass_it_is(
    open_small: Callable[..., Experiment], empty_runs: Path, monkeypatch: pytest.MonkeyPatch, saes_per_pass: int
) -> None:
    """Controls at a learning rate that is too high, beside transfers: alone in a pass they all diverge."""
    phase = {"checkpoints": [0, 1024]}
    options = {"layers": [0, 1], "schedule": "paper", "scratch": phase, "transfer": phase}
    sound, diverging = open_small(run="sound", **options), open_small(run="high", control_learning_rate=1e30, **options)
    monkeypatch.setattr(passes, "planned_memory", lambda *_: planned(saes_per_pass, 1))
    logs = []
    for experiment in (sound, diverging):
        train_phase(experiment, "scratch")
        logs.append(train_phase(experiment, "transfer"))
    keys = ["arm", "sae_layer", "seed", "tokens", "metric", "value"]
    transfers, expected = (log.loc[log["arm"] != "control", keys].reset_index(drop=True) for log in reversed(logs))
    pd.testing.assert_frame_equal(transfers, expected, check_exact=True)
    controls = logs[1][logs[1]["arm"] == "control"]
    assert set(controls["diverged_at_step"]) == {1}
    assert controls["value"].isna().all()
    assert "diverged_at_step" not in logs[0]
    for folder in sorted((diverging.folder / "saes" / "control").glob("*/*")):
        assert sorted(path.name for path in folder.iterdir()) == ["0", "diverged.json"]
    ours, theirs = (files_below(one.folder / "saes" / "forward") for one in (sound, diverging))
    weights = [name for name in ours if name.endswith(".safetensors")]
    assert weights
    assert all(ours[name] == theirs[name] for name in weights)


@pytest.mark.parametrize("saes_per_pass", [1, 8])
def test_a_phase_without_an_sae_left_is_an_error(
    open_small: Callable[..., Experiment], empty_runs: Path, monkeypatch: pytest.MonkeyPatch, saes_per_pass: int
) -> None:
    phase = {"checkpoints": [0, 1024], "learning_rate": 1e30}
    experiment = open_small(run="all", layers=[0, 1], scratch=phase, transfer={"checkpoints": [0, 1024]})
    monkeypatch.setattr(passes, "planned_memory", lambda *_: planned(saes_per_pass, 1))
    with pytest.raises(FloatingPointError, match="scratch L0 seed 0 is not finite at step 1; .* No SAE is left"):
        train_phase(experiment, "scratch")


def test_the_groups_of_a_phase_that_has_begun_stay(
    small_experiment: Opens, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = small_experiment("begun")
    plans = experiment.plans("scratch")
    assert [plan.data_seed for plan in plans] == [0, 1, 0, 1]
    training = fingerprint(plans, experiment.config.scratch, experiment.config)
    begun = Passes([[plans[0]], [plans[2]], [plans[1]], [plans[3]]], rows_per_pass=2, training=training)
    note_passes(begun, tmp_path)
    note = read_json(tmp_path / PASSES)
    assert (note["saes_per_pass"], note["rows_per_pass"]) == (1, 2)
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


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[3]",
        "{}",
        '{"saes_per_pass": true, "rows_per_pass": 2}',
        '{"saes_per_pass": 3}',
        '{"saes_per_pass": 0, "rows_per_pass": 2}',
    ],
)
def test_damaged_notes_are_named_with_the_remedy(small_experiment: Opens, tmp_path: Path, text: str) -> None:
    experiment = small_experiment("damaged")
    (tmp_path / PASSES).write_text(text)
    with pytest.raises(ValueError, match=rf"{PASSES} is .*delete the folder {tmp_path} to train"):
        plan_passes(
            experiment.config, experiment.model, experiment.plans("scratch"), experiment.config.scratch, tmp_path
        )


def changed_digit(scratch: Path) -> None:
    text = (scratch / PASSES).read_text()
    (scratch / PASSES).write_text(text.replace('"rows_per_pass": 3', '"rows_per_pass": 2'))


def of_the_other_phase(scratch: Path) -> None:
    shutil.copy(scratch.with_name("transfer") / PASSES, scratch)


def absent(scratch: Path) -> None:
    (scratch / PASSES).unlink()
    (scratch.with_name("scratch-2") / "1024").mkdir(parents=True)  # a resume point of its second pass


@pytest.mark.parametrize("damage", [changed_digit, of_the_other_phase, absent])
def test_notes_of_another_training_are_refused(
    small_experiment: Opens, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    experiment = small_experiment("swapped")
    config, model = experiment.config, experiment.model
    for name in ("scratch", "transfer"):
        plans = experiment.plans(name)
        training = fingerprint(plans, experiment.phase(name), config)
        note_passes(Passes([plans], rows_per_pass=3, training=training), tmp_path / name)
    plans, folder = experiment.plans("scratch"), tmp_path / "scratch"
    assert plan_passes(config, model, plans, config.scratch, folder).rows_per_pass == 3
    damage(folder)
    with pytest.raises(DamagedFileError, match=rf"scratch/{PASSES} is .*delete the folder {folder} to train"):
        plan_passes(config, model, plans, config.scratch, folder)


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
