"""What a batch run says: time and size where they were measured, progress in time, what is missing at its end."""

import io
import logging
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from saelib.batch.console import NAMES, PLANNED, in_bytes, quieten, say, say_beginning, say_done, say_end
from saelib.batch.durations import known_durations, note_duration, note_size
from saelib.batch.settings import Settings
from saelib.htest.items.official import OFFICIAL_SET
from saelib.run.files import write_json

Captured = pytest.CaptureFixture[str]
EVERY = len(NAMES)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    monkeypatch.setenv(PLANNED, "")
    settings = Settings("smoke", "mine", None, {})
    settings.folder.mkdir()
    return settings


def complete_run(folder: Path, seconds: float = 60) -> None:
    for name in NAMES:
        note_duration(folder, name, seconds)
    (folder / "weights").write_bytes(bytes(2_500_000))
    note_size(folder)


def test_a_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two notebooks that run side by side say so at once; unbuffered, two pieces would mix."""
    pieces: list[str] = []

    class Unbuffered(io.StringIO):
        def write(self, piece: str) -> int:
            pieces.append(piece)
            return len(piece)

    monkeypatch.setattr(sys, "stderr", Unbuffered())
    say("11_scratch_saes: running")
    assert pieces == ["11_scratch_saes: running\n"]


def test_nothing_is_said_of_what_nobody_measured(settings: Settings, capsys: Captured) -> None:
    say_beginning(settings, [*NAMES, "report", "all"])
    assert (
        capsys.readouterr().err
        == f"Run 'mine' of preset smoke, in {settings.folder}: {EVERY} of {EVERY} notebooks are to run.\n"
    )
    say_done(NAMES[0], settings, 5)
    assert capsys.readouterr().err == (
        f"10_language_model: done in 5 s; the run: 0 s so far, {EVERY - 1} of {EVERY} notebooks to go\n"
    )


def test_what_was_measured_is_said_with_its_place(settings: Settings, capsys: Captured) -> None:
    complete_run(settings.folder.with_name("smoke"))
    say_beginning(settings, NAMES)
    second = capsys.readouterr().err.splitlines()[1]
    assert second == (
        f"A whole run takes 3 MB; these notebooks take at most about {EVERY} min (measured on {os.cpu_count()} cores, "
        f"{settings.folder.with_name('smoke')}), less where results are there already."
    )
    say_done(NAMES[0], settings, 5)
    assert capsys.readouterr().err.endswith(f"the run: 0 s so far, at most about {EVERY - 1} min to go\n")


def test_notebooks_that_have_ended_or_are_not_planned_are_not_to_go(settings: Settings, capsys: Captured) -> None:
    complete_run(settings.folder.with_name("smoke"))
    note_duration(settings.folder, NAMES[-1], 60)  # of an earlier run
    say_beginning(settings, NAMES[-3:])
    say_done(NAMES[-3], settings, 5)
    for name in (NAMES[0], NAMES[-1]):  # whenever the clock says that they ended
        executed = settings.folder / "notebooks" / f"{name}.ipynb"
        executed.touch()
        os.utime(executed, (time.time() + 1000,) * 2)
    capsys.readouterr()
    say_done(NAMES[-2], settings, 5)
    assert capsys.readouterr().err.endswith("at most about 60 s to go\n")  # NAMES[-1]


def test_the_longest_execution_counts_and_only_complete_runs_speak(settings: Settings) -> None:
    note_duration(settings.folder, NAMES[0], 100)
    note_duration(settings.folder, NAMES[0], 3)
    assert known_durations(settings) is None
    note_size(settings.folder)
    found = known_durations(settings)
    assert found is not None
    assert (found.source, found.cores, found.seconds) == (settings.folder, os.cpu_count(), {NAMES[0]: 100})


def test_notebooks_that_end_at_the_same_moment_are_both_noted(settings: Settings) -> None:
    def note(number: int) -> None:
        note_duration(settings.folder, NAMES[number % EVERY], number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(10 * EVERY)))
    note_size(settings.folder)
    found = known_durations(settings)
    assert found is not None
    assert found.seconds == {name: 9 * EVERY + number for number, name in enumerate(NAMES)}


@pytest.mark.parametrize(
    ("items", "htest", "said"),
    [([OFFICIAL_SET, "fresh-2"], {}, False), (["fresh-2"], {}, True), (["fresh-2"], {"official": "none"}, False)],
)
def test_the_end_says_once_that_the_released_items_were_not_to_be_had(
    settings: Settings, capsys: Captured, items: list[str], htest: dict[str, str], said: bool
) -> None:
    values = {"items_sha256": dict.fromkeys(items, "")}
    write_json(settings.folder / "values" / "30_htest_items.json", {"values": values})
    say_end(Settings("smoke", "mine", None, {"htest": htest}))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == f"Done. The report: {settings.folder / 'report.html'}"
    assert ["The released H-Test items were not to be had" in line for line in lines[:-1]] == [True] * said


@pytest.mark.parametrize(("size", "words"), [(0, "0 MB"), (12.4e6, "12 MB"), (3.44e9, "3.4 GB")])
def test_sizes_are_in_words(size: float, words: str) -> None:
    assert in_bytes(size) == words


def test_snakemakes_tale_of_its_own_work_stays_off_the_console(capsys: Captured) -> None:
    logger = logging.Logger("snakemake")
    logger.addHandler(logging.StreamHandler(sys.stderr))
    quieten(logger)
    logger.info("Building DAG of jobs...")
    logger.error("Error in rule x", extra={"event": "job_error"})
    logger.error("WorkflowError:\nAt least one job did not complete successfully.")
    logger.error("IncompleteFilesException")
    logger.warning("no space left")
    assert capsys.readouterr().err == "IncompleteFilesException\nno space left\n"
