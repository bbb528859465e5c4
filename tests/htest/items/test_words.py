"""The word tables: their form, and halves that share no word."""

import dataclasses
import itertools
import re
from collections import Counter

import pytest

from saelib.htest.items.generators import GENERATORS, generate_items
from saelib.htest.items.sentences import DETERMINERS, PREPOSITIONS
from saelib.htest.items.words import Vocabulary, all_words, split_vocabulary

TABLES = [field.name for field in dataclasses.fields(Vocabulary)]
ALONE = ("rhyme_words", "consonants", "digits")  # make items without the others
KINDS = (("openings",), ("flat_adverbs",), ("joined_nouns", "joined_adjectives"), ("operators",), ("number_words",))
HOLDS_TOGETHER = {*DETERMINERS, *PREPOSITIONS, "and", "at", "by", "during", "every", "from", "of", "the", "to"}


def test_no_word_stands_in_two_tables_of_one_sentence() -> None:
    words = all_words()
    for kinds in KINDS:
        tables = [table for table in TABLES if table not in {*itertools.chain(*KINDS), *ALONE}] + list(kinds)
        counts = Counter(part for table in tables for entry in getattr(words, table)
                         for part in set(re.split("[ -]", entry)) if part.isalpha())  # fmt: skip
        assert [word for word, count in counts.items() if count > 1 and word not in HOLDS_TOGETHER] == []


def test_every_entry_stands_once() -> None:
    for table in TABLES:
        entries = getattr(all_words(), table)
        assert len(set(entries)) == len(entries), table


def test_tables_hold_what_their_names_say() -> None:
    words = all_words()
    assert all(adverb.endswith("ly") for adverb in words.ly_adverbs)
    assert not any(adverb.endswith("ly") for adverb in words.other_adverbs)
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", word) for word in words.joined_nouns + words.joined_adjectives)
    for vowel, consonant in map(str.split, words.openings):
        assert vowel[1:] == consonant[1:]
        assert (vowel[0] in "aeiou", consonant[0] in "aeiou") == (True, False)
    assert words.digits == tuple("0123456789")
    plain = set(TABLES) - {"joined_nouns", "joined_adjectives", "operators", "digits"}
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", word) for table in plain for word in getattr(words, table))
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)* [^a-z ]", operator) for operator in words.operators)
    assert all(len(time.split()) == 2 for time in words.times)


def test_the_halves_divide_every_table() -> None:
    first, second = split_vocabulary()
    for table in TABLES:
        halves = getattr(first, table), getattr(second, table)
        assert sorted(halves[0] + halves[1]) == sorted(getattr(all_words(), table)), table
        assert abs(len(halves[0]) - len(halves[1])) <= (30 if table == "rhyme_words" else 1), table


@pytest.mark.parametrize("task", GENERATORS)
def test_texts_of_the_halves_share_only_words_that_hold_sentences_together(task: str) -> None:
    seen, unseen = (words_of(task, half) for half in split_vocabulary())
    assert seen & unseen <= HOLDS_TOGETHER


def words_of(task: str, vocabulary: Vocabulary) -> set[str]:
    texts = [item.text.lower() for item in generate_items(task, 600, 0, vocabulary=vocabulary)]
    return {word for text in texts for word in re.findall(r"[a-z0-9-]*[a-z0-9]|[^\w\s.,!?()']", text)}


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="'verbs' of the vocabulary is empty"):
        dataclasses.replace(all_words(), verbs=())
