"""Pairs of prompts as token ids, and how texts become them: everything of one length, every answer one token.

In: a tokenizer, and examples as texts or ids. Out: `Prompts`. A circuit has features by position, so all prompts of a
task must have their words at the same positions; an answer is looked at in one logit, so it must be one token where it
stands. What does not fit a tokenizer is left out, and a task of which too little is left is refused by name.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int

from saelib.interpret.pieces import ANCHOR, Pieces

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ATTEMPTS = 50  # draws for each prompt that is wanted; a task that needs more has too few different ones


class TaskError(ValueError):
    """A task that cannot be set with this tokenizer; the message says why."""


def check_length(length: int, skipped: int, context: int | None) -> None:
    """Refuse prompts that the model does not read, or of which no SAE would read a position.

    Args:
        length: of the prompts, in tokens.
        skipped: positions at their start that no SAE learned from.
        context: the most tokens that the model reads; None is no limit.

    Raises:
        TaskError: they are longer, or have no other positions.
    """
    if context is not None and length > context:
        raise TaskError(f"its prompts have {length} tokens, and the model reads {context} at most")
    if length <= skipped:
        raise TaskError(f"its prompts have {length} tokens, and no SAE of this run reads the first {skipped}")


class Example(NamedTuple):
    """Two prompts that differ in what decides the answer, and the answers, all as token ids."""

    clean: Sequence[int]
    patch: Sequence[int]
    answer: int
    """Right for the clean prompt."""
    patch_answer: int
    """Right for the patched one, and wrong for the clean one."""


@dataclass(frozen=True)
class Prompts:
    """Pairs of prompts of one task."""

    task: str
    clean: Int[np.ndarray, "prompts context"]
    patch: Int[np.ndarray, "prompts context"]
    answer: Int[np.ndarray, " prompts"]
    patch_answer: Int[np.ndarray, " prompts"]

    def __len__(self) -> int:
        """How many pairs."""
        return len(self.clean)

    def __repr__(self) -> str:
        """One line: the task, how many pairs, of how many tokens."""
        return f"Prompts({self.task!r}, {len(self)} pairs x {self.clean.shape[1]} tokens)"

    def take(self, start: int, count: int) -> "Prompts":
        """Pairs `start` to `start + count`."""
        parts = (self.clean, self.patch, self.answer, self.patch_answer)
        return Prompts(self.task, *(part[start : start + count] for part in parts))


class Words:
    """A tokenizer, asked for words that are one token.

    Words and tokens are looked at behind `ANCHOR`, where they stand in a prompt too. Byte-level tokenizers say the
    same with and without it.

    Args:
        tokenizer: transformers' or a deferred one.
        beginning: token ids that stand in front of every prompt.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", beginning: Sequence[int] = ()) -> None:
        self.tokenizer, self.beginning = tokenizer, list(beginning)
        self._pieces = Pieces(tokenizer)

    def ids(self, text: str) -> list[int]:
        """Token ids of a text, without the beginning."""
        return list(self.tokenizer.encode(text, add_special_tokens=False))

    def token(self, text: str) -> int | None:
        """The one token that a text is inside a longer one; None where it is several."""
        return self.answer(ANCHOR, text)

    def text(self, token: int) -> str:
        """What a token is inside a text, with the blank in front that a tokenizer may drop from a text's first one."""
        return self._pieces([token])[0]

    def known(self, words: Sequence[str], least: int, what: str) -> list[str]:
        """Those words that are one token with a blank in front, with it.

        Args:
            least: how many there must be.
            what: they are, for the message: "first names".

        Raises:
            TaskError: there are fewer.
        """
        found = [f" {word}" for word in words if self.token(f" {word}") is not None]
        if len(found) < least:
            raise TaskError(
                f"{len(found)} of {len(words)} {what} are one token of the tokenizer (with a blank in front), "
                f"{least} are needed"
            )
        return found

    def pairs(self, pairs: Sequence[tuple[str, str]], least: int, what: str) -> list[tuple[str, str]]:
        """As `known`, of pairs of which both words are one token."""
        both = [pair for pair in pairs if all(self.token(f" {word}") is not None for word in pair)]
        if len(both) < least:
            raise TaskError(
                f"{len(both)} of {len(pairs)} {what} are one token each of the tokenizer, {least} are needed"
            )
        return [(f" {first}", f" {second}") for first, second in both]

    def answer(self, before: str, answer: str) -> int | None:
        """The token by which a text goes on with an answer; None where that is not one token more."""
        ids, whole = self.ids(before), self.ids(before + answer)
        return whole[-1] if whole[:-1] == ids and len(whole) == len(ids) + 1 else None

    def example(self, clean: str, patch: str, answer: str, patch_answer: str) -> Example | None:
        """An example of texts; None where an answer is not one token behind both prompts, or they differ in length."""
        answers = {(name, self.answer(text, name)) for text in (clean, patch) for name in (answer, patch_answer)}
        tokens = dict(answers)
        ids = [[*self.beginning, *self.ids(text)] for text in (clean, patch)]
        if len(answers) != 2 or None in tokens.values() or len(ids[0]) != len(ids[1]):
            return None
        return Example(ids[0], ids[1], tokens[answer] or 0, tokens[patch_answer] or 0)


Draw = Callable[[np.random.Generator], Example | None]
"""One example of a task; None where what was drawn does not fit the tokenizer."""


def collect(task: str, draw: Draw, count: int, random: np.random.Generator) -> Prompts:
    """So many different pairs of prompts; those of another length than the first one are drawn again.

    Raises:
        TaskError: that many different ones cannot be drawn.
    """
    found: dict[tuple[tuple[int, ...], ...], Example] = {}
    context = None
    for _ in range(ATTEMPTS * count):
        if len(found) == count:
            break
        example = draw(random)
        if example is None or context not in (None, len(example.clean)):
            continue
        context = len(example.clean)
        found.setdefault((tuple(example.clean), tuple(example.patch)), example)
    if len(found) < count:
        raise TaskError(
            f"{len(found)} different prompts of one length in {ATTEMPTS * count} draws, {count} are wanted; "
            "ask for fewer (circuit_prompts)"
        )
    columns = [np.array(column, np.int64) for column in zip(*found.values(), strict=True)]
    return Prompts(task, *columns)


def chosen(random: np.random.Generator, words: Sequence[str], count: int = 1) -> list[str]:
    """Different words, drawn at random."""
    return [words[place] for place in random.choice(len(words), count, replace=False)]
