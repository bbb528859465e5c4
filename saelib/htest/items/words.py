"""The words that items are generated from, and their division into two halves without a word in common.

In: the tables in `words.txt` beside this module, written for this library. Out: vocabularies. A model that is
fine-tuned on items of one half and tested on the other cannot do well by words that it has memorised.
"""

import functools
import re
from dataclasses import dataclass, fields
from importlib import resources

from saelib.htest.items.rhymes import rhyme_families

FRESH_SET = "fresh-2"  # of what is generated: a new name whenever a seed gives other items than before


def is_fresh(item_set: str) -> bool:
    """Whether a set has the name of generated items, of this release or another."""
    return re.fullmatch(r"fresh-\d{1,3}", item_set) is not None


@dataclass(frozen=True)
class Vocabulary:
    """Word tables. What a sentence needs besides (the, in, of, ...) is the same for every vocabulary."""

    subjects: tuple[str, ...]
    """Nouns in the singular."""
    adjectives: tuple[str, ...]
    verbs: tuple[str, ...]
    """Third person singular, with or without an object."""
    objects: tuple[str, ...]
    """Nouns in the plural."""
    places: tuple[str, ...]
    """Nouns that a preposition and "the" make a place of."""
    times: tuple[str, ...]
    """Two words each: "at dawn"."""
    ly_adverbs: tuple[str, ...]
    other_adverbs: tuple[str, ...]
    """Adverbs that do not end in -ly."""
    openings: tuple[str, ...]
    """Two words that differ in their first letter, a vowel and a consonant: "acorn scorn"."""
    flat_adverbs: tuple[str, ...]
    """Adverbs with and without -ly, written without: "slow"."""
    joined_nouns: tuple[str, ...]
    """Two words that may be one, written with a hyphen: "book-worm"."""
    joined_adjectives: tuple[str, ...]
    """The same of adjectives: "well-known"."""
    quantities: tuple[str, ...]
    """Nouns that a number is the value of."""
    operators: tuple[str, ...]
    """In words and as a sign: "less than <"."""
    number_words: tuple[str, ...]
    """From two on, without a hyphen: objects are plural."""
    digits: tuple[str, ...]
    consonants: tuple[str, ...]
    """Letters of the made-up words; the five vowels are in every vocabulary."""
    rhyme_words: tuple[str, ...]
    """Words whose pronunciations in CMUdict all rhyme with the same words."""

    def __post_init__(self) -> None:
        """Refuse a vocabulary that sentences cannot be made of.

        Raises:
            ValueError: a table is empty.
        """
        for field in fields(self):
            if not getattr(self, field.name):
                raise ValueError(f"table {field.name!r} of the vocabulary is empty; give it at least one entry")


@functools.cache
def all_words() -> Vocabulary:
    """Every word of the tables, in their alphabetical order."""
    text = resources.files(__package__).joinpath("words.txt").read_text(encoding="utf-8")
    tables = re.findall(r"^\[(\w+)\]\n([^\[]+)", text, flags=re.MULTILINE)
    entries = {name: tuple(sorted(" ".join(entry.split()) for entry in body.split(","))) for name, body in tables}
    return Vocabulary(**entries)


@functools.cache
def split_vocabulary() -> tuple[Vocabulary, Vocabulary]:
    """All words in two halves: one to train on, one to test on.

    Entries go to the halves in turn, in alphabetical order, but words to rhyme go by rhyme, so that the halves have no
    rhyme in common.

    What has too few kinds to be divided is in both: vowels, punctuation marks, and the words that hold a sentence
    together.
    """
    words = all_words()
    families = sorted(rhyme_families(words.rhyme_words), key=lambda family: (-len(family), family))
    first, second = (_half(words, families, part) for part in (0, 1))
    return first, second


def _half(words: Vocabulary, families: list[tuple[str, ...]], part: int) -> Vocabulary:
    entries = {field.name: getattr(words, field.name)[part::2] for field in fields(words)}
    entries["rhyme_words"] = tuple(sorted(word for family in families[part::2] for word in family))
    return Vocabulary(**entries)
