"""Runs whose SAEs are trained, to look into: three layers of a small random model, in seconds."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from saelib.interpret.interpretation import PLACE, Interpretation, open_interpretation
from saelib.transfer.stages import train_phase

LAYERS, D_MODEL, D_SAE, CONTEXT, HELD_OUT = 3, 32, 64, 64, 8  # of every small interpretation
BUDGETS = [0, 1024, 2048]
TEXT = "\n\n".join(
    f"Paragraph {number} tells of {number * 7} small things, and of nothing else at all." for number in range(3000)
)


def small_parameters(text: Path, model: Path) -> dict[str, Any]:
    """The preset `smoke` on the random model: scratch SAEs and transfers of every direction and start, two replicates.

    Args:
        text: a file, written if it is not there.
        model: folder of the language model (`random_model_folder`), 3 layers of width 32.
    """
    if not text.is_file():
        text.parent.mkdir(parents=True, exist_ok=True)
        text.write_text(TEXT, encoding="utf-8")
    return {
        "preset": "smoke", "language_model": str(model), "corpus": str(text), "layers": [0, 1, 2],
        "scratch": {"checkpoints": BUDGETS}, "transfer": {"checkpoints": BUDGETS},
        "feature_layers": None, "circuit_layers": None,
    }  # fmt: skip


def trained_interpretation(text: Path, model: Path, **changes: Any) -> Interpretation:
    """One whose SAEs are trained now, in the folder of runs that the environment names; arguments as above."""
    interpretation = open_interpretation(**small_parameters(text, model) | changes)
    for phase in ("scratch", "transfer"):
        train_phase(interpretation.experiment, phase)
    return interpretation


def copied(trained: Interpretation, runs: Path, patch: pytest.MonkeyPatch, **changes: Any) -> Interpretation:
    """The same trained run in another folder of runs, of which nothing was looked at yet; for tests that change files.

    Args:
        changes: of `InterpretConfig`.
    """
    experiment = trained.experiment.config
    folder = runs / experiment.run
    shutil.copytree(trained.folder, folder, ignore=shutil.ignore_patterns(PLACE, "values", "figures"))
    patch.setenv("SAELIB_RUNS", str(runs))
    parameters = small_parameters(Path(experiment.corpus), Path(experiment.language_model))
    return open_interpretation(**parameters | {"run": experiment.run} | changes)
