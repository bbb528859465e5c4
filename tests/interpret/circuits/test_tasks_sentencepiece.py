"""Tasks with tokenizers of sentencepiece's kind: the same texts as with any other, and refusals that are true."""

from itertools import pairwise

import numpy as np
import pytest

from saelib.interpret.circuits.facts import confident_prompts
from saelib.interpret.circuits.tasks import words as lists
from saelib.interpret.circuits.tasks.library import TASKS, make_prompts
from saelib.interpret.circuits.tasks.prompts import TaskError, Words
from saelib.interpret.circuits.tasks.templates import BRACKETS
from saelib.language.embedded import EMBEDDED
from saelib.language.loading import load_tokenizer
from tests.helpers.sentencepiece_words import BLANK, FIRST, SCHEMES, sentencepiece_words, task_words
from tests.helpers.task_words import WordTokenizer, model_of

END = 1  # token id in front of every prompt here
OPENING = tuple(f"{BLANK}{start}" for start, _ in BRACKETS)
WRITTEN = [task for task in TASKS if task != "repeats"]  # as texts, not as tokens


@pytest.mark.parametrize("scheme", SCHEMES)
def test_alone_a_word_with_its_blank_looks_like_something_else(scheme: str) -> None:
    """Why words are looked at behind another one."""
    tokenizer = sentencepiece_words(scheme, ["John"])
    john = tokenizer.convert_tokens_to_ids(f"{BLANK}John")
    alone = tokenizer.encode(" John", add_special_tokens=False)
    assert tokenizer.decode([john]) == "John"
    assert len(alone) == (1 if scheme == FIRST else 2) and alone[-1] == john
    words = Words(tokenizer)
    assert words.token(" John") == john
    assert words.text(john) == " John"
    assert words.token(" Mary") is None


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("task", WRITTEN)
def test_a_task_has_the_texts_that_it_has_with_any_tokenizer_of_its_words(task: str, scheme: str) -> None:
    tokenizer, plain = sentencepiece_words(scheme, task_words(), OPENING), WordTokenizer()
    found, expected = make_prompts(task, tokenizer, 40, 0, [END]), make_prompts(task, plain, 40, 0, [0])
    assert (found.clean[:, 0] == END).all() and (found.patch[:, 0] == END).all()
    words = Words(tokenizer)
    for name in ("clean", "patch"):
        rows, others = getattr(found, name), getattr(expected, name)
        assert [tokenizer.decode(row[1:]) for row in rows] == [plain.decode(row[1:]) for row in others]
    for name in ("answer", "patch_answer"):
        tokens, others = getattr(found, name), getattr(expected, name)
        assert [words.text(int(token)) for token in tokens] == [plain.decode([token]) for token in others]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_repeated_words_are_words_with_a_blank_in_front(scheme: str) -> None:
    made = [f"{first}{second}{third}" for first in "bdfgk" for second in ("ano", "uri", "e")
            for third in ("bat", "dor", "fin", "kul", "mes", "nix", "pon", "ruf", "sib", "tal", "vim", "zot", "led",
                          "gar")]  # fmt: skip
    tokenizer = sentencepiece_words(scheme, [*made, "The", "is"], ["inside"])
    prompts = make_prompts("repeats", tokenizer, 60, 0, [END])
    shown = set(tokenizer.convert_ids_to_tokens(sorted({*prompts.clean[:, 1:].flatten(), *prompts.patch_answer})))
    assert shown <= {f"{BLANK}{word}" for word in made} and len(shown) > 100


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_refusal_counts_the_words_that_there_are(scheme: str) -> None:
    tokenizer = sentencepiece_words(scheme, lists.NAMES[:4])
    with pytest.raises(TaskError, match="task ioi: 4 of 48 first names are one token"):
        make_prompts("ioi", tokenizer, 5)
    with pytest.raises(TaskError, match="task repeats: 0 tokens of the tokenizer are a word with a blank"):
        make_prompts("repeats", tokenizer, 5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_of_which_a_model_is_sure_is_found(scheme: str) -> None:
    tokenizer = sentencepiece_words(scheme, ["alpha", "beta", "gamma"])
    row = tokenizer.encode("alpha beta gamma. " * 8, add_special_tokens=False)[:32]
    following = dict(pairwise(row))

    def logits(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), len(tokenizer)))
        found[np.arange(len(rows)), [following[one] for one in rows[:, -1].tolist()]] = 9
        return found

    found = confident_prompts(model_of(logits, tokenizer), [END], np.array([row, row]), 20, 0)
    assert len(found) >= 8
    assert set(tokenizer.convert_ids_to_tokens(found.right.tolist())) == {"▁alpha", "▁beta", "▁gamma"}


def test_a_byte_level_tokenizer_says_the_same_of_words_and_tokens_alone() -> None:
    """So that results that are stored stay what they are."""
    tokenizer = load_tokenizer(EMBEDDED)
    words = Words(tokenizer)
    tokens = range(len(tokenizer))
    assert [words.text(token) for token in tokens] == [tokenizer.decode([token]) for token in tokens]
    texts = [f" {word}" for word in (*task_words(), *"([{")]
    alone = [tokenizer.encode(text, add_special_tokens=False) for text in texts]
    found = [words.token(text) for text in texts]
    assert found == [ids[0] if len(ids) == 1 else None for ids in alone]
    assert None in found and any(found)
