"""Prompts of each task: what they say, what the patch changes, and that they fit the tokenizer."""

import re
from typing import Any

import numpy as np
import pytest

from saelib.interpret.circuits.tasks import library
from saelib.interpret.circuits.tasks.library import TASKS, make_prompts
from saelib.interpret.circuits.tasks.prompts import Example, TaskError, Words, collect
from saelib.interpret.circuits.tasks.words import ARGUMENTS, NAMES, NOUNS, THINGS
from saelib.interpret.config import TASKS as CONFIG_TASKS
from saelib.language.embedded import EMBEDDED
from saelib.language.loading import load_tokenizer
from tests.helpers.task_words import DIGIT, PAIR, WordTokenizer

END = 0  # token id in front of every prompt here


def texts_of(task: str, tokenizer: Any, count: int = 60, seed: int = 0) -> list[tuple[str, str, str, str]]:
    """Clean and patched texts without the token in front, and both answers."""
    prompts = make_prompts(task, tokenizer, count, seed, [END])
    assert (prompts.clean[:, 0] == END).all() and (prompts.patch[:, 0] == END).all()
    decode = tokenizer.decode
    return [
        (decode(clean[1:]), decode(patch[1:]), decode([answer]), decode([patch_answer]))
        for clean, patch, answer, patch_answer in zip(
            prompts.clean, prompts.patch, prompts.answer, prompts.patch_answer, strict=True
        )
    ]


def groups(form: str | re.Pattern[str], text: str) -> tuple[str, ...]:
    found = re.fullmatch(form, text)
    assert found is not None, text
    return found.groups()


def test_every_task_of_the_config_is_there() -> None:
    assert tuple(TASKS) == CONFIG_TASKS


@pytest.mark.parametrize("task", TASKS)
def test_prompts_are_different_pairs_of_one_length_with_two_answers(task: str) -> None:
    prompts = make_prompts(task, WordTokenizer().learn(), 80, 3, [END])
    assert len(prompts) == 80
    assert prompts.clean.shape == prompts.patch.shape
    assert (prompts.answer != prompts.patch_answer).all()
    assert (prompts.clean != prompts.patch).any(axis=1).all()
    both = np.concatenate([prompts.clean, prompts.patch], axis=1)
    assert len({row.tobytes() for row in both}) == 80


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_gives_the_same_prompts_and_more_of_them_begin_with_the_same(task: str) -> None:
    tokenizer = WordTokenizer().learn()
    few, many, others = (make_prompts(task, tokenizer, *asked) for asked in ((10, 1), (30, 1), (10, 2)))
    for name in ("clean", "patch", "answer", "patch_answer"):
        assert (getattr(few, name) == getattr(many.take(0, 10), name)).all()
    assert (few.clean != others.clean).any()
    assert (many.take(10, 20).clean == many.clean[10:]).all()


def test_indirect_object_is_the_one_who_does_not_give() -> None:
    form = re.compile(r"When (\w+) and (\w+) went to the \w+, (\w+) gave a \w+ to")
    orders = set()
    for clean, patch, answer, patch_answer in texts_of("ioi", WordTokenizer()):
        first, second, giver = groups(form, clean)
        assert {answer, patch_answer} == {f" {first}", f" {second}"}
        assert patch_answer == f" {giver}"
        assert groups(form, patch) == (first, second, answer.strip())
        orders.add(giver == first)
    assert orders == {True, False}


@pytest.mark.parametrize(("digits", "shown"), [(PAIR, 2), (DIGIT, 1)])
def test_year_is_later_than_the_first_and_the_patch_allows_every_one(digits: str, shown: int) -> None:
    form = re.compile(r"The \w+ lasted from the year (\d\d)(\d\d) to the year (\d\d)")
    for clean, patch, answer, patch_answer in texts_of("greater_than", WordTokenizer(digits)):
        century, year, again = groups(form, clean)
        assert century == again
        assert len(answer) == len(patch_answer) == shown
        begun = int(year[:shown])
        assert int(answer) > begun > int(patch_answer)
        first = groups(form, patch)[1]
        assert int(first[:shown]) < int(patch_answer)
        assert first == "01" if shown == 2 else first == f"0{year[1]}"


def test_verb_agrees_with_the_subject_whatever_the_clause_has() -> None:
    numbers = {word: many for pair in (*NOUNS, *THINGS) for many, word in enumerate(pair)}
    partners = {one: other for pair in (*NOUNS, *THINGS) for one, other in (pair, pair[::-1])}
    seen = set()
    for clean, patch, answer, patch_answer in texts_of("agreement", WordTokenizer(), 200):
        subject, other = groups(r"The (\w+) that the (\w+) \w+", clean)
        assert patch == clean.replace(f"The {subject} that", f"The {partners[subject]} that")
        assert [answer, patch_answer] == ([" are", " is"] if numbers[subject] else [" is", " are"])
        seen.add((numbers[subject], numbers[other]))
    assert seen == {(0, 0), (0, 1), (1, 0), (1, 1)}


