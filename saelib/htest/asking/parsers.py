"""What a reply says: one of the item's options, or nothing.

In: a raw reply without its thoughts (`thinking`), or a judge's verdict on one. Out: the option that was chosen, or
None. Two readers stand side by side:

- `paper`, the released rule (utils.py of brucewlee/h-test), bias and all: an "a" anywhere and no "b" is an A. A refusal
  such as "I cannot tell" is therefore an A, and "Answer: B", which holds an "a", is none.
- `strict`, our own (`strict_parser`): a letter has to stand alone or be named as the answer.

Letter geometry is read by exact match under both names, as the paper does.
"""

from collections.abc import Callable, Sequence

from saelib.htest.asking.strict_parser import parse_strict
from saelib.htest.tasks import LETTERS


def parse_paper(reply: str) -> str | None:
    """The released rule, to the letter; A is tried first."""
    text = reply.lower()
    for letter, other in (("a", "b"), ("b", "a")):
        alone = letter in text and other not in text
        said = f"is {letter}" in text and f"or {other}" not in text
        if alone or f"label: {letter}" in text or said:
            return letter.upper()
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
