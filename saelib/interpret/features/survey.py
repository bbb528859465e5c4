"""One reading of a text for many SAEs: how each feature fires, and where it fires most.

In: a language model, SAEs with the layers that they read, token rows. Out: statistics and best contexts of every
feature of every SAE. A pass of the language model serves all SAEs, and what is kept does not grow with the text.
"""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.interpret.features.contexts import FeatureContexts, TopContexts
from saelib.interpret.features.statistics import FeatureStatistics, Statistics
from saelib.language.precision import Precision, matrix_products
from saelib.run.progress import progress
from saelib.run.threads import one_thread_each
from saelib.sae.autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

CPU_TILE, DEVICE_TILE = 2**20, 2**26  # features times tokens at once: 4 MB stay in a CPU's cache


class Survey(NamedTuple):
    """What is known of the features of one SAE at one layer."""

    statistics: Statistics
    contexts: FeatureContexts


class Width(NamedTuple):
    """Which contexts are kept."""

    contexts: int
    """Of each feature."""
    before: int
    """Tokens in front of the peak."""
    after: int
    """Tokens behind it."""


class _Reader:
    """What one SAE has seen so far."""

    def __init__(self, sae: SparseAutoencoder, layer: int, width: Width, skipped: int) -> None:
        self.sae, self.layer, self.skipped = sae, layer, skipped
        self.contexts = TopContexts(sae.d_sae, *width)
        self.statistics = FeatureStatistics(sae.d_sae, sae.W_enc.device)

    @torch.no_grad()
    def add(self, stream: Float[Tensor, "rows context d_model"], precision: Precision) -> None:
        """The next rows, a few at a time."""
        context = stream.shape[1]
        tile = CPU_TILE if stream.device.type == "cpu" else DEVICE_TILE
        for rows in stream.split(max(1, tile // (context * self.sae.d_sae))):
            with matrix_products(precision, stream.device):
                features = self.sae.encode(rows).float()
            features[:, : self.skipped] = 0  # these positions count nowhere
            self.contexts.add(features)
            self.statistics.add(features, tokens=len(rows) * (context - self.skipped))


def survey(
    model: "LanguageModel",
    readings: Sequence[tuple[SparseAutoencoder, int]],
    rows: Int[np.ndarray, "rows context"],
    width: Width,
    batch_rows: int = 8,
    precision: Precision = "float32",
    skipped: int = 0,
) -> list[Survey]:
    """Read the rows once, for all SAEs.

    Args:
        model: whose residual streams they read.
        readings: an SAE on the model's device, and the layer that it reads.
        rows: token ids.
        width: of the contexts that are kept.
        batch_rows: rows in one pass; no result depends on it beyond rounding.
        precision: of the model's and the SAEs' products.
        skipped: positions at the start of each row that count nowhere.

    Raises:
        ValueError: no position is left.
    """
    if skipped >= rows.shape[1]:
        raise ValueError(f"skipped={skipped} leaves no position in rows of {rows.shape[1]} tokens")
    readers = [_Reader(sae, layer, width, skipped) for sae, layer in readings]
    layers = sorted({layer for _, layer in readings})
    with progress("features", len(rows), unit="row") as advance:
        for tokens in torch.from_numpy(rows).long().split(batch_rows) if readers else ():
            with matrix_products(precision, model.device):
                streams = dict(zip(layers, model.residual_streams(tokens, layers), strict=True))
            _add_to_all(readers, streams, precision)
            advance(len(tokens))
    return [Survey(reader.statistics.result(), reader.contexts.result()) for reader in readers]


def _add_to_all(
    readers: Sequence[_Reader], streams: dict[int, Float[Tensor, "rows context d_model"]], precision: Precision
) -> None:
    """An SAE on a thread each on a CPU: the small operations of a reader gain nothing from several threads."""
    if next(iter(streams.values())).device.type != "cpu":
        for reader in readers:
            reader.add(streams[reader.layer], precision)
        return
    with one_thread_each() as pool:
        waiting = [pool.submit(partial(reader.add, streams[reader.layer], precision)) for reader in readers]
        for one in waiting:
            one.result()
