"""The table of what became of all faults, at the end of pytest's output, by however many workers they were tried.

In: a `Tally` in the config of each process. Out: a section of the summary. These are hooks: `tests/conftest.py` takes
them over, as the process that prints collects nothing and so never reads the `conftest.py` beside the tests.
"""

from typing import Any

import pytest

from tests.faults.tally import Outcome, Tally

TALLY = pytest.StashKey[Tally]()
WORKERS = "faults"  # what a worker of pytest-xdist sends home under this name


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker sends its counts home."""
    if (home := getattr(session.config, "workeroutput", None)) is not None:
        home[WORKERS] = session.config.stash.get(TALLY, Tally()).counted()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """At home the counts of all workers are one table."""
    tally = node.config.stash.setdefault(TALLY, Tally())
    for kind, outcome, count in getattr(node, "workeroutput", {}).get(WORKERS, []):
        tally.add(kind, Outcome(outcome), count)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table."""
    if (tally := config.stash.get(TALLY, None)) and tally.counts:
        terminalreporter.section("faults")
        for line in tally.lines():
            terminalreporter.write_line(line)
