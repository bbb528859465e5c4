"""Accuracies of Inspect AI's logs, by our scoring: `python -m saelib.htest.scoring.score_logs FOLDER`.

In: a folder of logs that `inspect eval` wrote, or log files. Out: a Markdown table on standard output.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from saelib.htest.engines.inspect_logs import import_logs
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.readings import readings_of
from saelib.results.tables import as_markdown

SHOWN = ["model", "item_set", "task", "form", "k", "reader", "items", "accuracy", "low", "high", "accuracy_answered",
         "share_none", "share_a"]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the accuracies of all logs, one row for each task, condition and parser."""
    parser = argparse.ArgumentParser(
        prog="python -m saelib.htest.scoring.score_logs", description="Score logs of Inspect AI."
    )
    parser.add_argument("logs", type=Path, nargs="+", help="a folder of logs, or log files")
    logs = parser.parse_args(arguments).logs
    try:
        table = accuracies_of(readings_of(import_logs(logs[0] if len(logs) == 1 else logs)))
    except (FileNotFoundError, ValueError) as error:
        parser.error(str(error))
    print(as_markdown(table[SHOWN]), end="")


if __name__ == "__main__":
    main()