def test_repeated_word_follows_what_it_followed_and_the_patch_has_another_there() -> None:
    prompts = make_prompts("repeats", WordTokenizer().learn(), 30, 0, [END])
    columns = (prompts.clean, prompts.patch, prompts.answer, prompts.patch_answer)
    for clean, patch, answer, patch_answer in zip(*columns, strict=True):
        first, again = clean[1:9], clean[9:]  # eight words, then the first five of them
        assert (first[:5] == again).all() and first[5] == answer
        assert len({*first.tolist(), int(patch_answer)}) == 9
        assert np.flatnonzero(clean != patch).tolist() == [6] and patch[6] == patch_answer


def test_bracket_closes_the_kind_that_is_open() -> None:
    closing = {"(": ")", "[": "]", "{": "}"}
    kinds = set()
    for clean, patch, answer, patch_answer in texts_of("brackets", WordTokenizer()):
        opened, other = (next(sign for sign in text if sign in closing) for text in (clean, patch))
        assert clean.replace(opened, "") == patch.replace(other, "")
        assert (answer, patch_answer) == (closing[opened], closing[other])
        kinds.add((opened, other))
    assert len(kinds) == 6


def test_third_argument_is_described_third() -> None:
    form = re.compile(r'def \w+\(self, (\w+), (\w+), (\w+), (\w+), \w+\):\n    """The .*\.\n\n'
                      r"    :param (\w+): the \w+\n    :param (\w+): the \w+\n    :param")  # fmt: skip
    for clean, patch, answer, patch_answer in texts_of("docstring", WordTokenizer()):
        one, two, three, four, *described = groups(form, clean)
        assert described == [one, two]
        assert (answer, patch_answer) == (f" {three}", f" {four}")
        assert groups(form, patch)[2:4] == (four, three)


def test_words_that_are_several_tokens_are_left_out() -> None:
    without = NAMES[:30]
    names = {word for clean, *_ in texts_of("ioi", WordTokenizer(without=without)) for word in clean.split()}
    assert not names & set(without)
    assert names & set(NAMES[30:])


def test_a_tokenizer_without_the_words_is_refused_by_name() -> None:
    with pytest.raises(TaskError, match="task ioi: 4 of 48 first names are one token"):
        make_prompts("ioi", WordTokenizer(without=NAMES[4:]), 5)
    with pytest.raises(TaskError, match="task docstring: 3 of 40 names of arguments"):
        make_prompts("docstring", WordTokenizer(without=ARGUMENTS[3:]), 5)
    with pytest.raises(TaskError, match=r"task repeats: \d+ tokens of the tokenizer are a word"):
        make_prompts("repeats", WordTokenizer(), 5)


def test_unknown_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="circuit_tasks='chess': .*ioi, greater_than"):
        make_prompts("chess", WordTokenizer(), 5)


def test_more_prompts_than_there_are_is_refused_with_their_number(monkeypatch: pytest.MonkeyPatch) -> None:
    few = library.Task("few", lambda words: lambda random: Example([1], [int(random.integers(3))], 1, 2))
    monkeypatch.setitem(library.TASKS, "few", few)
    with pytest.raises(TaskError, match="task few: 3 different prompts of one length in 500 draws, 10 are wanted"):
        make_prompts("few", WordTokenizer(), 10)


def test_prompts_of_another_length_are_drawn_again() -> None:
    lengths = iter([2, 3, 2, 2, 3, 2])
    draws = iter(range(100))

    def draw(random: np.random.Generator) -> Example:
        length = next(lengths)
        return Example([next(draws)] * length, [0] * length, 1, 2)

    prompts = collect("made", draw, 4, np.random.default_rng(0))
    assert prompts.clean[:, 0].tolist() == [0, 2, 3, 5]


def test_example_is_refused_where_an_answer_is_two_tokens_or_lengths_differ() -> None:
    words = Words(WordTokenizer(without=["Paris"]), [END])
    assert words.example("A cat", "A dog", " runs", " Paris") is None
    assert words.example("A cat", "A big dog", " runs", " sits") is None
    found = words.example("A cat", "A dog", " runs", " sits")
    assert found is not None and found.clean[0] == END and len(found.clean) == 3


@pytest.mark.parametrize("task", ["greater_than", "agreement", "repeats", "brackets", "docstring"])
def test_the_embedded_models_tokenizer_has_a_preset_full_of_prompts(task: str) -> None:
    prompts = make_prompts(task, load_tokenizer(EMBEDDED), 512, 0, [END])
    assert len(prompts) == 512
