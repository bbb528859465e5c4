"""How the residual streams of a model's layers lie to each other.

In: a language model and token rows. Out: the mean norm of each layer's residual vectors, at each position too, and the
angular distance of every pair of layers at the same token ("Angular distance" in paper 1), which says how far a
transfer has to go.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.model import LanguageModel

OUTLIER = 10  # times the median norm


class Geometry(NamedTuple):
    """Means over tokens, float64."""

    norms: Float[np.ndarray, " layers"]  # Euclidean length of the residual vector
    angular_distance: Float[np.ndarray, "layers layers"]  # 0 is the same direction, 1 a right angle, 2 the opposite


def residual_geometry(
    model: LanguageModel,
    rows: Int[np.ndarray, "rows context"],
    layers: Sequence[int],
    batch_rows: int,
    skip_first: int = 0,
) -> Geometry:
    """Norms and angular distances of `blocks.{i}.hook_resid_post`, over the tokens of `rows`.

    Args:
        model: whose residual streams.
        rows: token ids.
        layers: which layers, in the order in which the results stand.
        batch_rows: rows in one forward pass; no result depends on it beyond rounding.
        skip_first: positions at the start of each row that are left out.
    """
    count = rows[:, skip_first:].size
    norms = torch.zeros(len(layers), dtype=torch.float64)
    distances = torch.zeros(len(layers), len(layers), dtype=torch.float64)
    for tokens in torch.from_numpy(rows).long().split(batch_rows):
        streams = model.residual_streams(tokens.to(model.device), layers)
        streams = streams[:, :, skip_first:].flatten(1, 2).cpu().double()
        norms += torch.linalg.vector_norm(streams, dim=-1).sum(1)
        distances += angular_distance(streams.unsqueeze(1), streams.unsqueeze(0)).sum(-1)
    distances.fill_diagonal_(0.0)  # rounding would leave about 1e-8
    return Geometry((norms / count).numpy(), (distances / count).numpy())


def norms_by_position(
    model: LanguageModel, rows: Int[np.ndarray, "rows context"], layers: Sequence[int], batch_rows: int
) -> Float[np.ndarray, "layers context"]:
    """Mean norm of `blocks.{i}.hook_resid_post` at each position of a row; arguments as for `residual_geometry`."""
    sums = torch.zeros(len(layers), rows.shape[1], dtype=torch.float64)
    for tokens in torch.from_numpy(rows).long().split(batch_rows):
        streams = model.residual_streams(tokens.to(model.device), layers).cpu().double()
        sums += torch.linalg.vector_norm(streams, dim=-1).sum(1)
    return (sums / len(rows)).numpy()


def positions_to_skip(norms: Float[np.ndarray, "layers context"]) -> int:
    """How many positions at the start of a row are outliers at one layer or more: the `skip_first` to recommend.

    Many models dump attention on the first token, whose residual vector is then huge ("massive activations", Sun et al.
    2024; "attention sinks", Xiao et al. 2023); here, `OUTLIER` times the median position's.

    Args:
        norms: as `norms_by_position` gives them.
    """
    outliers = (norms > OUTLIER * np.median(norms, axis=1, keepdims=True)).any(axis=0)
    return int(np.argmin(np.append(outliers, False)))  # the first position that is none


def advice_on_first_positions(norms: Float[np.ndarray, "layers context"], layers: Sequence[int], skipped: int) -> str:
    """Sentences on the first positions, with the `skip_first` that suits them.

    Args:
        norms: as `norms_by_position` gives them.
        layers: which layers they belong to.
        skipped: the `skip_first` of the run.
    """
    times = norms[:, 0] / np.median(norms, axis=1)
    worst, wanted = int(times.argmax()), positions_to_skip(norms)
    seen = (
        f"Seen: the first position's norm is at most **{times[worst]:.1f} times** the median (layer {layers[worst]})."
    )
    if not wanted:
        return f"{seen} No position need be skipped."
    have = "as this run has it" if skipped >= wanted else f"this run has {skipped}; a new `run` with it is wanted"
    return f"{seen} Such positions rule the squared error: `skip_first={wanted}` is recommended, {have}."


def angular_distance(
    first: Float[Tensor, "*tokens d_model"], second: Float[Tensor, "*tokens d_model"]
) -> Float[Tensor, "*tokens"]:
    """2 / pi * arccos(cosine), between 0 and 2; paper 1 takes its mean over tokens."""
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=-1)
    return 2 / math.pi * torch.arccos(cosine.clamp(-1, 1))
