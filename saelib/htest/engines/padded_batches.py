"""Every prompt read from its first token, in padded batches: for architectures that `shared_prefix` is not right for.

In: questions as token ids. Out: log-probabilities of their answers, and replies (`ask_apart`). Padding stands behind
the tokens, where a causal model cannot see it: sliding windows, state spaces and ALiBi work as they do for one prompt.
Replies are made by transformers' own `generate`, in batches with the padding in front where that has been seen to
change nothing (`agrees`), and one by one elsewhere.
"""

import inspect
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.htest.engines.decoding import Decoding, EncodedPrompt, Outcome, check_finite, choose, generators, same

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel

_PROOF_TOKENS = 3


def ask_apart(
    model: "PreTrainedModel",
    questions: Sequence[EncodedPrompt],
    decoding: Decoding,
    batch_tokens: int,
    reply_tokens: int,
    done: Collection[int] = (),
) -> Iterator[tuple[int, Outcome]]:
    """Outcomes, by their places, from reading every question from its first token.

    Args:
        reply_tokens: as `batch_tokens`, where replies are made; 1 makes them one by one.
        done: as `ask_together` has it.
    """
    lengths = [len(question.ids) for question in questions]
    for batch_places in places(lengths, batch_tokens):
        if {*batch_places} <= {*done}:
            continue
        batch = [questions[place] for place in batch_places]
        scores = score(model, [(question.ids, question.answers) for question in batch], batch_tokens)
        check_finite(model, scores)
        replies = _replies_apart(model, batch, decoding, reply_tokens)
        yield from zip(batch_places, map(Outcome, scores, replies), strict=True)


def _replies_apart(
    model: "PreTrainedModel", batch: Sequence[EncodedPrompt], decoding: Decoding, reply_tokens: int
) -> list[list[int]]:
    if not decoding.max_tokens:
        return [[] for _ in batch]
    replies: dict[int, list[int]] = {}
    for batch_places in places([len(question.ids) for question in batch], reply_tokens):
        prompts, seeds = [batch[place].ids for place in batch_places], [batch[place].seed for place in batch_places]
        replies |= dict(zip(batch_places, generate(model, prompts, seeds, decoding), strict=True))
    return [replies[place] for place in range(len(batch))]


def score(
    model: "PreTrainedModel", encoded: Sequence[tuple[list[int], list[list[int]]]], batch_tokens: int
) -> list[list[float]]:
    """Log-probability of each answer after its prompt.

    Args:
        encoded: token ids of each prompt, and of each of its answers.
        batch_tokens: most tokens in a batch, padding included; a longer prompt is a batch of its own.
    """
    # Answers that differ in their last token only, as letters do, are read off the same row.
    rows = list(dict.fromkeys(tuple(ids + answer[:-1]) for ids, answers in encoded for answer in answers))
    longest = max((len(answer) for _, answers in encoded for answer in answers), default=1)
    ends: dict[tuple[int, ...], Tensor] = {}
    for batch in ([rows[place] for place in part] for part in places([len(row) for row in rows], batch_tokens)):
        ends |= dict(zip(batch, _log_probabilities(model, batch, longest), strict=True))
    return [[_sum(ends[tuple(ids + answer[:-1])], answer) for answer in answers] for ids, answers in encoded]


