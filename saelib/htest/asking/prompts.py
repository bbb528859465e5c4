r"""From items to the text that a model is shown.

In: the items to ask and the shots. Out: one `Prompt` for each item, in one of the forms below. The blanks are part of
the experiment, and this is why each stands where it does:

- `chat`, `chain_of_thought` and `letter_geometry` are the authors' own, to the letter (run_h_test.py, utils.py and
  run_challenge.py of brucewlee/h-test): a blank after `Label:` and after the offered `A`, none before the bracket of
  letter geometry. A chat template ends the message, so the answer is a bare letter. A model without a template gets
  a line break in its place: without one it would have to go on in the middle of a line.
- `completion` is for base models: no instruction, which they were never trained to follow. The shots end in
  `Label: A`, and tokenizers put a blank before a word into the word's token, so the text ends in `Label:` without a
  blank and the answer is ` A`. A blank at the end would ask for a token that no shot contains.
- `bare` is what fine-tuning sees: the text, a line break, the letter.
"""

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from saelib.htest.asking.chat_templates import ChatTemplate, read_chat_template
from saelib.htest.items.item import Item
from saelib.htest.tasks import LETTERS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Prompt(NamedTuple):
    """What one item looks like to a model."""

    text: str
    answers: tuple[str, ...]
    """How the text goes on for each of the item's options, in their order."""


