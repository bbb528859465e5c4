"""A reader of the report sees text, sentences, tables and named figures of a notebook, and nothing of its running."""

import base64
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from saelib.batch.notebooks import NOTEBOOKS, Notebook
from saelib.batch.page.cells import blocks_of, each_check, named_figures, without_empty_headings
from saelib.batch.page.markup import as_html, text_of, tokens_of

LEFTOVERS = re.compile(r"only one to change|Recorded values|Python 3\.\d|rows and columns|# \"tiny\"|preset = ")


def said(text: str, role: str | None = None) -> Any:
    about = {"saelib": {"role": role}} if role else {}
    return new_output("display_data", {"text/markdown": text, "text/plain": "<Markdown>"}, metadata=about)


def image(name: str | None, content: bytes = b"png", alt: str = "A figure") -> Any:
    about = {"image/png": {"alt": alt, "name": name}} if name else {}
    data = {"image/png": base64.b64encode(content).decode() + "\n", "text/plain": "<Image>"}
    return new_output("display_data", data, metadata=about)


def page_of(*cells: Any, figures: Path = Path("nowhere")) -> str:
    return as_html(blocks_of(new_notebook(cells=list(cells)), figures))


def test_text_sentences_and_named_figures_are_seen() -> None:
    code = new_code_cell("secret_call()", outputs=[said("**7** features"), image("norms"), image(None, b"other")])
    page = page_of(new_markdown_cell("# Title\n\nWords."), code)
    assert re.sub("<[^>]+>|\n", " ", page).split() == ["Title", "Words.", "7", "features", "A", "figure"]
    assert page.count("<img") == 1
    assert base64.b64encode(b"png").decode() in page


def test_printed_lines_plain_values_html_and_errors_are_not() -> None:
    outputs = [
        new_output("stream", text="Python 3.11"),
        new_output("execute_result", {"text/plain": "42", "text/html": "<b>42</b>"}),
        new_output("error", ename="ValueError", evalue="no", traceback=["secret"]),
    ]
    assert page_of(new_code_cell("42", outputs=outputs)) == ""


def test_what_is_for_who_runs_the_notebook_is_not() -> None:
    parameters = new_code_cell("run = None", metadata={"tags": ["parameters"]}, outputs=[said("parameters")])
    injected = new_code_cell("run = 1", metadata={"tags": ["injected-parameters"]}, outputs=[said("injected")])
    recorded = new_code_cell("x = 1\nrecord_values(run, 'name', {})", outputs=[said("recorded")])
    page = page_of(
        new_markdown_cell("# Title"), new_markdown_cell("Change this cell."), parameters, injected,
        new_markdown_cell("Seen."), new_code_cell("say()", outputs=[said("Also seen.")]),
        new_markdown_cell("## Values of this run\n\nWhere they are kept."), recorded,
    )  # fmt: skip
    assert re.sub("<[^>]+>|\n", " ", page).split() == ["Title", "Seen.", "Also", "seen."]


def test_a_heading_with_nothing_beneath_is_not_shown() -> None:
    blocks = tokens_of("# Title\n\n# A\n\n## B\n\n### C\n\n## D\n\ntext\n\n# E\n\n# F\n\n## G\n\ntext\n\n## H")
    assert [text_of(block) for block in without_empty_headings(blocks)] == ["Title", "A", "D", "text", "F", "G", "text"]


@pytest.mark.parametrize("role", ["answer", "warning", "check"])
def test_an_output_with_a_role_stands_in_a_box(role: str) -> None:
    assert f'<aside class="box {role}">' in page_of(new_code_cell("", outputs=[said("Yes.", role)]))


def test_a_figure_is_the_svg_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "norms.svg").write_bytes(b"<svg/>")
    notebook = new_notebook(cells=[new_code_cell("", outputs=[image("norms"), image("other"), image(None)])])
    found = named_figures(notebook, tmp_path)
    sources = [token["attrs"]["source"] for token in found.values()]
    assert list(found) == ["norms", "other"]
    assert sources == [f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
                       for kind, content in (("svg+xml", b"<svg/>"), ("png", b"png"))]  # fmt: skip


def test_checks_are_found_by_their_role() -> None:
    cell = new_code_cell("", outputs=[said("✓ a", "check"), said("✓ not one"), said("✓ b", "check")])
    assert [*each_check(new_notebook(cells=[new_markdown_cell("✓"), cell]))] == ["✓ a", "✓ b"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.name)
def test_no_stored_notebook_would_leak_what_is_for_who_runs_it(notebook: Notebook, tmp_path: Path) -> None:
    stored = nbformat.read(notebook.path, as_version=4)
    page = as_html(blocks_of(stored, tmp_path))
    assert len(page) > 1000
    assert not LEFTOVERS.findall(re.sub("<img[^>]*>", "", page))
