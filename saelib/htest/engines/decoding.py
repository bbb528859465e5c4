"""How replies are made, whichever way the model reads: how long, which token comes next, and what ends them.

In: log-probabilities of the next token, a generator for each row. Out: token ids. Every reply has a generator of its
own, so that what is sampled for one item does not depend on what else is asked, nor on the way of reading.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

EXACT = 1e-3  # nats, of the largest difference in float32
ROUGH = 0.1  # nats, of the mean difference where numbers have 8 or 11 bits
ROUGH_LIKELY = 0.3  # nats, of the largest one there, among likely tokens: the embedded model's is 0.05 at most
LIKELY = 5.0  # nats below a row's likeliest token


class Decoding(NamedTuple):
    """How replies are made."""

    max_tokens: int
    temperature: float
    stops: tuple[int, ...]
    """Tokens that end a reply."""


class EncodedPrompt(NamedTuple):
    """One prompt as the model reads it."""

    ids: list[int]
    answers: list[list[int]]
    seed: int
    """Of what is sampled for it."""


class Outcome(NamedTuple):
    """What the model gave for one question."""

    log_probabilities: list[float]
    reply: list[int]


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One for each reply; they are the CPU's."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def choose(
    log_probabilities: Float[Tensor, "rows vocabulary"], decoding: Decoding, generators: Sequence[torch.Generator]
) -> list[int]:
    """The likeliest token of each row, or one drawn with the row's generator where the temperature is above 0."""
    if not decoding.temperature:
        return list(log_probabilities.argmax(-1).tolist())
    probabilities = (log_probabilities / decoding.temperature).softmax(-1).cpu()  # generators are the CPU's
    draws = zip(probabilities, generators, strict=True)
    return [int(torch.multinomial(row, 1, generator=generator)) for row, generator in draws]


def check_finite(model: "PreTrainedModel", scores: Sequence[Sequence[float]]) -> None:
    """Refuse log-probabilities of answers that are no numbers, before a reply is drawn by them.

    Raises:
        FloatingPointError: one is NaN or infinite; the message says where that comes from.
    """
    wrong = [chance for chances in scores for chance in chances if not math.isfinite(chance)]
    if not wrong:
        return
    spoilt = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    cause = (
        f"its weights {spoilt[0]} hold NaN or infinity: get a whole copy of the model"
        if spoilt
        else f"its numbers, {model.dtype}, ran over: ask it with another dtype (bfloat16, float32)"
    )
    asked = sum(map(len, scores))
    raise FloatingPointError(
        f"{type(model).__name__}: {len(wrong)} of {asked} log-probabilities are {wrong[0]}; {cause}"
    )


def decode(tokenizer: "PreTrainedTokenizerBase", ids: list[int], stops: Sequence[int]) -> str:
    """The text of a reply, to the letter but for the token that ended it: marks of thoughts are special tokens too."""
    kept = ids[:-1] if ids and ids[-1] in stops else ids
    return str(tokenizer.decode(kept, skip_special_tokens=False, clean_up_tokenization_spaces=False))


def stop_tokens(model: "PreTrainedModel", end_of_text: int | None, more: Sequence[int] = ()) -> tuple[int, ...]:
    """What ends a reply: the tokenizer's end of text, what the model's generation settings name, and `more`."""
    named = getattr(model.generation_config, "eos_token_id", None)
    added = list(named) if isinstance(named, list | tuple) else [named]
    return tuple(sorted({int(token) for token in [end_of_text, *added, *more] if token is not None}))


def same(one: Float[Tensor, "*rows vocabulary"], other: Float[Tensor, "*rows vocabulary"], dtype: torch.dtype) -> bool:
    """Whether two ways of reading gave the same log-probabilities, up to the rounding of a type of number.

    In short numbers the mean over the vocabulary is not enough: one token that is off would be lost in it, and that may
    be the answer. So every token that either way holds for likely has to agree as well.
    """
    if one.shape != other.shape:
        return False
    difference = (one - other).abs()
    if dtype == torch.float32:
        return bool(difference.max() < EXACT)
    either = torch.maximum(one, other)
    likely = either > either.amax(-1, keepdim=True) - LIKELY
    return bool(difference.mean() < ROUGH) and bool(difference[likely].max() < ROUGH_LIKELY)
