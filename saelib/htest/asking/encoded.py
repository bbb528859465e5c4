"""From prompts to the token ids that a local model reads under a condition.

In: prompts, a condition, a tokenizer. Out: `EncodedPrompts`: ids of prompts and answers, the text that a chat template
made, and the tokens that end a reply. The first token and everything that a template is told come from the condition,
so that a stored reply says all that is needed to read its prompt again.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from saelib.htest.asking.chat_templates import end_of_turn, read_chat_template
from saelib.htest.asking.prompts import Prompt, as_seen, is_message, tokenise
from saelib.htest.asking.replies import Condition
from saelib.language.tokenizing import first_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class EncodedPrompts(NamedTuple):
    """What a model reads, prompt by prompt."""

    ids: list[tuple[list[int], list[list[int]]]]
    """Of each prompt, and of each of its answers as they go on from it."""
    rendered: list[str | None]
    """The whole text, where a chat template made it."""
    stops: list[int]
    """Tokens by which a template ends the assistant's turn."""


def encode_prompts(
    prompts: Sequence[Prompt], condition: Condition, tokenizer: "PreTrainedTokenizerBase", context: int | None
) -> EncodedPrompts:
    """Prompts as a model with this tokenizer reads them under a condition.

    Raises:
        ValueError: a template fails, the condition's first token is none of the tokenizer's, or a prompt does not fit
            (`prompts.tokenise`).
    """
    room = condition.max_tokens or 0
    if not is_message(condition.form) or tokenizer.chat_template is None:
        seen = [as_seen(prompt, condition.form, tokenizer) for prompt in prompts]
        first = first_ids(tokenizer, condition.first_token)
        return EncodedPrompts(tokenise(seen, tokenizer, context, room, first), [None] * len(seen), [])
    arguments = json.loads(condition.template_arguments or "{}")
    chat = read_chat_template(tokenizer, condition.system, arguments)
    seen = [as_seen(prompt, condition.form, tokenizer, chat) for prompt in prompts]
    rendered: list[str | None] = [prompt.text for prompt in seen]
    return EncodedPrompts(tokenise(seen, tokenizer, context, room), rendered, end_of_turn(chat))


def first_token_text(tokenizer: "PreTrainedTokenizerBase", setting: str = "auto") -> str:
    """What `Condition.first_token` says for a setting of `HTestConfig.first_token`.

    Raises:
        ValueError: the setting is none of the tokenizer's tokens.
    """
    ids = first_tokens(tokenizer, {"auto": None, "none": False}.get(setting, setting))
    return "".join(tokenizer.convert_ids_to_tokens(ids))


def first_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """The ids of what `first_token_text` named.

    Raises:
        ValueError: they are not tokens of this tokenizer.
    """
    if not text:
        return []
    usual = first_tokens(tokenizer)  # may be several tokens
    if text == "".join(tokenizer.convert_ids_to_tokens(usual)):
        return usual
    return first_tokens(tokenizer, text)
