"""A tokenizer's chat template: what it wants to be given, and how the assistant's turn begins in it.

In: a tokenizer with a template, a system message, arguments for the template. Out: a `ChatTemplate`, which renders a
user's message to the text that a model reads. Templates differ in ways that no field tells, so one is tried with a
short message first: contents as texts or as lists of parts, a system message of its own, none at all, or in front of
the user's. What the assistant's turn looks like is found the same way, from two turns that differ in their letter.

A template that writes today's date writes `TODAY`, so that a prompt is the same on every day; one that takes a date by
name (`date_string`) can be given another as an argument.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from saelib.language.tokenizing import tokenizer_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TODAY = datetime(2024, 7, 26)
REMEDY = ": mend the template, or ask with form='completion'"
_MESSAGE, _LETTERS, _PART = "Which letter?", "AB", "'type': 'text'"

Message = dict[str, Any]


@dataclass(frozen=True)
class ChatTemplate:
    """How to put a message to a model through its chat template; `read_chat_template` makes it."""

    tokenizer: "PreTrainedTokenizerBase"
    arguments: Mapping[str, Any]
    system: str
    in_parts: bool
    """Contents are lists of parts, `[{"type": "text", "text": ...}]`."""
    system_turn: bool
    """The system message is a turn of its own; otherwise it stands in front of the user's message."""
    opening: str = ""
    """How the assistant's turn begins, where the template's prompt for a reply lacks it."""
    before_answer: str = ""
    """Blanks that the assistant's turn puts between the prompt and its first word, mostly none."""
    after_answer: str = ""
    """What follows the assistant's last word: its first token ends a reply."""

    def render(self, text: str) -> str:
        """The whole text that the model reads for a user's message, up to where it shall go on.

        Raises:
            ValueError: the template refuses the message, or renders nothing.
        """
        rendered = _apply(self, self._messages(text), add_generation_prompt=True)
        if not rendered.strip():
            raise ValueError(f"{_named(self)} renders nothing for a message of {len(text)} signs{REMEDY}")
        return rendered + self.opening

    def render_turn(self, text: str, reply: str) -> str:
        """The whole text of a conversation in which the assistant has replied."""
        turn = {"role": "assistant", "content": self._content(reply)}
        return _apply(self, [*self._messages(text), turn], add_generation_prompt=False)

    def _messages(self, text: str) -> list[Message]:
        if self.system_turn:
            return [{"role": "system", "content": self._content(self.system)}, self._user(text)]
        return [self._user(f"{self.system}\n\n{text}" if self.system else text)]

    def _user(self, text: str) -> Message:
        return {"role": "user", "content": self._content(text)}

    def _content(self, text: str) -> str | list[dict[str, str]]:
        return [{"type": "text", "text": text}] if self.in_parts else text


def read_chat_template(
    tokenizer: "PreTrainedTokenizerBase", system: str = "", arguments: Mapping[str, Any] | None = None
) -> ChatTemplate:
    """Learn by trial what a template wants: the first way in which it shows the message, and the system's.

    Args:
        system: the system message; empty sends none, but to a template that demands one.
        arguments: what the template is told beside the messages.

    Raises:
        ValueError: no way works; the message names the model and what the template said.
    """
    problems: list[str] = []
    for in_parts in (False, True):
        for system_turn in (True, False) if system else (False, True):
            tried = ChatTemplate(tokenizer, arguments or {}, system, in_parts, system_turn)
            try:
                shown = tried.render(_MESSAGE)
            except ValueError as error:
                problems.append(str(error))
                continue
            is_list = in_parts and _PART in shown  # a template for texts has written down the list of parts itself
            if _MESSAGE in shown and system.strip() in shown and not is_list:
                return replace(tried, **_around_answer(tried, shown))
            problems.append(f"{_named(tried)} does not show the message it is given{REMEDY}")
    raise ValueError(problems[0])


def named_arguments(tokenizer: "PreTrainedTokenizerBase", arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those arguments that the template names; it would read past the others without a word."""
    source = str(tokenizer.chat_template)
    return {name: value for name, value in arguments.items() if re.search(rf"\b{re.escape(name)}\b", source)}


def end_of_turn(chat: ChatTemplate) -> list[int]:
    """The special token, if there is one, by which the template ends the assistant's turn."""
    ids = chat.tokenizer(chat.after_answer.lstrip(), add_special_tokens=False)["input_ids"]
    return [token for token in ids[:1] if token in chat.tokenizer.all_special_ids]


def _around_answer(chat: ChatTemplate, prompt: str) -> dict[str, Any]:
    """What stands before and after a letter that the assistant has replied with, as fields of a `ChatTemplate`.

    The two turns are the same up to the letter. Where the prompt is no part of that, as it offers more than a turn
    shows (an empty block of thoughts, "Answer:"), only the blanks right before the letter are taken over. Where it
    offers less, as many templates without a prompt for replies, the rest is the opening.
    """
    try:
        turns = [chat.render_turn(_MESSAGE, letter) for letter in _LETTERS]
    except ValueError:  # a template for a single question
        return {}
    head = _shared_start(*turns)
    after = turns[0][len(head) + 1 :] if turns[0][len(head) : len(head) + 1] == _LETTERS[0] else ""
    if head.startswith(prompt):
        opening = head[len(prompt) :].rstrip(" ")
        return {"opening": opening, "before_answer": head[len(prompt + opening) :], "after_answer": after}
    own = head[len(_shared_start(head, prompt)) :]
    blanks = own[len(own.rstrip()) :]
    return {"before_answer": "" if prompt[-1:].isspace() else blanks, "after_answer": after}


def _named(chat: ChatTemplate) -> str:
    return f"the chat template of {tokenizer_name(chat.tokenizer)}"


def _shared_start(one: str, other: str) -> str:
    parting = (place for place, (left, right) in enumerate(zip(one, other, strict=False)) if left != right)
    return one[: next(parting, min(len(one), len(other)))]


def _apply(chat: ChatTemplate, messages: Sequence[Message], add_generation_prompt: bool) -> str:
    from jinja2 import TemplateError

    try:
        with _pinned_date():
            return str(
                chat.tokenizer.apply_chat_template(
                    list(messages), tokenize=False, add_generation_prompt=add_generation_prompt, **chat.arguments
                )
            )
    except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
        raise ValueError(f"{_named(chat)} fails ({type(error).__name__}: {error}){REMEDY}") from error


class _Calendar:
    """Stands where templates look for the day."""

    @staticmethod
    def now() -> datetime:
        return TODAY


@contextmanager
def _pinned_date() -> Iterator[None]:
    """`strftime_now` of a template reads the clock of this module of transformers, and arguments cannot replace it."""
    from unittest.mock import patch

    from transformers.utils import chat_template_utils

    with patch.object(chat_template_utils, "datetime", _Calendar):
        yield
