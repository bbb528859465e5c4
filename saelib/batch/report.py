"""`report.html`: the executed report notebook without its code, and every figure of the run, in one file.

    python -m saelib.batch.report RUN

In: the executed notebooks in `runs/<run>/notebooks/`. Out: `runs/<run>/report.html`, which needs nothing beside it and
no network.
"""

import argparse
import html
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.batch.notebooks import NOTEBOOKS, REPORT
from saelib.run.files import runs_folder, write_atomically

if TYPE_CHECKING:
    from nbformat import NotebookNode


def write_report(folder: Path) -> Path:
    """Make `report.html` in the folder of a run.

    Raises:
        FileNotFoundError: the report notebook has not run there.
    """
    path = folder / "notebooks" / f"{REPORT.name}.ipynb"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; run `make reproduce RUN={folder.name}` first")
    notebook = _read(path)
    notebook.cells += _gallery(folder / "notebooks")
    for output in _outputs(notebook):
        _describe_image(output)
    page = _as_html(notebook, f"Layer transfer of sparse autoencoders, and H-Test: run {folder.name}")
    report = folder / "report.html"
    write_atomically(report, lambda temporary: temporary.write_text(page, encoding="utf-8"))
    return report


def _read(path: Path) -> "NotebookNode":
    import nbformat

    return nbformat.read(path, as_version=4)


def _outputs(notebook: "NotebookNode") -> "Iterator[NotebookNode]":
    return (output for cell in notebook.cells for output in cell.get("outputs", []))


def _gallery(executed: Path) -> "list[NotebookNode]":
    """Cells with the figures of the other notebooks, in their order."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

    cells = []
    for notebook in NOTEBOOKS[:-1]:
        path, shown = executed / f"{notebook.name}.ipynb", []
        for output in _outputs(_read(path)) if path.is_file() else ():
            about = output.get("metadata", {}).get("image/png", {})
            if "name" in about:
                image = new_output("display_data", {"image/png": output.data["image/png"]}, metadata=output.metadata)
                shown += [new_markdown_cell(f"**{about['alt']}** (`figures/{about['name']}.png`, `.svg`)")]
                shown += [new_code_cell(outputs=[image])]
        if shown:
            cells += [new_markdown_cell(f"### {notebook.name}: {notebook.shows}"), *shown]
    return [new_markdown_cell("## All figures of this run"), *cells] if cells else []


def _describe_image(output: "NotebookNode") -> None:
    """Turn an image with a description into HTML that has it, which nbconvert's own template leaves out."""
    alt = output.get("metadata", {}).get("image/png", {}).get("alt")
    if alt:
        source = f"data:image/png;base64,{output.data['image/png'].strip()}"
        output.data = {"text/html": f'<img alt="{html.escape(alt)}" src="{source}">'}


def _as_html(notebook: "NotebookNode", title: str) -> str:
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    exporter = HTMLExporter(config=Config({"HTMLExporter": {"exclude_input": True, "exclude_input_prompt": True,
                                                            "exclude_output_prompt": True}}))  # fmt: skip
    # The page must open without a network: what nbconvert would fetch from elsewhere is left out.
    exporter.mathjax_url = exporter.require_js_url = exporter.mermaid_js_url = exporter.jquery_url = ""
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return str(page)


def main() -> None:
    """Make the report of a run."""
    parser = argparse.ArgumentParser(prog="python -m saelib.batch.report", description="Make report.html of a run.")
    parser.add_argument("run", help="the run's folder name")
    print(write_report(runs_folder() / parser.parse_args().run))


if __name__ == "__main__":
    main()
