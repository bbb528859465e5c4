"""The report opens both halves of a run, and no parameter is lost between them."""

from pathlib import Path

import pytest

from saelib.batch.both_papers import open_both


@pytest.fixture(autouse=True)
def runs_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))


def test_each_half_gets_what_it_knows() -> None:
    experiment, study = open_both(preset="smoke", run="both", seed=3, l1_coefficient=2.0, shots=[2], device="cpu")
    assert experiment.folder == study.folder
    assert (experiment.config.seed, experiment.config.l1_coefficient) == (3, 2.0)
    assert (study.config.seed, study.config.shots) == (3, (2,))
    assert {experiment.config.device, study.config.device} == {"cpu"}


def test_what_neither_knows_is_refused_before_a_folder_is_made(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parameters shoots are unknown; the known ones are .*shots"):
        open_both(preset="smoke", shoots=[2])
    assert not list(tmp_path.iterdir())
