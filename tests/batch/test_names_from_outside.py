"""Names of models, texts and replies may hold any sign: whatever shows them shows them to the letter, and none acts."""

import ast
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from saelib.batch.page.markup import as_html, tokens_of
from saelib.htest import figures
from saelib.htest.items.item import Item
from saelib.htest.items.tables import examples_table
from saelib.htest.scoring import main_table, tables
from saelib.results.figures import save_figure
from saelib.results.tables import as_latex, as_markdown
from saelib.results.text import escape_latex
from saelib.run.files import PROJECT
from saelib.transfer import wording
from saelib.transfer.config import ExperimentConfig
from tests.helpers.small_run import SmallRun

NAMES = (
    "<script>alert(1)</script>", "a/<img src=x onerror=alert(1)>", "$$", "$a_{b$ | c", "**b** _c_ `d`", "{model} %s",
    "模型", "two\nlines", "m" * 300, "end\\", "[x](javascript:alert(1))", "\u202egnp.exe",
)  # fmt: skip
FROM_OUTSIDE = re.compile(
    r"(^|\.)(name|language_model|corpus|source|model|models|judge|family|members|left_out|judge_name|shown_model"
    r"|asked_model|ablation_model|fine_tuning_model|revision|text|reply)$"
)
OF_THE_KIT = {"wording.SHORT_NAMES", "name"}  # a loop's `name` is a target's; `model.name` is from outside


def said(notebook: Path) -> Iterator[ast.expr]:
    """What the f-strings within `say(...)` of a notebook put into their texts."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            for call in ast.walk(ast.parse("".join(cell["source"]))):
                if isinstance(call, ast.Call) and ast.unparse(call.func) == "say":
                    for part in ast.walk(call):
                        if isinstance(part, ast.FormattedValue):
                            yield part.value


def is_from_outside(value: ast.expr) -> bool:
    """By what it is called: `config.corpus`, `line["model"]`, `names.shown_model(...)`, `", ".join(models)`."""
    if isinstance(value, ast.BoolOp):
        return any(map(is_from_outside, value.values))
    if isinstance(value, ast.Call) and ast.unparse(value.func).endswith(".join"):
        return is_from_outside(value.args[0])
    if isinstance(value, ast.Call):
        return bool(FROM_OUTSIDE.search(ast.unparse(value.func)))
    if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Constant):
        return bool(FROM_OUTSIDE.search(str(value.slice.value)))
    words = ast.unparse(value)
    return words not in OF_THE_KIT and bool(FROM_OUTSIDE.search(words))


@pytest.mark.parametrize("notebook", sorted((PROJECT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_no_notebook_says_a_name_as_it_is(notebook: Path) -> None:
    assert [ast.unparse(value) for value in said(notebook) if is_from_outside(value)] == []


def test_a_name_that_is_said_as_it_is_would_be_found() -> None:
    plain = ("config.corpus", "model.name", "line['model']", "names.shown_model(name)", "', '.join(models)",
             "', '.join(left_out) or 'nobody'")  # fmt: skip
    for words in plain:
        assert is_from_outside(ast.parse(words, mode="eval").body), words
    for words in ("escape_markdown(config.corpus)", "wording.opening(config)", "config.sae_seeds", "len(models)"):
        assert not is_from_outside(ast.parse(words, mode="eval").body), words


class Page(HTMLParser):
    """Tags and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


HARMLESS = {"div", "table", "thead", "tbody", "tr", "th", "td", "p", "strong"}


def on_the_page(name: str) -> str:
    """A name as a reader of the report sees it."""
    return " ".join(name.replace("\u202e", r"\u202e").splitlines())


@pytest.mark.parametrize("name", NAMES)
def test_tables_and_sentences_show_it_to_the_letter(name: str) -> None:
    item = Item(
        item_set="mine", task="uppercase", split="test", seed=0, row=0, text=name, label="A", options=("A", "B")
    )
    estimate = {"mean": 0.5, "low": 0.4, "high": 0.6}
    line = {"model": name, "form": "completion", "k": 4, "item_set": "mine", "readers": ["paper"], "items": 2,
            "tasks": 1, "share_none": 0.0, "one_letter_tasks": 0, "auroc_above": 0, "auroc_below": 0,
            **dict.fromkeys(main_table.HEADINGS, estimate)}  # fmt: skip
    config = ExperimentConfig.model_construct(preset="tiny", language_model=name, corpus=name)
    texts = [
        as_markdown(examples_table([item], "mine")),
        as_markdown(main_table.main_table([line])),
        as_markdown(tables.wide_table(accuracies(name))),
        as_markdown(pd.DataFrame({name: ["x"]})),
        main_table.hidden_sentence(line),
        wording.opening(config),
    ]
    for text in texts:
        page = Page(as_html(tokens_of(text)))
        assert page.tags <= HARMLESS
        assert on_the_page(name).strip() in page.text
        assert len({row.count("|") - row.count(r"\|") for row in text.splitlines()}) == 1  # no border is lost or won


def accuracies(name: str) -> pd.DataFrame:
    row = {"model": name, "reader": "strict", "form": "completion", "k": 4, "item_set": "mine", "items": 20,
           "accuracy": 0.5, "low": 0.3, "high": 0.7, "auroc": 0.6, "auroc_low": 0.4, "auroc_high": 0.8}  # fmt: skip
    return pd.DataFrame([{**row, "task": task} for task in ("uppercase", "rhyme")])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("error")
def test_figures_draw_it(name: str, tmp_path: Path) -> None:
    table = accuracies(name)
    run = SmallRun(tmp_path / "mine")
    geometry = table[:1].assign(task="letter_geometry")
    for drawn in (figures.accuracy_heat_map(table), figures.shots(table), figures.family(table),
                  figures.letter_geometry(geometry)):  # fmt: skip
        save_figure(run, drawn)


@pytest.mark.parametrize("name", NAMES)
def test_latex_sets_it(name: str) -> None:
    text = as_latex(pd.DataFrame({name: [name, "x"], "mean": [0.5, 0.25]}))
    assert text.count(escape_latex(name)) == 2
    assert len(text.splitlines()) == 8
