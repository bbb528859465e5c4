"""What a reader of the report sees of an executed notebook: its text, its sentences and tables, its named figures.

In: an executed notebook. Out: Markdown tokens. Only what is known is let through: Markdown, and figures that carry a
name. Code, printed lines (versions, shapes) and what belongs to whoever runs the notebook never pass: the texts right
before the parameters cell and before the cell that records values, and headings with nothing beneath.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.batch.page.markup import Token, box, picture, tokens_of
from saelib.results.notebook import METADATA

if TYPE_CHECKING:
    from nbformat import NotebookNode

BOXES = ("answer", "warning", "check")


def read_notebook(path: Path) -> "NotebookNode":
    """An executed notebook."""
    import nbformat

    return nbformat.read(path, as_version=4)


def blocks_of(notebook: "NotebookNode", figures: Path) -> list[Token]:
    """The blocks that a reader sees.

    Args:
        figures: the folder with the run's figures as SVG.
    """
    blocks: list[Token] = []
    for cell, after in zip(notebook.cells, [*notebook.cells[1:], None], strict=True):
        if cell.cell_type == "markdown" and not _is_for_who_runs_it(after):
            blocks += tokens_of(cell.source)
        if cell.cell_type == "code" and not _is_for_who_runs_it(cell):
            blocks += [block for output in cell.outputs for block in _of_output(output, figures)]
    return without_empty_headings(blocks)


def _is_for_who_runs_it(cell: "NotebookNode | None") -> bool:
    """Whether it is the parameters cell, the one that papermill put after it, or the one that records values."""
    if cell is None or cell.cell_type != "code":
        return False
    tags = set(cell.metadata.get("tags", []))
    return bool(tags & {"parameters", "injected-parameters"}) or "record_values(" in cell.source


def _of_output(output: "NotebookNode", figures: Path) -> list[Token]:
    data, about = output.get("data", {}), output.get("metadata", {})
    if "name" in about.get("image/png", {}):
        return [picture_of(output, figures)]
    if "text/markdown" not in data:
        return []
    blocks, role = tokens_of(data["text/markdown"]), role_of(output)
    return [box(role, blocks)] if role in BOXES else blocks


def role_of(output: "NotebookNode") -> str:
    """What `saelib.results.notebook.say` said an output is; empty for a mere sentence."""
    return str(output.get("metadata", {}).get(METADATA, {}).get("role", ""))


def named_figures(notebook: "NotebookNode", figures: Path) -> dict[str, Token]:
    """The figures of a notebook that carry a name, by that name."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    named = [output for output in outputs if "name" in output.get("metadata", {}).get("image/png", {})]
    return {output.metadata["image/png"]["name"]: picture_of(output, figures) for output in named}


def picture_of(output: "NotebookNode", figures: Path) -> Token:
    """A named figure: as SVG where the run has that file, as the notebook's own PNG elsewhere."""
    about = output.metadata["image/png"]
    path = figures / f"{about['name']}.svg"
    kind, content = "png", output.data["image/png"].strip()
    if path.is_file():
        kind, content = "svg+xml", base64.b64encode(path.read_bytes()).decode()
    return picture(f"data:image/{kind};base64,{content}", about["alt"])


def without_empty_headings(blocks: list[Token]) -> list[Token]:
    """The blocks without headings that have nothing beneath but headings of their own rank or above, or the end.

    The first block stays: it is the title.
    """
    kept: list[Token] = []
    for block in reversed(blocks[1:]):
        rank = _rank(block)
        if rank is None or (kept and (_rank(kept[-1]) or rank + 1) > rank):
            kept.append(block)
    return blocks[:1] + kept[::-1]


def _rank(block: Token) -> int | None:
    return int(block["attrs"]["level"]) if block["type"] == "heading" else None


def each_check(notebook: "NotebookNode") -> Iterator[str]:
    """The sentences of the checks that passed."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if role_of(output) == "check":
                yield output.data["text/markdown"]
