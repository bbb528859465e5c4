"""Shuffled residual-stream activations, chunk by chunk, without state.

In: a language model and training rows. Out: the activations of one chunk for every wanted layer. Which rows a chunk
holds and how its tokens are shuffled is a pure function of (data seed, chunk number), so a resumed run needs counters
only.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.language.precision import matrix_products
from saelib.sae.config import TrainingConfig

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

HARVEST_TOKENS = {"cpu": 2048, "cuda": 65536}  # in one forward pass: what a core's cache holds; what fills a GPU


class Chunk(NamedTuple):
    """The activations of a chunk to be, and the calls that fill them, in any order or side by side."""

    activations: Float[Tensor, "layers tokens d_model"]
    fills: list[Callable[[], object]]

    def filled(self) -> Float[Tensor, "layers tokens d_model"]:
        """The activations, after one call after the other."""
        for fill in self.fills:
            fill()
        return self.activations

    def in_one_piece(self) -> "Chunk":
        """The same, filled by one call: for a model that makes one pass at a time."""
        return Chunk(self.activations, [self.filled])


def plan_chunk(
    model: "LanguageModel",
    rows: TokenRows,
    chunk: int,
    config: TrainingConfig,
    data_seed: int,
    layers: Sequence[int],
    rows_per_pass: int | None = None,
) -> Chunk:
    """A chunk's residual streams (`hook_resid_post`, float32) in the order of training, on the model's device.

    Positions below `config.skipped` are read by the language model and left out.

    Args:
        data_seed: of the order within the chunk; which rows it holds is for `rows` to say.
        rows_per_pass: rows that the language model reads at once; what suits the device if not given.
    """
    at_once, count = rows_per_pass or default_rows_per_pass(model.device, config), config.rows_of(config.chunk_tokens)
    tokens = torch.from_numpy(rows.take(chunk * count, count)).long()
    order = chunk_order(data_seed, chunk, config.chunk_tokens)
    places = torch.empty_like(order)
    places[order] = torch.arange(len(order))  # the inverse, without a sort for which a GPU would wait
    activations = torch.empty(len(layers), config.chunk_tokens, model.d_model, device=model.device)

    def fill(part: Tensor, where: Tensor) -> None:
        with matrix_products(config.precision, model.device):
            streams = model.residual_streams(to_device(part, model.device), layers)
        kept = streams[:, :, config.skipped :].flatten(1, 2)[:, : len(where)]  # a chunk may end within its last row
        activations.index_copy_(1, to_device(where, model.device), kept.float())

    parts = zip(tokens.split(at_once), places.split(at_once * config.row_tokens), strict=True)
    return Chunk(activations, [partial(fill, *part) for part in parts])


def default_rows_per_pass(device: torch.device, config: TrainingConfig) -> int:
    """Rows that the language model reads at once, where memory sets no limit."""
    tokens = HARVEST_TOKENS.get(device.type, HARVEST_TOKENS["cuda"])
    return min(config.chunk_rows, max(1, tokens // config.context_length))


def chunk_order(seed: int, chunk: int, tokens: int) -> Int64[Tensor, " tokens"]:
    """The order in which a chunk's tokens are trained on: the first batch holds the tokens at the first places."""
    return torch.from_numpy(np.random.default_rng([seed, chunk, 1]).permutation(tokens))


def to_device(tokens: Tensor, device: torch.device) -> Tensor:
    """Tokens on the device; to CUDA through pinned memory, so that the host need not wait for the copy."""
    if device.type != "cuda":
        return tokens.to(device)
    return tokens.pin_memory().to(device, non_blocking=True)
