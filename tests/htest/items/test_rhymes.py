"""Rhymes, against what everybody hears, and against the rule that audits items."""

import itertools

import pytest

from saelib.htest.audit import rules
from saelib.htest.items.rhymes import family_of, pairs_by_endings, rhyme_families, rhyming_pairs, spelled_differently
from saelib.htest.items.words import all_words


def test_families_are_heard() -> None:
    words = ("blue", "through", "physique", "week", "station", "relation")
    assert rhyme_families(words) == [("blue", "through"), ("physique", "week"), ("relation", "station")]


def test_pairs_rhyme_for_the_ear_only() -> None:
    assert rhyming_pairs(("station", "relation", "way", "weigh", "they", "play")) == [
        ("play", "they"), ("play", "weigh"), ("they", "way"), ("they", "weigh"),
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["xqzv", "live"])  # unknown; and one word for two verbs
def test_a_word_without_exactly_one_rhyme_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"'{word}' has . rhymes"):
        rhyme_families((word,))


def test_the_table_agrees_with_the_rule() -> None:
    families = rhyme_families(all_words().rhyme_words)
    parts = [{frozenset(rules.rhyming_parts(word)) for word in family} for family in families]
    assert all(len(found) == 1 and len(next(iter(found))) == 1 for found in parts)
    assert len(set(itertools.chain.from_iterable(parts))) == len(families)


def test_all_pairs_of_the_table_differ_in_their_last_letters_and_their_sounds() -> None:
    words = all_words().rhyme_words
    families = family_of(words)
    for first, second in rhyming_pairs(words):
        assert families[first] == families[second]
        assert spelled_differently(first, second)


def test_pairs_with_the_same_endings_can_be_crossed() -> None:
    words = ("though", "blow", "bough", "cow", "through", "blue")
    assert pairs_by_endings(words) == [[("blow", "though"), ("cow", "bough")], [("though", "blow"), ("bough", "cow")]]
