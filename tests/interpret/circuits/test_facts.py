"""Facts as single tokens, and text of which a model is sure."""

from typing import Any

import numpy as np
import pytest

from saelib.interpret.circuits import facts
from saelib.interpret.circuits.fact_list import FACTS, Fact
from saelib.interpret.circuits.facts import Questions, confident_prompts, questions_for, single_token_facts
from saelib.interpret.circuits.tasks.prompts import TaskError, Words
from saelib.language.loading import load_language_model
from tests.helpers.task_words import WordTokenizer, model_of

END = 0
WORDS = [" alpha", " beta", " gamma", " delta", "ing", "."]


def test_there_are_sixty_facts_or_more_and_none_twice() -> None:
    assert len(FACTS) >= 60
    assert len({fact.prompt for fact in FACTS}) == len(FACTS)
    assert all(fact.right != fact.wrong for fact in FACTS)
    assert not [fact for fact in FACTS if f" {fact.right} " in f" {fact.prompt} "]


def test_facts_have_answers_of_one_token_and_the_beginning_in_front() -> None:
    tokenizer = WordTokenizer(without=["Rome"])
    asked = [Fact("The capital of France is", "Paris", "Rome"), Fact("The capital of Spain is", "Madrid", "London"),
             Fact("Bees make", "honey", "honey")]  # fmt: skip
    found = single_token_facts(Words(tokenizer, [END]), asked)
    assert [tokenizer.decode(prompt[1:]) for prompt in found.prompts] == ["The capital of Spain is"]
    assert found.prompts[0][0] == END
    assert tokenizer.decode(found.right.tolist()) == " Madrid"
    assert tokenizer.decode(found.wrong.tolist()) == " London"


def test_prompts_of_one_length_come_together() -> None:
    tokenizer = WordTokenizer().learn()
    found = single_token_facts(Words(tokenizer, [END]))
    seen = []
    for places, tokens in found.by_length():
        assert (tokens == [found.prompts[place] for place in places]).all()
        seen += places.tolist()
    assert sorted(seen) == list(range(len(found))) == list(range(len(FACTS)))


def knowing(tokenizer: WordTokenizer, known: int) -> tuple[Any, Questions]:
    """A model that prefers the right answers of the first facts, and the wrong ones of all others."""
    asked = single_token_facts(Words(tokenizer, [END]))
    answers = {
        prompt: (right, wrong) for prompt, right, wrong in zip(asked.prompts, asked.right, asked.wrong, strict=True)
    }
    places = {prompt: place for place, prompt in enumerate(asked.prompts)}

    def logits(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), len(tokenizer)))
        for row, prompt in enumerate(map(tuple, rows.tolist())):
            right, wrong = answers[prompt]
            found[row, right if places[prompt] < known else wrong] = 1
        return found

    return model_of(logits, tokenizer), asked


def test_facts_that_the_model_knows_are_drawn_by_seed() -> None:
    tokenizer = WordTokenizer().learn()
    model, asked = knowing(tokenizer, 90)
    one, again, other = (questions_for(model, [END], np.zeros((1, 8), int), 20, seed) for seed in (0, 0, 1))
    assert one.kind == "facts"
    assert one.accuracy == 90 / 96
    assert one.tried == asked.tried == 96
    assert len(one) == 20
    assert one.prompts == again.prompts != other.prompts
    assert set(one.prompts) <= set(asked.prompts[:90])
    assert len(questions_for(model, [END], np.zeros((1, 8), int), 1000, 0)) == 90


