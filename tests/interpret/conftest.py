"""A small run with trained SAEs, and copies of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saelib.interpret.interpretation import Interpretation
from tests.helpers.small_interpretations import copied, trained_interpretation

CopyInterpretation = Callable[..., Interpretation]


@pytest.fixture(scope="session")
def interpretation(random_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Interpretation:
    """A trained run of three layers; what tests make of it stays, and is found by the next one. Damage copies only."""
    text = tmp_path_factory.mktemp("looked_into") / "prose.txt"
    return trained_interpretation(text, random_model_folder, run="looked_into")


@pytest.fixture
def copy_interpretation(
    interpretation: Interpretation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> CopyInterpretation:
    """A copy for one test, with nothing made yet: `copy_interpretation(features=None)`."""

    def copy(**changes: Any) -> Interpretation:
        return copied(interpretation, tmp_path / "runs", monkeypatch, **changes)

    return copy
