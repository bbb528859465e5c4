"""A cache of the test's own."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs" / "cache"
