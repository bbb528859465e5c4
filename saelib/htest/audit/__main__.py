"""Audit a file of H-Test items: `python -m saelib.htest.audit FILE_OR_FOLDER`.

In: a file of items, or a folder with the authors' released files or with one's own. Out: three Markdown tables on
standard output: the audit, the labels that a rule contradicts, and the shortcuts.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from saelib.htest.audit.audit import audit, disagreements
from saelib.htest.audit.shortcuts import shortcut_table
from saelib.htest.items.sources import load_path
from saelib.results.tables import as_markdown


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what is wrong with the items of a file or folder."""
    parser = argparse.ArgumentParser(prog="python -m saelib.htest.audit", description="Audit a file of H-Test items.")
    parser.add_argument(
        "path",
        type=Path,
        help="JSON lines, CSV or TSV with texts and labels, or a folder of such files or the released ones",
    )
    try:
        items = load_path(parser.parse_args(arguments).path)
    except (FileNotFoundError, ValueError) as error:
        raise SystemExit(str(error)) from error
    tables = {
        "Audit": audit(items),
        "Labels that the rule contradicts": disagreements(items),
        "Shortcuts, fitted on dev": shortcut_table(items),
    }
    for title, table in tables.items():
        print(f"## {title}\n\n{as_markdown(table.astype({'seed': str}))}")


if __name__ == "__main__":
    main()
