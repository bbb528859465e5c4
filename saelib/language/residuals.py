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
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saelib.language.model import LanguageModel

OUTLIER = 10  # times the median norm of the positions behind the first


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


def norms_of_rows(
    model: LanguageModel, rows: Int[np.ndarray, "rows context"], layers: Sequence[int], batch_rows: int
) -> Float[np.ndarray, "layers rows context"]:
    """Norm of `blocks.{i}.hook_resid_post` at each token; arguments as for `residual_geometry`."""
    parts = torch.from_numpy(rows).long().split(batch_rows)
    streams = (model.residual_streams(part.to(model.device), layers).cpu().double() for part in parts)
    return torch.cat([torch.linalg.vector_norm(part, dim=-1) for part in streams], dim=1).numpy()


def times_the_median(norms: Float[np.ndarray, "layers context"]) -> Float[np.ndarray, " layers"]:
    """How many times as long as the median of the positions behind it the first one is, at each layer.

    Args:
        norms: as `norms_by_position` gives them.
    """
    return norms[:, 0] / _median_behind(norms)[:, 0]


def _median_behind(norms: Float[np.ndarray, "layers context"]) -> Float[np.ndarray, "layers 1"]:
    """Of all positions but the first: that one may be a sink, and a row may be short."""
    return np.median(norms[:, 1:], axis=1, keepdims=True)


def has_sink(norms: Float[np.ndarray, "layers context"]) -> bool:
    """Whether the first position is an outlier at one layer or more: over `OUTLIER` times the median of the others.

    Args:
        norms: as `norms_by_position` gives them.
    """
    return norms.shape[1] > 1 and positions_to_skip(norms) > 0


def positions_to_skip(norms: Float[np.ndarray, "layers context"]) -> int:
    """How many positions at the start of a row are outliers at one layer or more: the `skip_first` to recommend.

    Args:
        norms: as `norms_by_position` gives them.
    """
    return _leading(np.any(norms > OUTLIER * _median_behind(norms), axis=0))


def _leading(outliers: Bool[np.ndarray, " context"]) -> int:
    """How many positions at the start are outliers."""
    return int(np.argmin(np.append(outliers, False)))  # the first position that is none


def norms_of_token(
    model: LanguageModel,
    rows: Int[np.ndarray, "rows context"],
    layers: Sequence[int],
    batch_rows: int,
    token: int,
    skip_first: int = 0,
) -> tuple[Float[np.ndarray, " layers"], Float[np.ndarray, " layers"]]:
    """Mean norm of `blocks.{i}.hook_resid_post` where a token stands within rows, and the median norm of the others.

    Args:
        model: whose residual streams.
        rows: token ids; those rows are read that hold the token, and both norms are NaN where none does.
        layers: which layers, in the order in which the results stand.
        batch_rows: rows in one forward pass.
        token: its id.
        skip_first: positions at the start of each row that are left out.
    """
    holding = rows[(rows[:, skip_first:] == token).any(axis=1)]
    if not len(holding):
        return np.full(len(layers), np.nan), np.full(len(layers), np.nan)
    parts = torch.from_numpy(holding).long().split(batch_rows)
    streams = torch.cat([model.residual_streams(part.to(model.device), layers).cpu() for part in parts], dim=1)
    norms = torch.linalg.vector_norm(streams[:, :, skip_first:].double(), dim=-1).numpy()
    is_token = holding[:, skip_first:] == token
    return norms[:, is_token].mean(axis=1), np.median(norms[:, ~is_token], axis=1)


def warning_of_token(
    norms: tuple[Float[np.ndarray, " layers"], Float[np.ndarray, " layers"]], layers: Sequence[int], text: str
) -> str:
    """A sentence on what separates documents, where it is an outlier at some layer; empty where it is none.

    Args:
        norms: as `norms_of_token` gives them.
        layers: which layers they belong to.
        text: of the token.
    """
    times = norms[0] / norms[1]
    if not (times > OUTLIER).any():
        return ""
    worst = int(np.nanargmax(times))
    return (
        f"Within a row, between two documents, `{text}` has **{times[worst]:.0f} times** the median norm (layer "
        f'{layers[worst]}), and rules the squared error alike: `rows="within"` leaves it out.'
    )