def choose_shots(dev: Sequence[Item], k: int, shuffle_seed: int | None = None) -> list[Item]:
    """The shots of a task: k/2 of each label, A and B in turn, in the order of the dev split; the last one is a B.

    Args:
        shuffle_seed: draws other shots from the dev split and another order, still half A and half B. The released
            order always ends in B, and models lean towards what stood last.

    Raises:
        ValueError: k is odd or negative, or the dev split has too few items of a label.
    """
    if k < 0 or k % 2:
        raise ValueError(f"k={k}: shots come in pairs of A and B, so k is an even number")
    by_label = [[item for item in dev if item.label == letter] for letter in LETTERS]
    if min(map(len, by_label)) < k // 2:
        raise ValueError(
            f"k={k}: the dev split holds {[len(items) for items in by_label]} items with labels A and B; ask with a "
            "smaller k (shots, ablation_shots), or give more dev items"
        )
    if shuffle_seed is None:
        return [item for pair in zip(*by_label, strict=False) for item in pair][:k]
    generator = random.Random(shuffle_seed)
    chosen = [item for items in by_label for item in generator.sample(items, k // 2)]
    generator.shuffle(chosen)
    return chosen


def render(items: Sequence[Item], shots: Sequence[Item], form: str) -> list[Prompt]:
    """Prompts for items of one task.

    Args:
        shots: stand before every item; letter geometry and the bare form have none.
        form: a key of `FORMS`.

    Raises:
        ValueError: an unknown form, or one that takes no shots or asks for other items.
    """
    if form not in FORMS:
        raise ValueError(f"form {form!r} is unknown; choose one of {', '.join(FORMS)}")
    with_letters = all(item.options == LETTERS for item in items)
    if (form == "letter_geometry") == with_letters and items:
        raise ValueError(f"form {form!r} does not fit items with the options {list(items[0].options)}")
    if shots and form in ("bare", "letter_geometry"):
        raise ValueError(f"form {form!r} has no shots; {len(shots)} were given")
    lines = "\n".join(f'Input: "{shot.text}" Label: {shot.label}' for shot in shots)
    before = " " if form == "completion" else ""
    return [Prompt(FORMS[form](lines, item), tuple(before + option for option in item.options)) for item in items]


def _chat(shots: str, item: Item) -> str:
    return f'{shots}\n\nInput: "{item.text}" Label: \nA \nB (Respond in one letter and nothing else)'.lstrip("\n")


def _chain_of_thought(shots: str, item: Item) -> str:
    question = f'Now, think out loud step by step and assign label. \nInput: "{item.text}" Label: \nA \nB'
    return f"{shots}\n\n{question}".lstrip("\n")


def _completion(shots: str, item: Item) -> str:
    return f'{shots}\nInput: "{item.text}" Label:'.lstrip("\n")


def _letter_geometry(shots: str, item: Item) -> str:
    return "\n".join([item.text, *item.options]) + "(Respond in one letter and nothing else)"


def _bare(shots: str, item: Item) -> str:
    return f"{item.text}\n"


FORMS: dict[str, Callable[[str, Item], str]] = {
    "chat": _chat,
    "chain_of_thought": _chain_of_thought,
    "completion": _completion,
    "letter_geometry": _letter_geometry,
    "bare": _bare,
}


def is_message(form: str) -> bool:
    """Whether prompts of a form are messages to a model that answers them; the others are texts to go on from."""
    return form not in ("completion", "bare")


def as_seen(
    prompt: Prompt, form: str, tokenizer: "PreTrainedTokenizerBase", chat: ChatTemplate | None = None
) -> Prompt:
    """The prompt as a local model reads it: in its chat template where the form is a message and it has one.

    The answers are then as the template's own assistant turn begins. Where there is no template, a line break ends
    the message.

    Args:
        chat: what `read_chat_template` found out for the tokenizer; found here if not given.

    Raises:
        ValueError: the template fails, or renders nothing.
    """
    if not is_message(form):
        return prompt
    if tokenizer.chat_template is None:
        return prompt._replace(text=prompt.text + "\n")
    template = chat or read_chat_template(tokenizer)
    answers = tuple(template.before_answer + answer for answer in prompt.answers)
    return _whole_tokens(Prompt(template.render(prompt.text), answers), tokenizer)


def _whole_tokens(prompt: Prompt, tokenizer: "PreTrainedTokenizerBase") -> Prompt:
    """A blank that a template leaves at the end goes to the answers where the tokenizer takes it into their words."""
    stem = prompt.text.rstrip(" ")
    if stem == prompt.text:
        return prompt
    own, *wholes = _encode([prompt.text, *(prompt.text + answer for answer in prompt.answers)], tokenizer)
    if all(whole[: len(own)] == own for whole in wholes):
        return prompt
    return Prompt(stem, tuple(prompt.text[len(stem) :] + answer for answer in prompt.answers))


def tokenise(
    prompts: Sequence[Prompt],
    tokenizer: "PreTrainedTokenizerBase",
    context: int | None,
    room: int = 0,
    first: Sequence[int] = (),
) -> list[tuple[list[int], list[list[int]]]]:
    """Token ids of each prompt, and of each of its answers as they go on from it.

    The tokenizer adds no special tokens: a chat template writes its own, and for other prompts there is `first`.

    Args:
        context: longest context of the model in tokens; None where it has no limit.
        room: tokens that a reply may have.
        first: token ids to put before each prompt, as `language.tokenizing.first_tokens` finds them.

    Raises:
        ValueError: an answer A or B is not a single token after the prompt, a prompt is no prefix of itself with an
            answer, or a prompt with answer or reply exceeds the context.
    """
    encoded = []
    texts = [prompt.text for prompt in prompts]
    ends = [text[text.rfind("\n") + 1 :] for text in texts]
    for prompt, ids, end, end_ids in zip(
        prompts, _encode(texts, tokenizer), ends, _encode(ends, tokenizer), strict=True
    ):
        # An answer changes no token before the last line, so that line is enough to see its tokens in.
        alone = bool(end_ids) and ids[-len(end_ids) :] == end_ids
        stem, stem_ids = (end, end_ids) if alone else (prompt.text, ids)
        wholes = _encode([stem + answer for answer in prompt.answers], tokenizer)
        answers = [
            _continuation(prompt, answer, stem_ids, whole) for answer, whole in zip(prompt.answers, wholes, strict=True)
        ]
        whole_ids = [*first, *ids]
        _check_length(whole_ids, answers, context, room)
        encoded.append((whole_ids, answers))
    return encoded


def _encode(texts: list[str], tokenizer: "PreTrainedTokenizerBase") -> list[list[int]]:
    return list(tokenizer(texts, add_special_tokens=False)["input_ids"])


def _continuation(prompt: Prompt, answer: str, stem: list[int], whole: list[int]) -> list[int]:
    """Tokens of an answer after the stem, which is the prompt or its last line."""
    end, tokens = repr(prompt.text[-40:]), whole[len(stem) :]
    if whole[: len(stem)] != stem:
        raise ValueError(
            f"the tokenizer joins the end of the prompt ({end}) to the answer {answer!r}: use another form"
        )
    if answer.strip() in LETTERS and len(prompt.answers) == len(LETTERS) and len(tokens) != 1:
        raise ValueError(
            f"the answer {answer!r} is {len(tokens)} tokens after the prompt's end ({end}), so its probability would "
            "not be that of one letter: use another form"
        )
    return tokens


def _check_length(ids: list[int], answers: list[list[int]], context: int | None, room: int) -> None:
    longest = max(room, *map(len, answers))
    if context is not None and len(ids) + longest > context:
        raise ValueError(
            f"a prompt of {len(ids)} tokens with up to {longest} for the answer exceeds the model's context of "
            f"{context}: take a smaller k, or a model with a longer context"
        )
