"""Shuffled residual-stream activations, chunk by chunk, without state.

In: a language model and training rows. Out: the activations of one chunk for every wanted layer. Which rows a chunk
holds and how its tokens are shuffled is a pure function of (seed, chunk number), so a resumed run needs counters only.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.sae.config import TrainingConfig

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

HARVEST_TOKENS = 8192  # in one forward pass, which bounds the memory of its intermediate tensors


def chunk_activations(
    model: "LanguageModel", rows: TokenRows, chunk: int, config: TrainingConfig, layers: Sequence[int]
) -> Float[Tensor, "layers tokens d_model"]:
    """Residual streams (`hook_resid_post`, float32) of the rows of a chunk, in reading order, on the model's device."""
    tokens = torch.from_numpy(rows.take(chunk * config.chunk_rows, config.chunk_rows)).long()
    parts = tokens.split(max(1, HARVEST_TOKENS // config.context_length))
    activations = torch.empty(len(layers), config.chunk_tokens, model.d_model, device=model.device)
    first = 0
    for part in parts:
        streams = model.residual_streams(part.to(model.device), layers)
        activations[:, first : first + part.numel()] = streams.flatten(1, 2)
        first += part.numel()
    return activations


def chunk_order(seed: int, chunk: int, tokens: int) -> Int64[Tensor, " tokens"]:
    """The order in which a chunk's tokens are trained on."""
    return torch.from_numpy(np.random.default_rng([seed, chunk, 1]).permutation(tokens))


def batches(
    activations: Float[Tensor, "layers tokens d_model"], order: Int64[Tensor, " tokens"], batch_tokens: int
) -> Iterator[Float[Tensor, "layers batch d_model"]]:
    """The chunk's activations in batches, in the given order; all layers of a batch are the same tokens."""
    for chosen in order.to(activations.device).split(batch_tokens):
        yield activations[:, chosen]
