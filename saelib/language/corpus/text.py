"""Text as documents: where one ends, and on which side of the split it stands, before anything is trained.

In: the lines of a text, or whole documents. Out: `Document`s, train or held out by their name alone.
"""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

HELD_OUT_SHARE = 0.05  # of documents, drawn by the hash of the name, so that a new version moves no document
TEXT_DOCUMENT_CHARACTERS = 4_000  # a text file is cut into documents of about this size, at blank lines
LONGEST_PARAGRAPH = 5_000  # characters; a longer one is cut as well
LONGEST_DOCUMENT = 64_000  # characters of a record or of a file in a folder; a longer one is cut as a text file is

# Where a long paragraph may be cut, best first; Chinese and Japanese have no blank after a sentence.
BORDERS = tuple(map(re.compile, (r"\n", r"[.!?]['\")\]]*\s|[。！？]", r"\s")))


class Document(NamedTuple):
    """Text that stays on one side of the split: a name that decides the side, and its paragraphs."""

    name: str
    paragraphs: list[str]


def text_documents(lines: Iterable[str]) -> Iterator[Document]:
    """A text as documents of about `TEXT_DOCUMENT_CHARACTERS`, cut at blank lines and named by their content.

    A paragraph longer than `LONGEST_PARAGRAPH` is cut too: at a line's end, or else at a sentence's, at a blank,
    or, where nothing of these comes in time, anywhere.
    """
    paragraphs: list[str] = []
    size = 0
    for paragraph in _paragraphs(lines):
        if size >= TEXT_DOCUMENT_CHARACTERS:
            yield _named(paragraphs)
            paragraphs, size = [], 0
        paragraphs.append(paragraph)
        size += len(paragraph)
    if paragraphs:
        yield _named(paragraphs)


def whole_documents(text: str) -> Iterator[Document]:
    """A text that is one document: as it is, cut only beyond `LONGEST_DOCUMENT`; nothing where it is blank.

    Raises:
        UnicodeEncodeError: the text holds half a character (a surrogate), which no tokenizer takes.
    """
    if len(text) > LONGEST_DOCUMENT:
        yield from text_documents(io.StringIO(text))
    elif text.strip():
        yield _named([text])


def _named(paragraphs: list[str]) -> Document:
    return Document(hashlib.sha256("\n\n".join(paragraphs).encode()).hexdigest(), paragraphs)


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """What stands between blank lines, stripped, in pieces where it is too long."""
    gathered: list[str] = []
    size = 0
    for line in chain(lines, [""]):
        is_blank = not line.strip()
        if not is_blank:
            gathered.append(line)
            size += len(line)
        if gathered and (is_blank or size > LONGEST_PARAGRAPH):
            *whole, rest = _pieces("".join(gathered))
            if is_blank:
                whole, rest = [*whole, rest], ""
            yield from filter(None, map(str.strip, whole))
            gathered, size = [rest] if rest else [], len(rest)


def _pieces(text: str) -> Iterator[str]:
    start = 0
    while len(text) - start > LONGEST_PARAGRAPH:
        end = _border(text, start + TEXT_DOCUMENT_CHARACTERS, start + LONGEST_PARAGRAPH)
        yield text[start:end]
        start = end
    yield text[start:]


def _border(text: str, earliest: int, latest: int) -> int:
    found = (border.search(text, earliest, latest) for border in BORDERS)
    return next((match.end() for match in found if match), latest)


def split_of(document: Document) -> str:
    """The side of a document, "train" or "held_out", by its name alone."""
    draw = int.from_bytes(hashlib.sha256(document.name.encode()).digest()[:8], "big") / 2**64
    return "held_out" if draw < HELD_OUT_SHARE else "train"