def places(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Places of the rows in batches, those of like length together; a batch has at least one."""
    batch: list[int] = []
    for place in sorted(range(len(lengths)), key=lambda place: lengths[place]):
        if batch and lengths[place] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def generate(
    model: "PreTrainedModel", prompts: Sequence[list[int]], seeds: Sequence[int], decoding: Decoding
) -> list[list[int]]:
    """Token ids of a reply to each prompt, read in one batch; a stop is included.

    Padding stands in front, so that all replies grow at the end; see `agrees`.
    """
    whole, _ = _generate(model, prompts, decoding, generators(seeds))
    return [_up_to_stop(row, decoding.stops) for row in whole]


def agrees(model: "PreTrainedModel", prompts: Sequence[list[int]]) -> bool:
    """Whether padding in front changes nothing for a model, seen from two prompts of different length.

    Both are read in a batch and alone; the first tokens of their replies must have the same log-probabilities.
    """
    short, long = min(prompts, key=len), max(prompts, key=len)
    pair = [short, long] if len(short) < len(long) else [short[-(len(short) // 2 + 1) :], long]
    decoding = Decoding(_PROOF_TOKENS, 0.0, ())
    try:
        together = _generate(model, pair, decoding, [])[1]
        alone = [_generate(model, [prompt], decoding, [])[1][0] for prompt in pair]
    except (TypeError, ValueError, RuntimeError, IndexError):  # an architecture that takes no padding
        return False
    return same(together, torch.stack(alone), model.dtype)


def _generate(
    model: "PreTrainedModel", prompts: Sequence[list[int]], decoding: Decoding, draws: Sequence[torch.Generator]
) -> tuple[list[list[int]], Float[Tensor, "prompts new vocabulary"]]:
    """Tokens that transformers' own `generate` adds, and the log-probabilities that each was chosen from."""
    from transformers import GenerationConfig, LogitsProcessor, LogitsProcessorList

    class Choice(LogitsProcessor):
        """Leaves `generate` the token that we choose."""

        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            chances = scores.float().log_softmax(-1)
            seen.append(chances)
            chosen = torch.tensor(choose(chances, decoding, draws), device=scores.device)
            return torch.full_like(scores, -torch.inf).scatter_(1, chosen[:, None], 0.0)

    seen: list[Tensor] = []
    width = max(map(len, prompts))
    tokens = torch.tensor([[*[0] * (width - len(ids)), *ids] for ids in prompts], device=model.device)
    real = torch.tensor([[0] * (width - len(ids)) + [1] * len(ids) for ids in prompts], device=model.device)
    config = GenerationConfig(
        max_new_tokens=decoding.max_tokens,
        do_sample=False,
        eos_token_id=list(decoding.stops) or None,
        pad_token_id=next(iter(decoding.stops), 0),
    )
    with _settings(model, config):
        whole = model.generate(
            tokens, attention_mask=real, generation_config=config, logits_processor=LogitsProcessorList([Choice()])
        )
    return whole[:, width:].tolist(), torch.stack(seen, dim=1)


@contextmanager
def _settings(model: "PreTrainedModel", config: "GenerationConfig") -> Iterator[None]:
    """What a model's own generation settings would add (penalties, forbidden tokens) is no part of the condition."""
    own = model.generation_config
    model.generation_config = config
    try:
        yield
    finally:
        model.generation_config = own


def _up_to_stop(reply: list[int], stops: Sequence[int]) -> list[int]:
    """A reply without the padding behind its stop."""
    end = next((place for place, token in enumerate(reply) if token in stops), len(reply) - 1)
    return reply[: end + 1]


def _log_probabilities(
    model: "PreTrainedModel", batch: Sequence[tuple[int, ...]], longest: int
) -> list[Float[Tensor, "kept vocabulary"]]:
    """Of the next token, at the last positions of each row: as many as the longest answer has tokens."""
    width = max(map(len, batch))
    tokens = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch], device=model.device)
    real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch], device=model.device)
    wanted = [range(max(0, len(row) - longest), len(row)) for row in batch]
    read = sorted(set().union(*wanted))
    # A vocabulary is long: where an architecture allows it, logits are computed at these positions only.
    allowed = "logits_to_keep" in inspect.signature(model.forward).parameters
    options = {"logits_to_keep": torch.tensor(read, device=model.device)} if allowed else {}
    logits = model(input_ids=tokens, attention_mask=real, use_cache=False, **options).logits
    place = {position: column for column, position in enumerate(read if logits.shape[1] == len(read) else range(width))}
    return [
        row_logits[[place[position] for position in positions]].float().log_softmax(-1)
        for positions, row_logits in zip(wanted, logits, strict=True)
    ]


def _sum(ends: Float[Tensor, "kept vocabulary"], answer: Sequence[int]) -> float:
    kept = ends[len(ends) - len(answer) :]
    return float(kept[range(len(answer)), answer].sum())
