"""Every prompt read from its first token, in padded batches: for architectures that `shared_prefix` is not right for.

In: token ids of prompts and answers. Out: log-probabilities of the answers, and replies. Padding stands behind the
tokens, where a causal model cannot see it: sliding windows, state spaces and ALiBi work as they do for one prompt.
Replies are made one by one with transformers' own `generate`.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
    for batch in batches(rows, batch_tokens):
        ends |= dict(zip(batch, _log_probabilities(model, batch, longest), strict=True))
    return [[_sum(ends[tuple(ids + answer[:-1])], answer) for answer in answers] for ids, answers in encoded]


def batches(rows: Sequence[tuple[int, ...]], batch_tokens: int) -> Iterator[list[tuple[int, ...]]]:
    """The rows in batches, those of like length together."""
    batch: list[tuple[int, ...]] = []
    for row in sorted(rows, key=len):
        if batch and len(row) * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def generate(
    model: "PreTrainedModel", ids: list[int], max_tokens: int, temperature: float, stops: Sequence[int], seed: int
) -> list[int]:
    """Token ids of a reply, a stop among `stops` included."""
    from transformers import GenerationConfig

    tokens = torch.tensor([ids], device=model.device)
    # What a model's own generation settings would add (top_k, a repetition penalty) is no part of the condition.
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0} if temperature else {}
    config = GenerationConfig(
        max_new_tokens=max_tokens,
        eos_token_id=list(stops) or None,
        pad_token_id=next(iter(stops), 0),
        repetition_penalty=1.0,
        **{"do_sample": False} | sampling,
    )
    with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(seed)
        whole = model.generate(tokens, attention_mask=torch.ones_like(tokens), generation_config=config)
    return list(whole[0, len(ids) :].tolist())


def _log_probabilities(
    model: "PreTrainedModel", batch: Sequence[tuple[int, ...]], longest: int
) -> list[Float[Tensor, "kept vocabulary"]]:
    """Of the next token, at the last positions of each row: as many as the longest answer has tokens."""
    width = max(map(len, batch))
    tokens = torch.tensor([[*row, *[0] * (width - len(row))] for row in batch], device=model.device)
    real = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch], device=model.device)
    logits = model(input_ids=tokens, attention_mask=real, use_cache=False).logits
    return [
        row_logits[max(0, len(row) - longest) : len(row)].float().log_softmax(-1)
        for row, row_logits in zip(batch, logits, strict=True)
    ]


def _sum(ends: Float[Tensor, "kept vocabulary"], answer: Sequence[int]) -> float:
    kept = ends[len(ends) - len(answer) :]
    return float(kept[range(len(answer)), answer].sum())
