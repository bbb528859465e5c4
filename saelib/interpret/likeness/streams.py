"""The streams of the layers that likeness is judged in: how they vary, which features fire, how far apart they lie.

In: a run that is looked at. Out: residual vectors of its held-out rows, of up to as many tokens as the paper takes for
angular distances, no more layers at a time than memory is set aside for; of an SAE, which of its features fire on them.
"""

from collections.abc import Collection, Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from saelib.language.residuals import angular_distance
from saelib.sae.autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    from saelib.interpret.interpretation import Interpretation

TOKENS = 65_536  # at most; of more text no share here would become another one
HELD = 4 * 10**9  # bytes of streams at a time: all layers of a model such as the paper's (2.4 GB)
BATCH = 4096  # tokens whose features are in memory at once


def rows_read(interpretation: "Interpretation") -> Int32[np.ndarray, "rows context"]:
    """The held-out rows, or as many of them as have `TOKENS`, spread evenly: they lie in the order of the text."""
    held_out = interpretation.experiment.corpus.held_out
    most = max(1, TOKENS // held_out.shape[1])
    return held_out[np.linspace(0, len(held_out) - 1, min(most, len(held_out))).astype(int)]


def tokens_read(interpretation: "Interpretation") -> int:
    """How many tokens those rows have, positions that are skipped left out."""
    rows, context = rows_read(interpretation).shape
    return rows * (context - interpretation.skipped)


@torch.no_grad()
def read_streams(interpretation: "Interpretation", layers: Sequence[int]) -> dict[int, Float[Tensor, "tokens d_model"]]:
    """Residual vectors of some layers, positions that are skipped left out, in one pass over the text.

    They are written into their place batch by batch, so that they are never held twice.
    """
    model, start = interpretation.model, 0
    size = (tokens_read(interpretation), model.d_model)
    streams = {layer: torch.empty(size, dtype=torch.float32, device=model.device) for layer in layers}
    for batch in _batches(interpretation, layers):
        for stream, vectors in zip(streams.values(), batch, strict=True):
            stream[start : start + len(vectors)] = vectors
        start += batch.shape[1]
    return streams


class HeldStreams:
    """The streams of as many layers as fit into `HELD` bytes, one at least; others are read when they are asked for."""

    def __init__(self, interpretation: "Interpretation", layers: Collection[int]) -> None:
        """`layers`: all that will be asked for."""
        self.interpretation, self.layers = interpretation, sorted(set(layers))
        self._held: dict[int, Float[Tensor, "tokens d_model"]] = {}

    def of(self, layer: int) -> Float[Tensor, "tokens d_model"]:
        """Of a layer that is not held: the text is read again, for it and its neighbours; those before go first."""
        if layer not in self._held:
            self._held.clear()
            of_one = 4 * tokens_read(self.interpretation) * self.interpretation.model.d_model
            count = min(max(1, HELD // of_one), len(self.layers))
            first = min(self.layers.index(layer), len(self.layers) - count)
            self._held |= read_streams(self.interpretation, self.layers[first : first + count])
        return self._held[layer]


@torch.no_grad()
def alive_features(sae: SparseAutoencoder, stream: Float[Tensor, "tokens d_model"]) -> Bool[Tensor, " d_sae"]:
    """Which features fire on one token of a stream or more."""
    found = torch.zeros(sae.d_sae, dtype=torch.bool, device=stream.device)
    for tokens in stream.split(BATCH):
        found |= (sae.encode(tokens) > 0).any(dim=0)
    return found


@torch.no_grad()
def layer_distances(interpretation: "Interpretation", layers: Collection[int]) -> dict[tuple[int, int], float]:
    """Mean angular distance of each pair of layers at the same token, from 0 to 2, the lower layer first.

    In one pass over the text; of the layers no more than a batch is held, of a pair one number for each token.
    """
    wanted = sorted(set(layers))
    pairs = [*combinations(range(len(wanted)), 2)]
    found: list[list[Float[Tensor, " tokens"]]] = [[] for _ in pairs]
    for vectors in _batches(interpretation, wanted):
        for told, (one, other) in zip(found, pairs, strict=True):
            told.append(angular_distance(vectors[one].double(), vectors[other].double()))
    return {
        (wanted[one], wanted[other]): float(torch.cat(told).mean())
        for told, (one, other) in zip(found, pairs, strict=True)
    }


def _batches(
    interpretation: "Interpretation", layers: Sequence[int]
) -> Iterator[Float[Tensor, "layers tokens d_model"]]:
    """Residual vectors of some layers, a batch of rows at a time."""
    model = interpretation.model
    tokens = torch.from_numpy(rows_read(interpretation)).long()
    for batch in tokens.split(interpretation.experiment.config.evaluation_batch_rows):
        streams = model.residual_streams(batch.to(model.device), layers)
        yield streams[:, :, interpretation.skipped :].flatten(1, 2).float()
