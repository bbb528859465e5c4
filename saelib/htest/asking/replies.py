"""What was asked and what came back: the border between engines and scoring.

A reply holds everything that is needed to score it again by another rule: the item with its right answer, the prompt,
the raw text, and the log-probabilities. One file, `htest/replies/<condition>/<item set>-<task>.jsonl`, holds one
condition, set of items and task (`asking.stored` reads it again); `asking.unfinished` keeps what is there before all
items are answered.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from saelib.htest.asking.field_kinds import check_field_kinds
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.thinking import without_thoughts
from saelib.htest.items.item import Item, item_of
from saelib.htest.items.sealed import REMEDY, read_sealed, write_sealed
from saelib.htest.tasks import LETTERS
from saelib.run.files import path_part

# Fields that came later. At their defaults they are left out of files and digests, which stay what they were.
LATER = frozenset({"first_token", "system", "samples", "template_arguments", "dtype", "rendered", "problem", "sample",
                   "library"})  # fmt: skip
MARKS = "-._"  # beside letters and digits, in the names of files
SHOWN, LONGEST = 40, 60  # signs of a model's name there: the end of one that is longer
LARGEST = 1e-3  # nats of a log-probability, which rounding may leave above 0


@dataclass(frozen=True, kw_only=True)
class Condition:
    """Everything but the item that decides a reply."""

    model: str
    """ "embedded", a folder or hub name; "api:" and an Inspect name; "control:" and a name of `controls.CONTROLS`;
    or what a fine-tuned model is called."""
    revision: str = ""
    """Commit of a hub model, SHA-256 of a folder's weights, or what an API says its model is."""
    form: str
    """A key of `prompts.FORMS`."""
    k: int
    """Shots before the question."""
    shuffle_seed: int | None = None
    """None: shots in the released order, A and B in turn. A number draws and shuffles them."""
    temperature: float = 0.0
    """0 takes the likeliest token."""
    max_tokens: int | None = 5
    """Longest reply; 0 asks a local model for log-probabilities only; None leaves the length to an API."""
    seed: int = 0
    """Of the sampling where the temperature is above 0, and of the coin."""
    first_token: str = ""
    """Text of the special token that a local model reads before the prompt; empty where there is none."""
    system: str = ""
    """The system message; empty where none is sent."""
    samples: int = 1
    """Replies to each item; above 1 only where the temperature is above 0."""
    template_arguments: str = ""
    """What a chat template is told beside the messages, as JSON; empty where nothing is."""
    dtype: str = "float32"
    """Of a local model's weights and sums."""

    def name(self) -> str:
        """A file name for the condition: readable, and unlike that of any other one.

        Raises:
            ValueError: a form by which no file can be called.
        """
        name = f"{_fit_for_a_path(self.model)[-SHOWN:]}-{self.form}-k{self.k}-{_digest(as_stored(self))}"
        path_part(name.lstrip(MARKS), "condition")  # where a model's name is cut, it may begin with a mark
        return name


def file_name(text: str) -> str:
    """A text as part of a file's name: a dash for each sign that had better not be there, and of a long one the end."""
    name = _fit_for_a_path(text)
    return name if len(name) <= LONGEST else f"{name[-SHOWN:]}-{_digest(text)}"  # others may end like it


def _fit_for_a_path(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in MARKS else "-" for sign in text).strip("-.")


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


class Answer(NamedTuple):
    """What an engine gives for one prompt."""

    reply: str | None
    """Raw text; None where none was asked for."""
    log_probabilities: dict[str, float] | None = None
    """By option, in nats, normalised over the whole vocabulary; None where the engine cannot tell, or where a
    template opens thoughts, so that the next token is none of the answer."""
    usage: dict[str, int] = {}  # noqa: RUF012 (a tuple's default; nobody writes to it)
    """Tokens: "input_tokens", "output_tokens"."""
    revision: str = ""
    """What an API says its model is; empty where the condition knows it."""
    rendered: str | None = None
    """The whole text that a local model was sent, where a chat template made it."""
    problem: str | None = None
    """Why there is no reply, beginning with its kind: "filtered: ...", "refused: 400 ...", "tool call"."""