def advice_on_first_positions(
    norms: Float[np.ndarray, "layers context"], layers: Sequence[int], skipped: int, sink_token: str | None = None
) -> str:
    """Sentences on the first positions, with the settings that suit them.

    Args:
        norms: as `norms_by_position` gives them, of rows without a sink token.
        layers: which layers they belong to.
        skipped: positions that the run leaves out.
        sink_token: with which the run's rows begin.
    """
    times, wanted = times_the_median(norms), positions_to_skip(norms)
    worst = int(times.argmax())
    seen = (
        f"Seen: the first position's norm is at most **{times[worst]:.1f} times** the median (layer {layers[worst]})."
    )
    if not wanted:
        return f"{seen} No position need be skipped."
    more = f" with `skip_first={wanted}`" if wanted > 1 else ""
    if skipped < wanted:
        have = f"this run leaves {skipped} out; a new `run` with it is wanted"
    else:
        have = "as this run has it" if sink_token else "this run leaves such positions out, with the text that is there"
    return f'{seen} Such positions rule the squared error: `sink_token="auto"`{more} is recommended; {have}.'


def behind_the_sink(
    norms: Float[np.ndarray, "layers rows context"], layers: Sequence[int], sink_token: str, skipped: int
) -> str:
    """Sentences on the text's own positions behind a sink token, one vector at a time: a mean would hide a rare one.

    Args:
        norms: as `norms_of_rows` gives them, of rows that begin with the token.
        layers: which layers they belong to.
        sink_token: its text.
        skipped: positions that the run leaves out, the token's among them.
    """
    rows = norms.shape[1]
    times = norms / np.median(norms[:, :, 1:], axis=(1, 2), keepdims=True)
    left = times[:, :, skipped:]
    worst, _, position = np.unravel_index(left.argmax(), left.shape)
    said = (
        f"With `{sink_token}` in front of every row, and the first {skipped} position(s) left out, the longest of all "
        f"residual vectors of {rows} rows is **{left.max():.1f} times** the median (layer {layers[worst]}, position "
        f"{position + skipped + 1} of the row)."
    )
    wanted = positions_behind_the_sink(norms)
    if wanted < 2:
        return said
    rare = (times[:, :, 1:wanted] > OUTLIER).any(axis=(0, 2)).sum()
    have = "as this run has it" if skipped >= wanted else f"this run leaves {skipped} out"
    return (
        f"{said} Right behind `{sink_token}`, **{rare} of {rows}** rows have outliers of up to "
        f"{times[:, :, 1:wanted].max():.0f} times: `skip_first={wanted}` leaves them out; {have}."
    )


def positions_behind_the_sink(norms: Float[np.ndarray, "layers rows context"]) -> int:
    """How many positions at the start, the sink's among them, have an outlier in any row: the `skip_first` to set.

    Args:
        norms: as `norms_of_rows` gives them, of rows that begin with a sink token.
    """
    outliers = norms > OUTLIER * np.median(norms[:, :, 1:], axis=(1, 2), keepdims=True)
    return 1 + _leading(np.any(outliers[:, :, 1:], axis=(0, 1)))


def angular_distance(
    first: Float[Tensor, "*tokens d_model"], second: Float[Tensor, "*tokens d_model"]
) -> Float[Tensor, "*tokens"]:
    """2 / pi * arccos(cosine), between 0 and 2; paper 1 takes its mean over tokens."""
    cosine = torch.nn.functional.cosine_similarity(first, second, dim=-1)
    return 2 / math.pi * torch.arccos(cosine.clamp(-1, 1))
