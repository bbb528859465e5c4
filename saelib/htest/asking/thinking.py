"""The thoughts of thinking models: cut off before any reader, parser or judge, sees the reply.

In: a raw reply, as a local model or an API gave it. Out: what was said after the thoughts, or None where they never
end, as a limit on the reply's length leaves them.
"""

import re
from typing import NamedTuple


class Marks(NamedTuple):
    """What a family of models writes around its thoughts."""

    opening: str
    closing: str


TAG = r"(?:\w+:)?(?:think|thinking|thought|thoughts|reasoning)"
MARKS = (
    Marks(rf"<{TAG}>", rf"</{TAG}>"),
    Marks(r"\[THINK\]", r"\[/THINK\]"),  # Magistral
    Marks(r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    Marks(r"<\|channel\|>(?:analysis|commentary)\b", r"<\|channel\|>final<\|message\|>"),  # gpt-oss
)
OPENING, CLOSING = (re.compile("|".join(marks), re.IGNORECASE) for marks in zip(*MARKS, strict=True))


def without_thoughts(reply: str, prompt: str = "") -> str | None:
    """What a reply says after its thoughts; the whole reply where it has none.

    Args:
        prompt: as it was sent; a chat template may open the thoughts itself, so that the reply only closes them.

    Returns:
        None where the thoughts are not closed: whatever letter stands in them is not the answer.
    """
    said = CLOSING.split(reply)[-1]
    began = len(said) == len(reply) and opens_thoughts(prompt)
    return None if began or OPENING.search(said) else said


def opens_thoughts(prompt: str) -> bool:
    """Whether the last mark of a prompt is an opening one: what comes next is no answer yet."""
    last = [max((found.end() for found in mark.finditer(prompt)), default=-1) for mark in (OPENING, CLOSING)]
    return last[0] > last[1]
