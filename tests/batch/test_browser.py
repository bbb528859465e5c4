"""A headless browser opens the report and executed notebooks that are full of hostile names, texts and replies."""

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from saelib.batch.report import write_report
from saelib.htest.config import resolve_htest_config
from saelib.htest.items.item import Item
from saelib.htest.items.tables import examples_table
from saelib.htest.scoring import main_table
from saelib.results.tables import as_markdown
from saelib.results.text import escape_markdown
from saelib.run.files import write_json
from saelib.transfer import wording
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.presets import resolve_config
from tests.helpers.browser import HIT, HOSTILE, is_hit, needs_browser, shown_by_browser

pytestmark = needs_browser
ESTIMATE = {"mean": 0.5, "low": 0.4, "high": 0.6}
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def displayed(text: str, role: str | None = None) -> Any:
    about = {"saelib": {"role": role}} if role else {}
    return new_output("display_data", {"text/markdown": text}, metadata=about)


def shown_as_the_notebooks_do(hostile: str) -> list[Any]:
    """Sentences and tables in which a model, a text, an item, a reply and a token have this name."""
    item = Item(item_set="mine", task="uppercase", split="test", seed=0, row=0, text=hostile, label="A",
                options=("A", "B"))  # fmt: skip
    line = {"model": hostile, "form": "completion", "k": 4, "item_set": "mine", "readers": ["paper"], "items": 2,
            "tasks": 1, "share_none": 0.0, "one_letter_tasks": 0, "auroc_above": 0, "auroc_below": 0,
            **dict.fromkeys(main_table.HEADINGS, ESTIMATE)}  # fmt: skip
    config = ExperimentConfig.model_construct(preset="tiny", language_model=hostile, corpus=hostile)
    return [
        displayed(wording.opening(config)),
        displayed(f"**{escape_markdown(hostile)}**: 4 layers"),
        displayed(f"**H-Test**\n\n- {main_table.hidden_sentence(line)}", "answer"),
        displayed(as_markdown(main_table.main_table([line]))),
        displayed(as_markdown(examples_table([item], "mine"))),
        displayed(as_markdown(pd.DataFrame({hostile: [hostile, "x"], "reply": [hostile, hostile]}))),
        new_output("stream", text=f"{hostile!r} {hostile}\n"),
        new_output("execute_result", {"text/plain": hostile}),
    ]


def notebook_of(outputs: list[Any]) -> Any:
    cells = [new_markdown_cell("# A title"), *(new_code_cell("show()", outputs=[output]) for output in outputs)]
    return new_notebook(cells=cells)


def as_page(notebook: Any, path: Path) -> Path:
    """A notebook as `jupyter nbconvert --to html` writes it, which lets the tags of a Markdown text live."""
    from nbconvert import HTMLExporter

    path.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    return path


def hostile_run(folder: Path) -> Path:
    """A run whose every name, item, reply and caption is hostile; the report's page.

    Its notebooks also say the strings as they are: the report must not rely on them.
    """
    everything = " ".join(HOSTILE)
    plain = dict.fromkeys(("language_model", "corpus"), everything)
    write_json(folder / "config.json", resolve_config(run="mine").as_dict() | plain)
    htest = resolve_htest_config(run="mine").as_dict() | {"models": list(HOSTILE), "system": everything}
    write_json(folder / "htest" / "config.json", htest)
    items = {"config_sha256": everything, "values": {"items_sha256": dict.fromkeys(HOSTILE, everything)}}
    write_json(folder / "values" / "30_htest_items.json", items)
    outputs = [output for hostile in HOSTILE for output in shown_as_the_notebooks_do(hostile)]
    outputs += [displayed(hostile, role) for hostile in HOSTILE for role in (None, "answer", "warning", "check")]
    notebook = notebook_of(outputs)
    notebook.cells += [new_markdown_cell(f"# {hostile}\n\n{hostile}") for hostile in HOSTILE]
    (folder / "notebooks").mkdir()
    for name in ("90_report", "13_convergence"):
        nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")
    return write_report(folder)


class Links(HTMLParser):
    """What a page's links and attributes would run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.alive: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of_page = tag in ("script", "iframe", "object", "embed", "base", "form")
        self.alive += [tag] if of_page else []
        for name, value in attrs:
            if name.startswith("on") or (value or "").strip().lower().startswith(("javascript:", "vbscript:")):
                self.alive.append(f"{tag} {name}={value}")


def test_a_page_with_them_as_they_are_would_be_hit(tmp_path: Path) -> None:
    page = tmp_path / "plain.html"
    for hostile in HOSTILE[:3]:
        page.write_text(f"<!DOCTYPE html><html><body>{hostile}</body></html>", encoding="utf-8")
        assert is_hit(shown_by_browser(page)), hostile
    unsafe = as_page(notebook_of([displayed(f"model {HOSTILE[1]}")]), tmp_path / "unsafe.html")
    assert is_hit(shown_by_browser(unsafe))


def test_nothing_in_the_report_runs_even_without_its_policy(tmp_path: Path) -> None:
    report = hostile_run(tmp_path)
    text = report.read_text(encoding="utf-8")
    assert text.count(HIT) > 20 * len(HOSTILE) // 2  # they are there to be read
    assert Links(text).alive == []
    assert not is_hit(shown_by_browser(report))
    assert POLICY.search(text)
    report.write_text(POLICY.sub("", text), encoding="utf-8")
    assert not is_hit(shown_by_browser(report))


def test_nothing_in_an_executed_notebook_runs(tmp_path: Path) -> None:
    outputs = [output for hostile in HOSTILE for output in shown_as_the_notebooks_do(hostile)]
    page = as_page(notebook_of(outputs), tmp_path / "notebook.html")
    assert page.read_text(encoding="utf-8").count(HIT) > len(HOSTILE)
    assert not is_hit(shown_by_browser(page))
