"""How the residual streams of a model's layers lie to each other.

In: a language model and token rows. Out: the mean norm of each layer's residual vectors, and the angular distance of
every pair of layers at the same token ("Angular distance" in paper 1), which says how far a transfer has to go.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.model import LanguageModel


class Geometry(NamedTuple):
    """Means over tokens, float64."""

    norms: Float[np.ndarray, " layers"]  # Euclidean length of the residual vector
    angular_distance: Float[np.ndarray, "layers layers"]  # 0 is the same direction, 1 a right angle, 2 the opposite


def residual_geometry(
    model: LanguageModel, rows: Int[np.ndarray, "rows context"], layers: Sequence[int], batch_rows: int
) -> Geometry:
    """Norms and angular distances of `blocks.{i}.hook_resid_post`, over all tokens of `rows`.

    Args:
        model: whose residual streams.
        rows: token ids.
        layers: which layers, in the order in which the results stand.
        batch_rows: rows in one forward pass; no result depends on it beyond rounding.
    """
    norms = torch.zeros(len(layers), dtype=torch.float64)
    distances = torch.zeros(len(layers), len(layers), dtype=torch.float64)
    for tokens in torch.from_numpy(rows).long().split(batch_rows):
        streams = model.residual_streams(tokens.to(model.device), layers).flatten(1, 2).cpu().double()
        norms += torch.linalg.vector_norm(streams, dim=-1).sum(1)
        distances += angular_distance(streams.unsqueeze(1), streams.unsqueeze(0)).sum(-1)
    distances.fill_diagonal_(0.0)  # rounding would leave about 1e-8
    return Geometry((norms / rows.size).numpy(), (distances / rows.size).numpy())


def angular_distance(
    first: Float[Tensor, "*tokens d_model"], second: Float[Tensor, "*tokens d_model"]
) -> Float[Tensor, "*tokens"]:
    """2 / pi * arccos(cosine), between 0 and 2; paper 1 takes its mean over tokens."""
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=-1)
    return 2 / math.pi * torch.arccos(cosine.clamp(-1, 1))
