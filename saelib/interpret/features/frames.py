"""Tables of features and of contexts, as they are kept: one row a feature, one row a context.

In: what a survey has found of an SAE, its decoder, the unembedding, the tokenizer's pieces. Out: data frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from saelib.interpret.features.contexts import NOWHERE, FeatureContexts
from saelib.interpret.features.logit_tokens import LogitTokens, logit_tokens
from saelib.interpret.features.neighbours import neighbours
from saelib.interpret.features.survey import Survey, Width
from saelib.interpret.pieces import Pieces

FEATURE_COLUMNS = ("feature", "shown", "density", "top_ids", "neighbours", "sae_sha256")
CONTEXT_COLUMNS = ("feature", "rank", "row", "position", "activation", "token_ids", "peak", "sae_sha256")


@dataclass(frozen=True)
class Reading:
    """What all tables of a run share."""

    rows: Int[np.ndarray, "rows context"]
    """Token ids that were read."""
    held_out: int
    """How many rows, the first ones, are held out."""
    width: Width
    pieces: Pieces
    unembedding: Float[Tensor, "d_model vocabulary"] | None
    """None where the model has none; features have no logit tokens then."""
    logit_tokens: int
    """At either end."""
    neighbours: int
    dense_share: float


def feature_frame(
    found: Survey, decoder: Float[Tensor, "d_sae d_model"], shown: Int[np.ndarray, " shown"], reading: Reading
) -> pd.DataFrame:
    """One row for each feature of an SAE.

    Args:
        found: of its features.
        decoder: rows of unit norm.
        shown: features whose contexts are kept too.
    """
    numbers, near = found.statistics, neighbours(decoder, reading.neighbours)
    columns: dict[str, Any] = {
        "feature": np.arange(len(decoder)),
        "shown": np.isin(np.arange(len(decoder)), shown),
        "tokens": numbers.tokens,
        "density": numbers.density,
        "mean": numbers.mean,
        "maximum": numbers.maximum,
        "dead": numbers.dead,
        "dense": numbers.density > reading.dense_share,
        "histogram": numbers.histogram.tolist(),
        **_logit_columns(decoder, reading),
        "neighbours": near.indices.tolist(),
        "neighbour_cosines": near.cosines.tolist(),
        "example": _examples(found, reading),
    }
    return pd.DataFrame(columns)


def marked(texts: Sequence[str], peak: int) -> str:
    """A context as one text, its strongest token in «»."""
    return "".join([*texts[:peak], "«", texts[peak], "»", *texts[peak + 1 :]])


def _examples(found: Survey, reading: Reading) -> list[str]:
    """The best context of each feature, shown or not; empty where it is never active."""
    best = found._replace(contexts=FeatureContexts(*(part[:, :1] for part in found.contexts)))
    table = context_frame(best, np.arange(len(found.contexts.values)), reading)
    texts = {line["feature"]: marked(line["texts"], line["peak"]) for line in table.to_dict("records")}
    return [texts.get(feature, "") for feature in range(len(found.contexts.values))]


def _logit_columns(decoder: Float[Tensor, "d_sae d_model"], reading: Reading) -> dict[str, list[Any]]:
    names = LogitTokens._fields
    if reading.unembedding is None:
        empty: list[Any] = [[] for _ in decoder]
        return dict.fromkeys([*names, "top_tokens", "bottom_tokens"], empty)
    found = logit_tokens(decoder, reading.unembedding, reading.logit_tokens)
    columns = {name: values.tolist() for name, values in zip(names, found, strict=True)}
    texts = {f"{end}_tokens": [reading.pieces(ids) for ids in columns[f"{end}_ids"]] for end in ("top", "bottom")}
    return columns | texts


def context_frame(found: Survey, shown: Int[np.ndarray, " shown"], reading: Reading) -> pd.DataFrame:
    """One row for each context of the features that are shown, the strongest of a feature first."""
    values, positions, windows = (part[shown.tolist()].cpu().numpy() for part in found.contexts)
    which, ranks = np.nonzero(positions != NOWHERE)
    row, position = np.divmod(positions[which, ranks], reading.rows.shape[1])
    starts = np.maximum(position - reading.width.before, 0)
    ends = np.minimum(position + reading.width.after + 1, reading.rows.shape[1])
    spans = list(zip(row.tolist(), starts.tolist(), ends.tolist(), strict=True))
    ids = [reading.rows[line, first:last].tolist() for line, first, last in spans]
    cut = (starts - (position - reading.width.before)).tolist()  # of a window that would begin before the row
    kept = windows[which, ranks]
    columns: dict[str, Any] = {
        "feature": shown[which],
        "rank": ranks,
        "row": row,
        "position": position,
        "held_out": row < reading.held_out,
        "activation": values[which, ranks],
        "token_ids": ids,
        "activations": [
            line[first : first + len(tokens)].tolist() for line, first, tokens in zip(kept, cut, ids, strict=True)
        ],
        "texts": [reading.pieces(tokens) for tokens in ids],
        "peak": position - starts,
    }
    return pd.DataFrame(columns)
