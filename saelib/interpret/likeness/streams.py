"""The streams of the layers that likeness is judged in: how they vary, which features fire, how far apart they lie.

In: a run that is looked at. Out: residual vectors of its held-out rows, of up to as many tokens as the paper takes for
angular distances; of an SAE, which of its features fire on them.
"""

from collections.abc import Mapping, Sequence
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
BATCH = 4096  # tokens whose features are in memory at once

Streams = Mapping[int, Float[Tensor, "tokens d_model"]]  # by layer


def rows_read(interpretation: "Interpretation") -> Int32[np.ndarray, "rows context"]:
    """The held-out rows, or as many of them as have `TOKENS`, spread evenly: they lie in the order of the text."""
    held_out = interpretation.experiment.corpus.held_out
    most = max(1, TOKENS // held_out.shape[1])
    return held_out[np.linspace(0, len(held_out) - 1, min(most, len(held_out))).astype(int)]


@torch.no_grad()
def read_streams(interpretation: "Interpretation", layers: Sequence[int]) -> Streams:
    """Residual vectors of some layers, positions that are skipped left out, in one pass over the text."""
    model, wanted = interpretation.model, sorted(set(layers))
    tokens = torch.from_numpy(rows_read(interpretation)).long()
    batches = tokens.split(interpretation.experiment.config.evaluation_batch_rows)
    parts = [
        model.residual_streams(batch.to(model.device), wanted)[:, :, interpretation.skipped :] for batch in batches
    ]
    return dict(zip(wanted, torch.cat([part.flatten(1, 2).float() for part in parts], dim=1), strict=True))


@torch.no_grad()
def alive_features(sae: SparseAutoencoder, stream: Float[Tensor, "tokens d_model"]) -> Bool[Tensor, " d_sae"]:
    """Which features fire on one token of a stream or more."""
    found = torch.zeros(sae.d_sae, dtype=torch.bool, device=stream.device)
    for tokens in stream.split(BATCH):
        found |= (sae.encode(tokens) > 0).any(dim=0)
    return found


def layer_distances(streams: Streams) -> dict[tuple[int, int], float]:
    """Mean angular distance of each pair of layers at the same token, from 0 to 2, the lower layer first."""
    pairs = combinations(sorted(streams), 2)
    return {
        (one, other): float(angular_distance(streams[one].double(), streams[other].double()).mean())
        for one, other in pairs
    }
