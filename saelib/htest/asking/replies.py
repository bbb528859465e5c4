"""What was asked and what came back: the border between engines and scoring.

A reply holds everything that is needed to score it again by another rule: the item with its right answer, the prompt,
the raw text, and the log-probabilities. One file, `htest/replies/<condition>/<item set>-<task>.jsonl`, holds one
condition, set of items and task; it is there when all items are answered.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.thinking import without_thoughts
from saelib.htest.items.item import Item, item_of
from saelib.run.files import read_json_lines, write_json_lines

# Fields that came later. At their defaults they are left out of files and digests, which stay what they were.
LATER = frozenset({"first_token", "system", "samples", "template_arguments", "dtype", "rendered", "problem", "sample"})


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
        """A file name for the condition: readable, and unlike that of any other one."""
        digest = hashlib.sha256(json.dumps(as_stored(self), sort_keys=True).encode()).hexdigest()[:8]
        return f"{file_name(self.model)[-40:]}-{self.form}-k{self.k}-{digest}"


def file_name(text: str) -> str:
    """A text with a dash for each sign that a file's name had better not have."""
    return "".join(sign if sign.isalnum() or sign in "-._" else "-" for sign in text).strip("-.")


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

    @property
    def said(self) -> str | None:
        """The reply without its thoughts; None where there is a problem, no text, or thoughts that do not end."""
        if self.problem is not None or self.reply is None:
            return None
        return without_thoughts(self.reply, self.rendered or "")


def make_replies(
    items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition, answers: Sequence[Answer]
) -> list[Reply]:
    """Replies from what an engine answered: `condition.samples` to each item."""
    asked = [(item, prompt, sample) for item, prompt in zip(items, prompts, strict=True)
             for sample in range(condition.samples)]  # fmt: skip
    return [
        Reply(
            item=item,
            condition=replace(condition, revision=answer.revision or condition.revision),
            prompt=prompt.text,
            reply=answer.reply,
            log_probabilities=answer.log_probabilities,
            usage=answer.usage,
            rendered=answer.rendered,
            problem=answer.problem,
            sample=sample,
        )
        for (item, prompt, sample), answer in zip(asked, answers, strict=True)
    ]


def write_replies(path: Path, replies: Iterable[Reply]) -> None:
    """Write replies as JSON lines, atomically; NaN and infinity are refused."""
    write_json_lines(path, map(as_stored, replies))


def read_replies(path: Path) -> list[Reply]:
    """Replies of a file that `write_replies` wrote.

    Raises:
        ValueError: a line is not a reply; the message names file and line.
    """
    return read_json_lines(path, reply_of)


def stored_answers(path: Path, items: Sequence[Item], prompts: Sequence[Prompt], samples: int = 1) -> list[Reply]:
    """Replies that an earlier call left in a file, so many to an item; they must be to the same items and prompts.

    Raises:
        ValueError: they are to others: the run's items or the prompts have changed since.
    """
    replies = read_replies(path) if path.is_file() else []
    asked = [pair for pair in zip(items, prompts, strict=True) for _ in range(samples)]
    for reply, (item, prompt) in zip(replies, asked, strict=False):
        if reply.item != item or reply.prompt != prompt.text:
            raise ValueError(
                f"{path} holds a reply to another item or prompt than {item.key}, so the items or prompts of this run "
                "have changed since: put its htest/items.jsonl back, or name another run"
            )
    return replies


def reply_of(values: dict[str, Any]) -> Reply:
    """A reply from the JSON object of a line."""
    return Reply(**(values | {"item": item_of(values["item"]), "condition": Condition(**values["condition"])}))


def as_stored(value: "Condition | Reply") -> dict[str, Any]:
    """A condition or a reply as JSON holds it, without the fields of `LATER` that are at their defaults."""
    kept = [field for field in fields(value) if field.name not in LATER or getattr(value, field.name) != field.default]
    found = {field.name: getattr(value, field.name) for field in kept}
    return {
        name: as_stored(part) if isinstance(part, Condition) else asdict(part) if isinstance(part, Item) else part
        for name, part in found.items()
    }
