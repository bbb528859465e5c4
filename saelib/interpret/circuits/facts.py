"""Prompts of the attribution over checkpoints: facts, or for a model that knows none, text of which it is sure.

In: a model, a beginning of rows, held-out rows. Out: `Questions`, prompts of any length with a right and a wrong answer
of one token each. A fact counts where the model prefers the right answer. From held-out text a prompt is taken where
the likeliest token comes next, a whole word; wrong is then the second likeliest. After the layer-transfer paper, whose
62 facts are not published.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from jaxtyping import Int

from saelib.interpret.circuits.fact_list import FACTS, Fact
from saelib.interpret.circuits.tasks.accuracy import LEAST, answer_logits, last_logits
from saelib.interpret.circuits.tasks.prompts import TaskError, Words, check_length
from saelib.results.intervals import wilson

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

LEAST_PROMPTS = 8  # with fewer there is no mean
CONFIDENT = 0.5  # probability of the likeliest token, from which a model is sure
LENGTH = 32  # tokens of text in a prompt from held-out rows, where rows are twice as long
TRIED = 16  # places that are looked at for each prompt that is wanted

Kind = Literal["facts", "text"]


@dataclass(frozen=True)
class Questions:
    """Prompts with two answers each."""

    kind: Kind
    prompts: tuple[tuple[int, ...], ...]
    right: Int[np.ndarray, " prompts"]
    wrong: Int[np.ndarray, " prompts"]
    accuracy: float
    """Share of what was tried on which the model preferred the right answer; all that is kept it does."""
    tried: int
    """Facts whose answers are one token each, or places of text that were looked at."""

    def __len__(self) -> int:
        """How many."""
        return len(self.prompts)

    def by_length(self) -> Iterator[tuple[Int[np.ndarray, " places"], Int[np.ndarray, "places context"]]]:
        """Places of prompts of one length, and their tokens; the shortest first."""
        lengths = np.array([len(prompt) for prompt in self.prompts])
        for length in np.unique(lengths):
            places = np.flatnonzero(lengths == length)
            yield places, np.array([self.prompts[place] for place in places], np.int64)

    def take(self, places: Sequence[int] | Int[np.ndarray, " places"]) -> "Questions":
        """Some of them."""
        prompts = tuple(self.prompts[place] for place in places)
        return Questions(self.kind, prompts, self.right[places], self.wrong[places], self.accuracy, self.tried)


def questions_for(
    model: "LanguageModel",
    beginning: Sequence[int],
    held_out: Int[np.ndarray, "rows context"],
    count: int,
    seed: int,
    skipped: int = 0,
) -> Questions:
    """Facts where the model knows them, text elsewhere.

    Args:
        beginning: token ids in front of every prompt.
        held_out: rows that begin so.
        count: at most.
        seed: of which are taken.
        skipped: positions at the start of a prompt that no SAE reads; shorter prompts are left out, and those that
            the model does not read.

    Raises:
        TaskError: it is sure of too little text, either; or that is too short.
    """
    asked = single_token_facts(Words(model.tokenizer, beginning))
    longest = np.inf if model.n_ctx is None else model.n_ctx
    read = [place for place, prompt in enumerate(asked.prompts) if skipped < len(prompt) <= longest]
    asked = replace(asked.take(read), tried=len(read))
    if len(asked):
        known = _preferred(model, asked)
        is_known = wilson(int(known.sum()), len(asked))[0] > LEAST
        if is_known and known.sum() >= LEAST_PROMPTS:
            kept = np.random.default_rng(seed).permutation(np.flatnonzero(known))[:count]
            return replace(asked.take(np.sort(kept)), accuracy=float(known.mean()))
    check_length(len(beginning) + _text_length(held_out), skipped, model.n_ctx)
    return confident_prompts(model, beginning, held_out, count, seed)


def single_token_facts(words: Words, facts: Sequence[Fact] = FACTS) -> Questions:
    """Those facts whose answers are one token each of the tokenizer at hand, and not the same one."""
    found = []
    for fact in facts:
        right, wrong = (words.answer(fact.prompt, f" {answer}") for answer in (fact.right, fact.wrong))
        if right is not None and wrong is not None and right != wrong:
            found.append(((*words.beginning, *words.ids(fact.prompt)), right, wrong))
    prompts, right_ones, wrong_ones = zip(*found, strict=True) if found else ((), (), ())
    answers = np.array([right_ones, wrong_ones], np.int64)
    return Questions("facts", prompts, answers[0], answers[1], np.nan, len(prompts))


def _preferred(model: "LanguageModel", asked: Questions) -> np.ndarray:
    """On which the right answer has the higher logit."""
    found = np.zeros(len(asked), bool)
    for places, tokens in asked.by_length():
        logits = answer_logits(model, tokens, asked.right[places], asked.wrong[places])
        found[places] = logits.right > logits.wrong
    return found


def confident_prompts(
    model: "LanguageModel",
    beginning: Sequence[int],
    held_out: Int[np.ndarray, "rows context"],
    count: int,
    seed: int,
) -> Questions:
    """Prompts from held-out text whose next token, a whole word, the model is sure of, and it comes.

    Args: as `questions_for`.

    Raises:
        TaskError: there are fewer than `LEAST_PROMPTS`.
    """
    length = _text_length(held_out)
    tried = TRIED * max(count, LEAST_PROMPTS)
    windows, following = _windows(Words(model.tokenizer), held_out, len(beginning), length, tried, seed)
    prompts = np.concatenate([np.tile(np.array(beginning, np.int64), (len(windows), 1)), windows], axis=1)
    right, wrong, sure = _two_likeliest(model, prompts)
    found = np.flatnonzero(sure & (right == following))
    if len(found) < LEAST_PROMPTS:
        raise TaskError(
            f"{model.name} is sure (a probability of {CONFIDENT:g} or more) of the next word at {len(found)} places of "
            f"{len(held_out)} held-out rows, {LEAST_PROMPTS} are needed; take more rows (held_out_rows)"
        )
    kept = found[:count]
    rows = tuple(tuple(map(int, prompts[place])) for place in kept)
    return Questions("text", rows, right[kept], wrong[kept], float((right == following).mean()), len(prompts))


def _text_length(held_out: Int[np.ndarray, "rows context"]) -> int:
    """Tokens of text in a prompt."""
    return min(LENGTH, held_out.shape[1] // 2)


def _windows(
    words: Words, held_out: np.ndarray, start: int, length: int, tried: int, seed: int
) -> tuple[Int[np.ndarray, "windows length"], Int[np.ndarray, " windows"]]:
    """Pieces of rows in front of whole words, and these words, drawn from all there are."""
    whole = {token for token in np.unique(held_out) if _is_word(words.text(int(token)))}
    places = [(row, place) for row in range(len(held_out)) for place in range(start + length, held_out.shape[1])
              if held_out[row, place] in whole]  # fmt: skip
    drawn = np.random.default_rng(seed).permutation(len(places))[:tried]
    chosen = [places[one] for one in drawn]
    pieces = [held_out[row, place - length : place] for row, place in chosen]
    following = [held_out[row, place] for row, place in chosen]
    return np.array(pieces, np.int64).reshape(-1, length), np.array(following, np.int64)


def _is_word(text: str) -> bool:
    """Letters of any alphabet with a blank in front, be it one; `repeats.is_word` takes fewer and says why."""
    return text[:1] == " " and text[1:].isalpha()


def _two_likeliest(
    model: "LanguageModel", prompts: Int[np.ndarray, "prompts context"]
) -> tuple[Int[np.ndarray, " prompts"], Int[np.ndarray, " prompts"], np.ndarray]:
    """The two likeliest tokens behind each prompt, and whether the first is sure."""
    if not len(prompts):
        empty = np.zeros(0, np.int64)
        return empty, empty, np.zeros(0, bool)
    found = [batch.softmax(-1).topk(2) for batch in last_logits(model, prompts)]
    shares, tokens = (torch.cat([getattr(one, name).cpu() for one in found]).numpy() for name in ("values", "indices"))
    return tokens[:, 0], tokens[:, 1], shares[:, 0] >= CONFIDENT
