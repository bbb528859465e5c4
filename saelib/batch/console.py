"""What a batch run says on the console: what it will take, what is done by now, what is missing at its end.

In: the notebooks that will run, and how long they took before. Out: a few lines on standard error, in hours and
minutes; Snakemake's tale of its own work goes into its log file only.
"""

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from saelib.batch.clock import State
from saelib.batch.durations import ended_since, known_durations, note_duration, note_size, size_of_notes
from saelib.batch.failures import failure_report
from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.settings import Settings
from saelib.htest.items.official import OFFICIAL_SET
from saelib.run.progress import time_in_words
from saelib.run.reading import read_json

NAMES = tuple(notebook.name for notebook in NOTEBOOKS)
OF_JOBS = (  # messages about a job that failed: `say_failure` says more
    "RuleException:\nCalledProcessError",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job",
)
# In the environment of the notebooks: when this batch run began, by the clock that nobody can set; how much had been
# noted of durations by then; and what it will run.
PLANNED = "SAELIB_PLANNED"


def quieten(logger: logging.Logger) -> None:
    """Keep what Snakemake says of its own work off standard error; other errors than a job's stay, and dry runs."""
    from snakemake_interface_logger_plugins.common import LogEvent

    def is_wanted(record: logging.LogRecord) -> bool:
        of_job = getattr(record, "event", None) in {LogEvent.JOB_ERROR, LogEvent.GROUP_ERROR}
        return record.levelno >= logging.WARNING and not of_job and not record.getMessage().startswith(OF_JOBS)

    for handler in logger.handlers:
        if getattr(handler, "stream", None) is sys.stderr:
            handler.addFilter(is_wanted)


def say(line: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"{line}\n")  # in one piece, since notebooks run beside each other
    sys.stderr.flush()


def in_bytes(size: float) -> str:
    """A size: "12 MB", "3.4 GB"."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def say_beginning(settings: Settings, planned: Sequence[str]) -> None:
    """What will run, and what it takes where that was measured; the notebooks learn what is planned."""
    notebooks = [name for name in planned if name in NAMES]
    os.environ[PLANNED] = " ".join([str(time.monotonic()), str(size_of_notes(settings.folder)), *notebooks])
    say(f"Run {settings.run!r} of preset {settings.preset}, in {settings.folder}: "
        f"{len(notebooks)} of {len(NAMES)} notebooks are to run.")  # fmt: skip
    known = known_durations(settings)
    if known is None or not known.seconds.keys() >= {*notebooks}:
        return
    took = time_in_words(sum(known.seconds[name] for name in notebooks))
    say(f"A whole run takes {in_bytes(known.bytes)}; these notebooks take at most about {took} (measured on "
        f"{known.cores} cores, {known.source}), less where results are there already.")  # fmt: skip


def say_done(notebook: str, settings: Settings, seconds: float) -> None:
    """A notebook has ended well: how long it took, how long the batch run has been going, and what is left of it."""
    note_duration(settings.folder, notebook, seconds)
    started, noted, *planned = os.environ.get(PLANNED, "").split() or [str(time.monotonic() - seconds), "0"]
    ended = ended_since(settings.folder, int(noted))
    left = [name for name in planned if name not in ended]
    known = known_durations(settings)
    if not left:
        rest = ""
    elif known and known.seconds.keys() >= {*left}:
        rest = f", at most about {time_in_words(sum(known.seconds[name] for name in left))} to go"
    else:
        rest = f", {len(left)} of {len(planned)} notebooks to go"
    so_far = time_in_words(time.monotonic() - float(started))
    say(f"{notebook}: done in {time_in_words(seconds)}; the run: {so_far} so far{rest}")


def say_end(settings: Settings) -> None:
    """The run is complete: where the report is, and whether it lacks the released items of H-Test."""
    note_size(settings.folder)
    if _lacks_released_items(settings):
        say("The released H-Test items were not to be had: the numbers of paper 2 are those of fresh items. To add "
            "them, run again where there is a network with HTEST='{official: released}', or name a folder that holds "
            """them: HTEST='{official: "path/to/h-test"}'. What was asked before is not asked again.""")  # fmt: skip
    say(f"Done. The report: {settings.folder / 'report.html'}")


def _lacks_released_items(settings: Settings) -> bool:
    path = settings.folder / "values" / "30_htest_items.json"
    if settings.of("htest").get("official") is not None or not path.is_file():  # a folder of the user's, or left out
        return False
    return OFFICIAL_SET not in read_json(path, lambda content: content["values"]["items_sha256"])


def say_failure(settings: Settings, earlier: Mapping[Path, State | None]) -> None:
    """Which notebooks stopped, where, and how to go on.

    Args:
        earlier: `failures.partial_notebooks` when the batch run began.
    """
    say(f"\n{failure_report(settings.folder / 'notebooks', earlier, settings.command)}")
