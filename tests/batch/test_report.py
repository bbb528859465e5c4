"""report.html: the report notebook without its code, and every figure of the other notebooks with its caption."""

import base64
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from saelib.batch import report
from saelib.batch.report import write_report
from saelib.results.figures import figure, new_figure, save_figure
from tests.helpers.small_run import SmallRun


def drawn(name: str, caption: str, height: float = 1.0) -> Any:
    @figure(name, caption)
    def draw() -> Figure:
        made, panels = new_figure(2, 1)
        panels[0, 0].plot([0, height])
        return made

    return draw()


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return SmallRun(tmp_path / "runs" / "mine")


def shown(run: SmallRun, name: str, caption: str, height: float = 1.0) -> Any:
    """The output of a cell that kept and displayed a figure."""
    data, metadata = save_figure(run, drawn(name, caption, height))._repr_mimebundle_()
    return new_output("display_data", data, metadata=metadata)


def execute(run: SmallRun, name: str, *outputs: Any, text: str = "# A title") -> None:
    """Put an executed notebook where a batch run leaves it."""
    cells = [new_markdown_cell(text), *(new_code_cell("secret_call()", outputs=[output]) for output in outputs)]
    (run.folder / "notebooks").mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells), run.folder / "notebooks" / f"{name}.ipynb")


def images(page: str) -> list[tuple[str, bytes]]:
    """Description and content of each image, in order."""
    found: list[tuple[str, bytes]] = []

    class Images(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag == "img" and (alt := dict(attrs).get("alt")):
                content = (dict(attrs)["src"] or "").removeprefix("data:image/png;base64,")
                found.append((alt, base64.b64decode(content)))

    Images().feed(page)
    return found


def test_a_run_without_its_report_notebook_is_told_how_to_make_it(run: SmallRun) -> None:
    execute(run, "13_convergence")
    with pytest.raises(FileNotFoundError, match=r"90_report\.ipynb is not there; run `make reproduce RUN=mine` first"):
        write_report(run.folder)
    assert not (run.folder / "report.html").exists()


def test_the_report_holds_the_notebook_without_code_and_every_figure(run: SmallRun) -> None:
    tides, norms, inner = 'Tides & "waves" <1 m', "Norms by layer", "Agreement with the paper"
    plain = new_output("display_data", {"image/png": base64.b64encode(b"not a figure of ours").decode()})
    execute(run, "13_convergence", shown(run, "tides", tides), plain, shown(run, "late", "A late one", 5))
    execute(run, "10_language_model", shown(run, "norms", norms, 2), new_output("stream", text="said"))
    execute(run, "99_foreign", shown(run, "foreign", "Of no notebook of ours", 3))
    execute(run, "90_report", shown(run, "agreement", inner, 4), text="# Findings")
    path = write_report(run.folder)
    assert path == run.folder / "report.html"
    page = path.read_text(encoding="utf-8")
    assert "Findings" in page and "secret_call" not in page
    assert "H-Test: run mine</title>" in page
    kept = {
        name: (run.folder / "figures" / f"{name}.png").read_bytes() for name in ("agreement", "norms", "tides", "late")
    }
    assert images(page) == [
        (inner, kept["agreement"]), (norms, kept["norms"]), (tides, kept["tides"]), ("A late one", kept["late"]),
    ]  # fmt: skip
    assert page.index("All figures of this run") > page.index(inner)
    assert "figures/norms.png" in page and "said" not in page


def test_the_page_needs_no_network(run: SmallRun) -> None:
    execute(run, "90_report", shown(run, "norms", "Norms"), text="The share $x^2$")
    page = write_report(run.folder).read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)=["']https?:""", page)
    assert not re.search(r"""import\s*\(\s*["']https?:""", page)


def test_a_run_without_figures_has_no_gallery(run: SmallRun) -> None:
    execute(run, "10_language_model", new_output("stream", text="said"))
    execute(run, "90_report", text="# Findings")
    assert "All figures of this run" not in write_report(run.folder).read_text(encoding="utf-8")


def test_the_command_line_takes_the_name_of_a_run(
    run: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    execute(run, "90_report")
    monkeypatch.setenv("SAELIB_RUNS", str(run.folder.parent))
    monkeypatch.setattr(sys, "argv", ["report", "mine"])
    report.main()
    assert capsys.readouterr().out.strip() == str(run.folder / "report.html")
