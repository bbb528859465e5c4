"""A small experiment to run, and one that has run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase

TEXT = "\n\n".join(
    f"Paragraph {number} tells of {number * 7} small things, and of nothing else at all." for number in range(3000)
)
OpenSmall = Callable[..., Experiment]


@pytest.fixture(scope="session")
def open_small(random_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> OpenSmall:
    """Opens an experiment of three layers and two replicates on the random model; any parameter may be another."""
    text = tmp_path_factory.mktemp("text") / "prose.txt"
    text.write_text(TEXT)

    def opened(**changes: Any) -> Experiment:
        parameters: dict[str, Any] = {
            "preset": "smoke",
            "run": "small",
            "language_model": str(random_model_folder),
            "corpus": str(text),
            "layers": [0, 1, 2],
            "scratch": {"checkpoints": [0, 1024, 2048]},
            "transfer": {"checkpoints": [0, 1024, 2048]},
        }
        return open_experiment(**parameters | changes)

    return opened


@pytest.fixture(scope="session")
def run(open_small: OpenSmall) -> Experiment:
    """A finished run of three layers and two replicates."""
    experiment = open_small(run="finished")
    for phase in ("scratch", "transfer"):
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    evaluate_zero_shot(experiment)
    return experiment


@pytest.fixture
def empty_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for runs, for one test."""
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"
