"""Short sentences without much sense, as those of H-Test are: a subject, a verb, perhaps a place, an adverb.

In: a vocabulary and a generator. Out: the parts of a sentence, and its text. All draws are made from
`random.Random.random`, the one method whose numbers Python promises to keep the same in every version.
"""

import random
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from saelib.htest.items.words import Vocabulary

Entry = TypeVar("Entry")

DETERMINERS = ("the", "my", "our", "your", "this", "that")
PREPOSITIONS = ("in", "near", "behind", "beside", "around", "above")
# What may stand around the last part, and what may stand at the end; their length is the number of marks.
ASIDES = ("", ",", "()", "('')")
ENDS = ("", ".", "!", "?!", "...", "?!?!", ".....")


class Shape(NamedTuple):
    """What one can tell of a text without reading it."""

    characters: int
    words: int
    digits: int
    signs: int
    """Neither letters, digits nor blanks."""


def shape_of(text: str) -> Shape:
    """Counts of a text."""
    return Shape(
        characters=len(text),
        words=len(text.split()),
        digits=sum(sign.isdigit() for sign in text),
        signs=sum(not (sign.isalnum() or sign.isspace()) for sign in text),
    )


def pick(generator: random.Random, entries: Sequence[Entry]) -> Entry:
    """One of the entries, each as likely as the others."""
    return entries[int(generator.random() * len(entries))]


def shuffled(generator: random.Random, entries: Sequence[Entry]) -> list[Entry]:
    """The entries in a random order."""
    keyed = [(generator.random(), entry) for entry in entries]
    return [entry for _, entry in sorted(keyed, key=lambda pair: pair[0])]


def some(generator: random.Random, entries: Sequence[Entry]) -> list[Entry]:
    """Some of the entries, in their order; every number of them, from none to all, is equally likely."""
    share = generator.random()
    return [entry for entry in entries if generator.random() < share]


def draw_parts(
    generator: random.Random,
    words: Vocabulary,
    *,
    determined: bool = True,
    adjective: str | None = None,
    subject: str | None = None,
    complement: str | None = None,
    last: str | None = None,
) -> list[str]:
    """The parts of a sentence: [the] [old] owl paints [songs] [in the hall, or at dawn] quietly.

    Those in brackets may be missing.

    Args:
        determined: whether there may be a determiner.
        adjective: of the subject; drawn, or left out, where None is given.
        subject: a noun; drawn where None is given.
        complement: an object; drawn, or left out, where None is given.
        last: an adverb; drawn from all adverbs where None is given.
    """
    optional = some(generator, ["determiner", "adjective", "complement", "setting"])
    setting = pick(generator, (draw_place(generator, words), pick(generator, words.times)))
    adverbs = pick(generator, (words.ly_adverbs, words.other_adverbs))
    parts = [
        pick(generator, DETERMINERS) if determined and "determiner" in optional else "",
        adjective or (pick(generator, words.adjectives) if "adjective" in optional else ""),
        subject or pick(generator, words.subjects),
        pick(generator, words.verbs),
        complement or (pick(generator, words.objects) if "complement" in optional else ""),
        setting if "setting" in optional else "",
        last or pick(generator, adverbs),
    ]
    return [part for part in parts if part]


def draw_place(generator: random.Random, words: Vocabulary) -> str:
    """A place in three words."""
    return f"{pick(generator, PREPOSITIONS)} the {pick(generator, words.places)}"


def draw_number(generator: random.Random, words: Vocabulary, length: int) -> str:
    """A number of so many digits, without a zero in front."""
    first = pick(generator, [digit for digit in words.digits if digit != "0"])
    return first + "".join(pick(generator, words.digits) for _ in range(length - 1))


def capitalise(text: str) -> str:
    """The text with its first letter in upper case and the others as they are."""
    return text[:1].upper() + text[1:]


def as_sentence(parts: Sequence[str]) -> str:
    """The text of the parts, from a capital to a full stop."""
    return capitalise(" ".join(parts)) + "."


def punctuate(generator: random.Random, parts: Sequence[str]) -> str:
    """The text of the parts with none to nine marks around and after the last one; every number is equally likely.

    For tasks that a sign decides: a text with a hyphen would otherwise be known by the number of its signs alone.
    """
    number = pick(generator, range(10))
    aside, end = pick(generator, [(a, e) for a in ASIDES for e in ENDS if len(a + e) == number])
    *front, last = parts
    half = len(aside) // 2
    opening, closing = (", ", "") if aside == "," else (f" {aside[:half]}", aside[half:])
    return capitalise(" ".join(front)) + opening + last + closing + end
