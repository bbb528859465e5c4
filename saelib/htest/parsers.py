"""What a reply says: one of the item's options, or nothing.

In: a raw reply, or a judge's verdict on one. Out: the option that was chosen, or None. Two readers stand side by side:

- `paper`, the released rule (utils.py of brucewlee/h-test), bias and all: an "a" anywhere and no "b" is an A. A refusal
  such as "I cannot tell" is therefore an A, and "Answer: B", which holds an "a", is none.
- `strict`: a letter has to stand alone as the answer, and both letters are treated alike.

Letter geometry is read by exact match under both names, as the paper does.
"""

import re
from collections.abc import Callable, Sequence

from saelib.htest.tasks import LETTERS

MARKUP = re.compile(r"[*_`\"'“”‘’()\[\]{}<>$]")
UNDECIDED = re.compile(r"\b(?:a\W*(?:or|and|nor|/|,)\W*(?:label\W*)?b|b\W*(?:or|and|nor|/|,)\W*(?:label\W*)?a)\b", re.I)
NEGATED = re.compile(r"\b(?:not|rather than|instead of)\s+[ab]\b(?!\s+\w)", re.I)
ENDS = r"(?=\s*(?:$|[.,;!?–—-]|(?:because|since|as|for|in|here)\b))"  # what may follow a letter, but not an article
NAMING = r"\b(?:label|answer|option|choice|is|be|choose|pick|select|say|assign)\b\s*(?:[:=]|->|is\b|be\b)?\s*"
STATED = re.compile(NAMING + r"([ab])\b" + ENDS, re.IGNORECASE | re.MULTILINE)
OPENS_LINE = re.compile(r"^\s*([ab])(?=\s*(?:$|[.,;:!?–—-]))", re.IGNORECASE | re.MULTILINE)


def parse_paper(reply: str) -> str | None:
    """The released rule, to the letter; A is tried first."""
    text = reply.lower()
    for letter, other in (("a", "b"), ("b", "a")):
        alone = letter in text and other not in text
        said = f"is {letter}" in text and f"or {other}" not in text
        if alone or f"label: {letter}" in text or said:
            return letter.upper()
    return None


def parse_strict(reply: str) -> str | None:
    """The letter that stands alone as the answer, or None.

    Marks of emphasis, quotes and brackets are left out, and so are "A or B", "not A", and what follows when a base
    model goes on to ask the next question by itself. Then a letter after "label", "answer", "is" and the like is the
    answer; where there is none, a letter that opens a line or is all of it. It has to be followed by a mark, a line's
    end or a word such as "because": in "a sentence" it is the article, and "Label A: ..." explains a label. Two
    different answers are none.
    """
    text = MARKUP.sub(" ", reply.split("\nInput:")[0])
    for phrase in (UNDECIDED, NEGATED):
        text = phrase.sub(" ", text)
    for pattern in (STATED, OPENS_LINE):
        if found := {letter.upper() for letter in pattern.findall(text)}:
            return found.pop() if len(found) == 1 else None
    return None


def parse_option(reply: str, options: Sequence[str]) -> str | None:
    """The option that the reply is, but for blanks around it; None where it is anything else."""
    stripped = reply.strip()
    return stripped if stripped in options else None


def _for_letters(parse: Callable[[str], str | None]) -> Callable[[str, Sequence[str]], str | None]:
    def read(reply: str, options: Sequence[str]) -> str | None:
        return parse(reply) if tuple(options) == LETTERS else parse_option(reply, options)

    return read


PARSERS: dict[str, Callable[[str, Sequence[str]], str | None]] = {
    "paper": _for_letters(parse_paper),
    "strict": _for_letters(parse_strict),
}