Engine = Callable[[Sequence[Item], Sequence[Prompt], Condition], list[Answer]]
"""Answers in the order of the prompts; with more samples than one, those of a prompt stand next to each other."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """One item, asked under one condition."""

    item: Item
    condition: Condition
    prompt: str
    """As it was sent; a local model's chat template comes on top."""
    reply: str | None
    log_probabilities: dict[str, float] | None
    usage: dict[str, int]
    judge: str | None = None
    """Who read a chain of thought: the name of a model; None where the reply is read as it is."""
    verdict: str | None = None
    """The judge's raw reply."""
    rendered: str | None = None
    """The whole text that a local model was sent, where a chat template made it."""
    problem: str | None = None
    """Why there is no reply, as in `Answer`; such a reply counts as none."""
    sample: int = 0
    """Which of the condition's `samples` it is, counted from 0."""
    library: str = ""
    """SHA-256 of the code by which a model on this machine or a control replied; empty for an API, and in earlier
    releases."""

    @property
    def said(self) -> str | None:
        """The reply without its thoughts; None where there is a problem, no text, or thoughts that do not end."""
        if self.problem is not None or self.reply is None:
            return None
        return without_thoughts(self.reply, self.rendered or "")


class Question(NamedTuple):
    """One reply that is wanted."""

    item: Item
    prompt: Prompt
    sample: int
    """As `Reply.sample`."""

    def reply(self, condition: Condition, answer: Answer, library: str = "") -> Reply:
        """The reply that an engine's answer is."""
        return Reply(
            item=self.item,
            condition=replace(condition, revision=answer.revision or condition.revision),
            prompt=self.prompt.text,
            reply=answer.reply,
            log_probabilities=answer.log_probabilities,
            usage=answer.usage,
            rendered=answer.rendered,
            problem=answer.problem,
            sample=self.sample,
            library=library,
        )


def questions_of(items: Sequence[Item], prompts: Sequence[Prompt], samples: int) -> list[Question]:
    """All replies that are wanted, those to one item next to each other."""
    return [Question(item, prompt, sample) for item, prompt in zip(items, prompts, strict=True)
            for sample in range(samples)]  # fmt: skip


def make_replies(
    items: Sequence[Item],
    prompts: Sequence[Prompt],
    condition: Condition,
    answers: Sequence[Answer],
    library: str = "",
) -> list[Reply]:
    """Replies from all that an engine answered: `condition.samples` to each item."""
    asked = questions_of(items, prompts, condition.samples)
    return [question.reply(condition, answer, library) for question, answer in zip(asked, answers, strict=True)]


def write_replies(path: Path, replies: Iterable[Reply]) -> None:
    """Write replies as JSON lines, atomically and sealed (`items.sealed`); NaN and infinity are refused."""
    write_sealed(path, map(as_stored, replies))


def read_replies(path: Path, remedy: str = REMEDY) -> list[Reply]:
    """Replies of a file that `write_replies` wrote.

    Raises:
        DamagedFileError: a line is not a reply, or not what was written, or lines are missing; the message names file
            and line.
    """
    return read_sealed(path, reply_of, remedy)


def reply_of(values: dict[str, Any]) -> Reply:
    """A reply from the JSON object of a line.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """
    reply = Reply(**(values | {"item": item_of(values["item"]), "condition": _condition_of(values["condition"])}))
    check_field_kinds(reply)
    if any(type(count) is not int for count in reply.usage.values()):
        raise TypeError(f"usage={reply.usage!r:.60} should hold whole numbers")
    if reply.log_probabilities is not None:
        check_chances(reply.log_probabilities, reply.item)
    return reply


def check_chances(chances: Mapping[str, float], item: Item) -> None:
    """Refuse log-probabilities that are none.

    Raises:
        ValueError: one is NaN, infinite or above 0, or A or B has none.
    """
    wrong = {option: chance for option, chance in chances.items()
             if type(chance) not in (int, float) or not -math.inf < chance < LARGEST}  # fmt: skip
    if wrong or (item.options == LETTERS and not chances.keys() >= set(LETTERS)):
        raise ValueError(f"log-probabilities {chances!r:.80} of {item.key}: each option should have one, in nats")


def _condition_of(values: dict[str, Any]) -> Condition:
    condition = Condition(**values)
    check_field_kinds(condition)
    path_part(condition.form, "form")
    return condition


def as_stored(value: "Condition | Reply") -> dict[str, Any]:
    """A condition or a reply as JSON holds it, without the fields of `LATER` that are at their defaults."""
    kept = [field for field in fields(value) if field.name not in LATER or getattr(value, field.name) != field.default]
    found = {field.name: getattr(value, field.name) for field in kept}
    return {
        name: as_stored(part) if isinstance(part, Condition) else asdict(part) if isinstance(part, Item) else part
        for name, part in found.items()
    }
