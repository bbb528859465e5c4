"""The trials from which lambda was chosen: read again where they are kept, and what a trial is."""

from pathlib import Path

import pytest

from saelib.transfer.presets import PRESETS
from saelib.transfer.studies import choice_of_lambda
from saelib.transfer.studies.choice_of_lambda import CHOICE_COLUMNS, PLACE, TRIALS, open_trial, stored_trials


def test_the_trials_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice_of_lambda, "PLACE", tmp_path / "choice_of_lambda.csv")
    empty = stored_trials()
    assert empty.empty and list(empty) == list(CHOICE_COLUMNS)
    (tmp_path / "choice_of_lambda.csv").write_text("l1_coefficient,l0\n1.0,80\n")
    assert stored_trials()["l0"].tolist() == [80]


def test_the_stored_trials_are_those_that_are_named() -> None:
    assert PLACE.is_file()
    trials = stored_trials()
    assert set(CHOICE_COLUMNS) <= set(trials)
    assert list(zip(trials["l1_coefficient"], trials["learning_rate"], strict=True)) == list(TRIALS)
    chosen = PRESETS["tiny"]
    assert (chosen.l1_coefficient, chosen.scratch.learning_rate) in TRIALS


def test_a_trial_is_the_scratch_phase_of_the_default_run_with_one_seed(empty_runs: Path) -> None:
    config = open_trial(3.0, 1e-3).config
    assert config.run == "choice-3-0.001"
    assert config.seeds == (0,)
    assert config.scratch.checkpoints == (0, PRESETS["tiny"].scratch.tokens)
    assert (config.l1_coefficient, config.scratch.learning_rate) == (3.0, 1e-3)
    same = {"layers", "corpus", "context_length", "batch_tokens", "chunk_rows", "held_out_rows", "seed"}
    assert all(getattr(config, name) == getattr(PRESETS["tiny"], name) for name in same)
    assert not empty_runs.exists()