def test_a_model_that_knows_few_facts_is_asked_about_text(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = knowing(WordTokenizer().learn(), 60)  # of 96: 62%, the interval begins at 52%
    monkeypatch.setattr(facts, "confident_prompts", lambda *arguments: arguments[1:])
    held_out = np.zeros((1, 8), int)
    found: Any = questions_for(model, [END], held_out, 20, 3)
    assert found == ([END], held_out, 20, 3)


def test_text_is_taken_where_the_model_is_sure_of_a_whole_word_that_comes() -> None:
    # The model expects the token 1 higher than the last one (of 0 to 5, round), with logit 3 among six: probability
    # e^3 / (e^3 + 5) = 0.80; second is token 0 by 0.5. Rows count upwards, but every third step is another token.
    random = np.random.default_rng(1)
    rows = np.zeros((6, 40), int)
    for row in rows:
        for place in range(2, 40):
            row[place] = (row[place - 1] + 1) % 6 if place % 3 else random.integers(6)

    def logits(tokens: np.ndarray) -> np.ndarray:
        found = np.zeros((len(tokens), 6))
        found[:, 0] = 0.5
        found[np.arange(len(tokens)), (tokens[:, -1] + 1) % 6] = 3
        return found

    tokenizer = WordTokenizer()
    tokenizer.texts = [*WORDS]
    found = confident_prompts(model_of(logits, tokenizer), [5, 5], rows, 30, 0)
    assert found.kind == "text" and 8 <= len(found) <= 30
    few = confident_prompts(model_of(logits, tokenizer), [5, 5], rows, 5, 0)  # fewer are asked for than are needed
    assert len(few) == 5
    windows = {tuple(row[start : start + 20].tolist()): row[start + 20] for row in rows for start in range(2, 20)}
    for prompt, right, wrong in zip(found.prompts, found.right, found.wrong, strict=True):
        assert prompt[:2] == (5, 5) and len(prompt) == 22
        assert windows[prompt[2:]] == right == (prompt[-1] + 1) % 6
        assert WORDS[right].startswith(" ")
        assert wrong == (0 if right else wrong)
    assert 0 < found.accuracy < 1
    assert len(found) <= found.tried <= facts.TRIED * 30
    words = {token for token, text in enumerate(WORDS) if text.startswith(" ")}
    assert found.tried == np.isin(rows[:, 2 + 20 :], [*words]).sum()  # every place that is far enough in


def test_an_unsure_model_has_no_text_and_the_message_says_how_much() -> None:
    tokenizer = WordTokenizer()
    tokenizer.texts = [*WORDS]
    model = model_of(lambda tokens: np.zeros((len(tokens), 6)), tokenizer)
    with pytest.raises(TaskError, match="of the next word at 0 places of 3 held-out rows, 8 are needed"):
        confident_prompts(model, [], np.ones((3, 30), int), 10, 0)


def test_the_embedded_model_is_asked_about_its_own_text() -> None:
    model = load_language_model("embedded", "cpu")
    text = "This function returns a list of all the values. If the value is not a string, it is returned as it is. " * 8
    ids = model.tokenizer.encode(text, add_special_tokens=False)[:128]
    found = questions_for(model, [END], np.array([ids, ids[::-1]]), 12, 0)
    assert found.kind == "text"
    assert all(len(prompt) == 33 and prompt[0] == END for prompt in found.prompts)


def test_prompts_that_no_sae_reads_are_left_out() -> None:
    model, asked = knowing(WordTokenizer().learn(), 96)
    lengths = sorted(map(len, asked.prompts))
    middle = lengths[len(lengths) // 2]
    found = questions_for(model, [END], np.zeros((1, 8), int), 1000, 0, middle - 1)
    assert sorted(map(len, found.prompts)) == [length for length in lengths if length >= middle]
    assert found.tried == len(found)
    with pytest.raises(TaskError, match=r"its prompts have 5 tokens, and no SAE of this run reads the first 99"):
        questions_for(model, [END], np.zeros((1, 8), int), 1000, 0, 99)


def test_facts_longer_than_the_models_context_are_left_out() -> None:
    model, asked = knowing(WordTokenizer().learn(), 96)
    lengths = sorted(map(len, asked.prompts))
    model.n_ctx = lengths[len(lengths) // 2]
    found = questions_for(model, [END], np.zeros((1, 8), int), 1000, 0)
    assert sorted(map(len, found.prompts)) == [length for length in lengths if length <= model.n_ctx]
    model.n_ctx = 4
    with pytest.raises(TaskError, match=r"its prompts have 5 tokens, and the model reads 4 at most"):
        questions_for(model, [END], np.zeros((1, 8), int), 1000, 0)
