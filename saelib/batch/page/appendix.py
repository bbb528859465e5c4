"""The end of the report: every figure of the run, its settings, the glossary, and the checks that passed.

In: executed notebooks, figures and configs of a run. Out: Markdown tokens.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.page.cells import each_check, named_figures
from saelib.batch.page.glossary import GLOSSARY
from saelib.batch.page.head import CARRIED, CONFIGS
from saelib.batch.page.markup import Token, folded, heading, tokens_of
from saelib.htest.config import HTestConfig
from saelib.interpret.config import InterpretConfig
from saelib.results.tables import as_markdown
from saelib.run.config import Config
from saelib.run.reading import read_json
from saelib.transfer.config import ExperimentConfig

if TYPE_CHECKING:
    from nbformat import NotebookNode

SHOWS = {notebook.name: notebook.shows for notebook in NOTEBOOKS}
KINDS: dict[str, type[Config]] = {"layer transfer": ExperimentConfig, CARRIED: InterpretConfig, "H-Test": HTestConfig}


def appendix(folder: Path, executed: "dict[str, NotebookNode]", shown: list[Token]) -> list[Token]:
    """All of it.

    Args:
        folder: of the run.
        executed: notebooks by name.
        shown: blocks above; a figure that stands there is not repeated.
    """
    return [
        heading("Appendix", 2),
        *_section("All other figures", _figures(folder / "figures", executed, shown)),
        *_section("Settings", _settings(folder)),
        *_section("Glossary", tokens_of("\n".join(f"- **{word}**: {meaning}" for word, meaning in GLOSSARY.items()))),
        *_section("Checks", _checks(executed)),
        *_section("Files", tokens_of("\n".join(_files(folder, executed)))),
    ]


def _section(title: str, blocks: list[Token]) -> list[Token]:
    return [heading(title, 3), *blocks] if blocks else []


def _figures(folder: Path, executed: "dict[str, NotebookNode]", shown: list[Token]) -> list[Token]:
    seen = {block["attrs"]["source"] for block in shown if block["type"] == "picture"}
    blocks: list[Token] = []
    for name, notebook in executed.items():
        figures = named_figures(notebook, folder)
        others = [token for token in figures.values() if token["attrs"]["source"] not in seen]
        if others:
            blocks += [*tokens_of(f"#### `{name}`: {SHOWS[name]}"), *others]
    return blocks


def _settings(folder: Path) -> list[Token]:
    """A table for each config: field, value, and the sentence that stands under the field in the code."""
    blocks: list[Token] = []
    for paper, path in CONFIGS.items():
        if (folder / path).is_file():
            lines = _fields(KINDS[paper], read_json(folder / path))
            table = pd.DataFrame(lines, columns=["setting", "value", "what it is"])
            blocks += [folded(f"{paper} ({path})", tokens_of(as_markdown(table)))]
    return blocks


def _fields(kind: type[Config], values: dict[str, Any], before: str = "") -> Iterator[tuple[str, str, str]]:
    for name, value in values.items():
        field = kind.model_fields.get(name)
        inner = field.annotation if field else None
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Config):
            yield from _fields(inner, value, f"{name}: ")
        else:
            shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield before + name, shown, " ".join(((field and field.description) or "").split())


def _checks(executed: "dict[str, NotebookNode]") -> list[Token]:
    """How many passed, and each in the words of its notebook; one that fails stops its notebook."""
    checks = {name: list(each_check(notebook)) for name, notebook in executed.items()}
    total = sum(map(len, checks.values()))
    missing = [name for name in SHOWS if name not in executed]
    text = f"**{total:,} of {total:,} checks passed** in {len(executed)} of {len(SHOWS)} notebooks: numbers that stand "
    text += "beside the same number by another way, or within a limit. A check that fails stops its notebook."
    if missing:
        text += f" Not run: {', '.join(missing)}."
    each = [folded(f"{name}: {len(found)}", tokens_of("\n\n".join(found))) for name, found in checks.items() if found]
    return [*tokens_of(text), *each]


def _files(folder: Path, executed: "dict[str, NotebookNode]") -> Iterator[str]:
    """Links to what lies beside the report."""
    for name in executed:
        yield f"- `{name}`: {SHOWS[name]}"
    for path in sorted((folder / "tables").glob("*.csv")):
        yield f"- [tables/{path.name}](tables/{path.name})"
    for path in sorted((*folder.glob("*.parquet"), *folder.glob("interpret/*.parquet"))):
        name = path.relative_to(folder).as_posix()
        yield f"- [{name}]({name})"
