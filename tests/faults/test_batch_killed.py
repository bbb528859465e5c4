"""`make reproduce` of the smoke preset, killed with all its programs at random times, ends like one left alone."""

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from saelib.run.files import PROJECT
from tests.faults.bench import wrong_if
from tests.faults.folders import Contents, contents, differences
from tests.faults.tally import Tally
from tests.helpers.batch_project import BatchProject

KILLS = 50
LONGEST = 7.0  # seconds from a start to its kill
SETTINGS = ("PRESET=smoke", "RUN=batch", "CORES=2")
OF_PROGRAMS = ("/.snakemake/", "/notebooks/", "programs/", ".html")
"""Snakemake's notes, what notebooks print of wall times, and what other programs cache."""


@pytest.fixture
def project(tmp_path: Path) -> BatchProject:
    """The batch files and the real notebooks in another place."""
    project = BatchProject(tmp_path / "project")
    shutil.copytree(PROJECT / "notebooks", project.folder / "notebooks", dirs_exist_ok=True)
    return project


def killed_after(project: BatchProject, seconds: float) -> bool:
    """Start the batch run and end it and all its programs; whether it was still at work."""
    with project.start(*SETTINGS) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return True
    return False


def results(runs: Path) -> Contents:
    found = contents(runs)
    return {place: found[place] for place in found if not any(part in place for part in OF_PROGRAMS)}


@pytest.mark.faults
def test_a_batch_run_killed_again_and_again_ends_equal(
    project: BatchProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tally: Tally
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "alone"))
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "killed"))
    chance, kills = random.Random(0), 0
    deadline = time.monotonic() + KILLS * LONGEST
    while kills < KILLS and time.monotonic() < deadline:
        kills += killed_after(project, chance.uniform(1, LONGEST))
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    verdict = wrong_if("; ".join(differences(results(tmp_path / "killed"), results(tmp_path / "alone"))))
    for _ in range(kills):
        tally.add("kill -9 of a batch run", verdict.outcome)
    assert not verdict.why
