"""`report.html`: what both papers say and what this run says, in one file that needs nothing beside it.

    python -m saelib.batch.report RUN

In: the executed notebooks in `runs/<run>/notebooks/`, and figures, tables and configs of the run. Out:
`runs/<run>/report.html`: where the numbers come from, the text of the report notebook, every figure, and the checks.
"""

import argparse
import sys
from pathlib import Path

from saelib.batch.clock import settle_times
from saelib.batch.notebooks import NOTEBOOKS, REPORT
from saelib.batch.page.appendix import appendix
from saelib.batch.page.cells import blocks_of, read_notebook
from saelib.batch.page.head import head, warnings
from saelib.batch.page.layout import page
from saelib.batch.page.markup import Token, box, tokens_of
from saelib.run.files import runs_folder, write_atomically


def write_report(folder: Path) -> Path:
    """Make `report.html` in the folder of a run.

    Raises:
        FileNotFoundError: the report notebook has not run there.
    """
    paths = {notebook.name: folder / "notebooks" / f"{notebook.name}.ipynb" for notebook in NOTEBOOKS}
    if not paths[REPORT.name].is_file():
        raise FileNotFoundError(f"{paths[REPORT.name]} is not there; run `make reproduce RUN={folder.name}` first")
    executed = {name: read_notebook(path) for name, path in paths.items() if path.is_file()}
    title, text = _divided(blocks_of(executed[REPORT.name], folder / "figures"))
    opening = [*title, *head(folder, [*executed.values()])]
    opening += [box("warning", tokens_of(warning)) for warning in warnings(folder)]
    written = page(
        f"Layer transfer of sparse autoencoders, and H-Test: run {folder.name}",
        opening,
        text + appendix(folder, executed, title + text),
    )
    report = folder / "report.html"
    write_atomically(report, lambda temporary: temporary.write_text(written, encoding="utf-8"))
    return report


def _divided(blocks: list[Token]) -> tuple[list[Token], list[Token]]:
    """The title with what stands beneath it, and the rest from the next heading or box on; headings one rank lower."""
    after = (place for place, block in enumerate(blocks) if place and block["type"] in ("heading", "box"))
    border = next(after, len(blocks))
    return blocks[:border], [_lowered(block) for block in blocks[border:]]


def _lowered(block: Token) -> Token:
    if block["type"] != "heading":
        return block
    return block | {"attrs": block["attrs"] | {"level": min(block["attrs"]["level"] + 1, 6)}}


def main() -> None:
    """Make the report of a run."""
    parser = argparse.ArgumentParser(prog="python -m saelib.batch.report", description="Make report.html of a run.")
    parser.add_argument("run", help="the run's folder name")
    try:
        report = write_report(runs_folder() / parser.parse_args().run)
    except (ValueError, OSError) as error:
        sys.exit(str(error))
    settle_times(report.parent / "notebooks")
    print(report)


if __name__ == "__main__":
    main()
