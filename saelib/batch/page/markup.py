"""Markdown to HTML in which nothing from outside is alive: tags, scripts and pictures of a text are shown as text.

In: Markdown, or its tokens (mistune's). Out: tokens, and HTML. Cells that hold a verdict get its colour, names of
notebooks become links.
"""

import html
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import mistune

from saelib.batch.notebooks import NOTEBOOKS
from saelib.results.notebook import VERDICT_SIGNS
from saelib.results.text import escape_html

Token: TypeAlias = dict[str, Any]
"""A block or a piece of a line, as mistune has it: `type`, `attrs`, and `raw` or `children`."""

HIGHEST, DEEPEST = 2, 3  # levels of headings in the table of contents
NAMES = tuple(notebook.name for notebook in NOTEBOOKS)
VERDICT = re.compile("|".join(f"{sign} {word}" for word, sign in VERDICT_SIGNS.items()))
CLASSES = {f"{sign} {word}": word.replace(" ", "-") for word, sign in VERDICT_SIGNS.items()}


def tokens_of(markdown: str) -> list[Token]:
    """The blocks of a Markdown text, without its blank lines."""
    parse = mistune.create_markdown(renderer=None, plugins=["table"])
    parsed = parse(markdown)
    assert not isinstance(parsed, str)
    return [token for token in parsed if token["type"] != "blank_line"]


def heading(text: str, level: int) -> Token:
    """A heading, as `tokens_of` would give it."""
    return {"type": "heading", "attrs": {"level": level}, "children": [{"type": "text", "raw": text}]}


def box(kind: str, content: list[Token]) -> Token:
    """A frame around blocks: "answer" or "warning"."""
    return {"type": "box", "attrs": {"kind": kind}, "children": content}


def folded(summary: str, content: list[Token]) -> Token:
    """Blocks that are shown once their summary is clicked."""
    return {"type": "folded", "attrs": {"summary": summary}, "children": content}


def picture(source: str, caption: str) -> Token:
    """A figure with its caption; as an image it can neither run nor fetch anything.

    Args:
        source: a `data:` address.
    """
    return {"type": "picture", "attrs": {"source": source, "caption": caption}}


def text_of(token: Token) -> str:
    """The words of a block, without mark-up."""
    return html.unescape(token.get("raw", "")) + "".join(map(text_of, token.get("children", ())))


def number_headings(tokens: list[Token]) -> list[Token]:
    """The same blocks, each heading with an anchor of its own: `section-1`, `section-2`."""
    places = (place for place, token in enumerate(tokens) if token["type"] == "heading")
    anchors = {place: f"section-{number}" for number, place in enumerate(places, start=1)}
    return [
        token | {"attrs": token["attrs"] | {"anchor": anchors[place]}} if place in anchors else token
        for place, token in enumerate(tokens)
    ]


def contents(tokens: list[Token]) -> Iterator[tuple[int, str, str]]:
    """Level, anchor and words of each numbered heading that the table of contents has."""
    for token in tokens:
        if token["type"] == "heading" and HIGHEST <= token["attrs"]["level"] <= DEEPEST:
            yield token["attrs"]["level"], token["attrs"]["anchor"], text_of(token)


def as_html(tokens: list[Token]) -> str:
    """Blocks as HTML."""
    return _Renderer().render_tokens(tokens, mistune.BlockState())


class _Renderer(mistune.HTMLRenderer):
    """mistune's, which escapes raw HTML, with tables that scroll, links to notebooks, and the blocks from above."""

    def __init__(self) -> None:
        super().__init__(escape=True)
        for name in ("table", "table_head", "table_body", "table_row", "table_cell", "box", "folded", "picture"):
            self.register(name, getattr(type(self), f"_{name}"))

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        return f'<h{level} id="{attrs.get("anchor", "")}">{text}</h{level}>\n'

    def text(self, text: str) -> str:
        """With entities as Markdown has them, which mistune would show as they are written where it escapes HTML."""
        return mistune.safe_entity(text)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        """A picture in a text could be fetched from anywhere: its description instead."""
        return text

    def codespan(self, text: str) -> str:
        code = super().codespan(text)
        return _link(text, code) if text in NAMES else code

    def _table(self, text: str) -> str:
        return f'<div class="scroll"><table>\n{text}</table></div>\n'

    def _table_head(self, text: str) -> str:
        return f"<thead><tr>{text}</tr></thead>\n"

    def _table_body(self, text: str) -> str:
        return f"<tbody>\n{text}</tbody>\n"

    def _table_row(self, text: str) -> str:
        return f"<tr>{text}</tr>\n"

    def _table_cell(self, text: str, align: str | None = None, head: bool = False) -> str:
        if head:
            return f"<th>{text}</th>"
        found = VERDICT.match(text)
        kind = f' class="verdict {CLASSES[found[0]]}"' if found else ""
        return f"<td{kind}>{_link(text, text) if text in NAMES else text}</td>"

    def _box(self, text: str, kind: str) -> str:
        return f'<aside class="box {kind}">\n{text}</aside>\n'

    def _folded(self, text: str, summary: str) -> str:
        return f"<details><summary>{escape_html(summary)}</summary>\n{text}</details>\n"

    def _picture(self, source: str, caption: str) -> str:
        caption = escape_html(caption)
        return f'<figure><img alt="{caption}" src="{escape_html(source)}"><figcaption>{caption}</figcaption></figure>\n'


def _link(notebook: str, shown: str) -> str:
    """From the report to an executed notebook, which lies in a folder beside it."""
    return f'<a href="notebooks/{notebook}.ipynb">{shown}</a>'
