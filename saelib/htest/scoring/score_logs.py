"""Accuracies of Inspect AI's logs, by our scoring: `python -m saelib.htest.scoring.score_logs FOLDER`.

In: folders of logs that `inspect eval` wrote, or log files. Out: a Markdown table on standard output, CSV or JSON if
wished. A log that is not whole, not ours or damaged is left out and named on standard error; the others are scored.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from saelib.htest.engines.inspect_logs import import_usable_logs
from saelib.htest.scoring.accuracy import accuracies_of, mean_over_tasks
from saelib.htest.scoring.readings import KEYS, readings_of
from saelib.htest.tasks import TASKS
from saelib.results.tables import as_markdown

SHOWN = ["model", "item_set", "task", "form", "k", "reader", "items", "samples", "accuracy", "low", "high",
         "accuracy_answered", "share_none", "share_a"]  # fmt: skip
EPILOG = """One row for each task, condition and reader, then the mean over the ten tasks where all ten are there.
low and high are a 95% interval over items, also where an item was asked several times (--epochs). Of samples that
several logs hold, such as those of a trial with --limit, the newest counts."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the accuracies of all logs."""
    parser = argparse.ArgumentParser(
        prog="python -m saelib.htest.scoring.score_logs", description="Score logs of Inspect AI.", epilog=EPILOG
    )
    parser.add_argument("logs", type=Path, nargs="+", help="a folder of logs, or log files")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--csv", action="store_true", help="print CSV, all columns, numbers in full")
    form.add_argument("--json", action="store_true", help="print JSON, a list of rows, all columns, numbers in full")
    options = parser.parse_args(arguments)
    try:
        replies, notes = import_usable_logs(options.logs)
    except FileNotFoundError as error:
        parser.error(str(error))
    for note in notes:
        print(note, file=sys.stderr)
    if not replies:
        parser.error("no log can be scored")
    table = with_means(accuracies_of(readings_of(replies)))
    if options.csv:
        print(table.to_csv(index=False), end="")
    elif options.json:
        print(table.to_json(orient="records", indent=1, force_ascii=False))
    else:
        print(as_markdown(table[SHOWN]), end="")


def with_means(table: pd.DataFrame) -> pd.DataFrame:
    """Accuracies, and beneath them the mean over the ten tasks of each condition that has all ten."""
    by = [key for key in KEYS if key != "task"]
    means = mean_over_tasks(table, by)
    if means.empty or not (whole := means["count"] == len(TASKS)).any():
        return table
    sums = table[table["task"].isin(TASKS)].groupby([*by, "reader"], sort=False, dropna=False, observed=True)
    rest = sums.agg({"items": "sum", "samples": "first", "accuracy_answered": "mean", "share_none": "mean",
                     "share_a": "mean"}).reset_index(drop=True)  # fmt: skip
    lines = pd.concat([means.rename(columns={"mean": "accuracy"}).drop(columns="count"), rest], axis=1)[whole]
    return pd.concat([table, lines.assign(task=f"mean of {len(TASKS)} tasks")], ignore_index=True)


if __name__ == "__main__":
    main()
