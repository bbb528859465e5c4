"""A notebook's cells in this process, with other parameters: quick, and what they call can be replaced."""

from typing import Any

import nbformat
import pytest

from saelib.run.files import PROJECT


def run_cells(name: str, parameters: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the notebook of this name displays with these parameters."""
    cells = nbformat.read(PROJECT / "notebooks" / f"{name}.ipynb", as_version=4).cells
    shown: list[Any] = []
    monkeypatch.setattr("IPython.display.display", lambda output, **_: shown.append(output))
    namespace: dict[str, Any] = {**parameters, "display": shown.append}
    for cell in cells:
        if cell.cell_type == "code" and "parameters" not in cell.metadata.get("tags", []):
            exec(compile(cell.source, cell.id, "exec"), namespace)
    return shown


def sentences(shown: list[Any]) -> list[str]:
    """The Markdown among what a notebook displayed."""
    return [output.data for output in shown if hasattr(output, "_repr_markdown_")]
