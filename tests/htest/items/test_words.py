"""The word tables: their form, and halves that share no word."""

import dataclasses
import re
from collections import Counter

import pytest

from saelib.htest.items.generators import GENERATORS, generate_items
from saelib.htest.items.sentences import DETERMINERS, PREPOSITIONS
from saelib.htest.items.words import Vocabulary, all_words, spell, split_vocabulary

TABLES = [field.name for field in dataclasses.fields(Vocabulary)]
HOLDS_TOGETHER = {*DETERMINERS, *PREPOSITIONS, "at", "by", "during", "every", "from", "of", "than", "the", "to"}


def test_no_word_stands_in_two_tables() -> None:
    words = all_words()
    tables = set(TABLES) - {"rhyme_words", "numbers", "consonants"}
    counts = Counter(part for table in sorted(tables) for entry in getattr(words, table)
                     for part in set(entry.split()) if part.isalpha())  # fmt: skip
    assert [word for word, count in counts.items() if count > 1 and word not in HOLDS_TOGETHER] == []


def test_every_entry_stands_once() -> None:
    for table in TABLES:
        entries = getattr(all_words(), table)
        assert len(set(entries)) == len(entries), table


def test_tables_hold_what_their_names_say() -> None:
    words = all_words()
    assert all(adverb.endswith("ly") for adverb in words.ly_adverbs)
    assert not any(adverb.endswith("ly") for adverb in words.other_adverbs)
    hyphenated = words.hyphenated_nouns + words.hyphenated_adjectives
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)+", word) for word in hyphenated)
    plain = set(TABLES) - {"hyphenated_nouns", "hyphenated_adjectives", "operators", "numbers"}
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)*", word) for table in plain for word in getattr(words, table))
    assert all(re.fullmatch(r"[a-z]+( [a-z]+)* [^a-z ]", operator) for operator in words.operators)
    assert all(len(time.split()) == 2 for time in words.times)


def test_the_halves_divide_every_table() -> None:
    first, second = split_vocabulary()
    for table in set(TABLES) - {"numbers"}:
        halves = getattr(first, table), getattr(second, table)
        assert sorted(halves[0] + halves[1]) == sorted(getattr(all_words(), table)), table
        assert abs(len(halves[0]) - len(halves[1])) <= (30 if table == "rhyme_words" else 1), table
    assert set(first.numbers) | set(second.numbers) < set(all_words().numbers)
    assert not {*"".join(map(str, first.numbers))} & {*"".join(map(str, second.numbers))}


@pytest.mark.parametrize("task", GENERATORS)
def test_texts_of_the_halves_share_only_words_that_hold_sentences_together(task: str) -> None:
    seen, unseen = (words_of(task, half) for half in split_vocabulary())
    assert seen & unseen <= HOLDS_TOGETHER


def words_of(task: str, vocabulary: Vocabulary) -> set[str]:
    texts = [item.text.lower() for item in generate_items(task, 600, 0, vocabulary=vocabulary)]
    return {word for text in texts for word in re.findall(r"[a-z0-9-]*[a-z0-9]|[^\w\s.,!?()]", text)}


def test_numbers_are_spelled() -> None:
    assert [spell(number) for number in (2, 12, 19, 20, 42, 90, 99)] == [
        "two", "twelve", "nineteen", "twenty", "forty-two", "ninety", "ninety-nine",
    ]  # fmt: skip
    assert len({spell(number) for number in range(100)}) == 100


def test_an_empty_table_is_refused() -> None:
    with pytest.raises(ValueError, match="'verbs' of the vocabulary is empty"):
        dataclasses.replace(all_words(), verbs=())
