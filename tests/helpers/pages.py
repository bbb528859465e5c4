"""Reads the project's Markdown pages: fenced blocks, inline code, links, sections and tables.

Pages are read with one blank for any white space in sentences, since a sentence may go over a line's end.
"""

import re
from pathlib import Path

import pandas as pd

from saelib.run.files import PROJECT

PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "saelib/transfer/README.md",
         "saelib/interpret/README.md", "saelib/htest/README.md", "benchmarks/README.md")  # fmt: skip
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
UNRELEASED = re.compile(r"^## Unreleased\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)


def read_page(name: str) -> str:
    """A page's text; of CHANGELOG.md the unreleased part, without the old names in "`old` is `new`"."""
    text = (PROJECT / name).read_text(encoding="utf-8")
    if name == "CHANGELOG.md":
        (text,) = UNRELEASED.findall(text)
        text = re.sub(r"`[^`]+`\sis\s(?=`)|\swas\s`[^`]+`", "", text)
    return text


def fences(text: str, *languages: str) -> list[str]:
    """The fenced blocks in any of some languages; "" is a block that names none."""
    return [body for language, body in FENCE.findall(text) if language in languages]


def prose(text: str) -> str:
    """All but the fenced blocks."""
    return FENCE.sub("", text)


def inline_code(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(text))


def links(text: str) -> list[str]:
    """Targets of links and pictures inside the project, without what follows "#"."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [target.partition("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]


def tables(text: str) -> list[str]:
    """Tables as they stand, each one string of lines."""
    return re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one."""
    (body,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    return str(body)


def without_section(text: str, title: str) -> str:
    return re.sub(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", "", text, flags=re.MULTILINE | re.DOTALL)


def one_match(pattern: str, text: str) -> re.Match[str]:
    """The only place where a sentence stands, blanks and line ends being the same."""
    found = list(re.finditer(pattern, " ".join(text.split())))
    assert len(found) == 1, f"{pattern!r} stands {len(found)} times on the page; has the sentence been reworded?"
    return found[0]


def check_columns(table: pd.DataFrame, page: Path, file: str) -> None:
    """See that a page's table of columns names each column of a result file, and no other."""
    (defined,) = tables(section(page.read_text(encoding="utf-8"), f"Columns of `{file}`"))
    named = {name for line in defined.splitlines()[2:] for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    mentioned = named | set(re.findall(r"`(\w+)`", defined))
    assert set(table.columns) - mentioned == set(), f"{page} does not define these columns of {file}"
    assert named - set(table.columns) == set(), f"{page} defines these columns, which {file} does not have"
