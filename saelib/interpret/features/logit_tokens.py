"""Which tokens a feature makes likelier, and which less likely: its decoder row through the unembedding.

In: decoder rows and the unembedding with the final norm's gain in it (`language.unembedding`). Out: the top and the
bottom tokens of each row (layer-transfer paper, feature transfer: "logit tokens").
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

LOGITS_AT_ONCE = 8_000_000  # numbers of one product: 32 MB


class LogitTokens(NamedTuple):
    """Of each decoder row, from the outermost inwards."""

    top_ids: Int[Tensor, "features count"]
    top_logits: Float[Tensor, "features count"]
    bottom_ids: Int[Tensor, "features count"]
    bottom_logits: Float[Tensor, "features count"]


def check_logit_tokens(count: int, vocabulary: int) -> None:
    """Refuse to look for more tokens at either end than there are.

    Raises:
        ValueError: the vocabulary has not so many.
    """
    if count > vocabulary:
        raise ValueError(f"logit_tokens={count}: the vocabulary has {vocabulary} tokens; take as many at most")


@torch.no_grad()
def logit_tokens(
    decoder: Float[Tensor, "features d_model"], unembedding: Float[Tensor, "d_model vocabulary"], count: int = 10
) -> LogitTokens:
    """The tokens with the largest and the smallest logits of each decoder row.

    Args:
        decoder: rows of unit norm, so that logits of different features are in the same unit.
        unembedding: centred over the vocabulary; the final norm of a real stream divides all logits by its length.
        count: tokens at either end.

    Raises:
        ValueError: the vocabulary has not so many.
    """
    vocabulary = unembedding.shape[1]
    check_logit_tokens(count, vocabulary)
    parts = []
    for rows in decoder.split(max(1, LOGITS_AT_ONCE // vocabulary)):
        logits = rows.float() @ unembedding
        top, bottom = logits.topk(count, dim=1), logits.topk(count, dim=1, largest=False)
        parts.append((top.indices, top.values, bottom.indices, bottom.values))
    return LogitTokens(*(torch.cat(columns) for columns in zip(*parts, strict=True)))
