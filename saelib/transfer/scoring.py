"""Score each SAE once: the same weights that read the same layer have the same scores.

In: SAE folders, the layers that they shall read, and what was scored before. Out: scores in the order asked for, and
the scores of rows as a table. A control at its start is a scratch SAE at its start, and a copy at its start is a
finished SAE at another layer; that they are is seen by their files, not by their names, and one of them is scored again
to see that scores agree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from saelib.sae.folder import load_sae
from saelib.sae.scores import ROW_METRICS, RowScores, Scores

if TYPE_CHECKING:
    from saelib.sae.evaluation import Scorer
    from saelib.transfer.parts import EvaluationParts

SAME_SCORE = 1e-5  # relative and absolute: rounding, where another number of rows or another kernel was at work


class Reading(NamedTuple):
    """What decides scores on given rows of a given model."""

    sae_sha256: str
    act_layer: int


def row_table(scores: Mapping[Reading, Scores]) -> pd.DataFrame:
    """One line for each reading and held-out row, its metrics in float32: they carry no more digits."""
    keys = [(*reading, row) for reading, score in scores.items() for row in range(len(score.rows.mse))]
    metrics = {name: np.concatenate([getattr(score.rows, name) for score in scores.values()]) for name in ROW_METRICS}
    return (
        pd.DataFrame(keys, columns=[*Reading._fields, "row"])
        .assign(**metrics)
        .astype(dict.fromkeys(metrics, "float32"))
    )


def scored_before(parts: "EvaluationParts", origin: dict[str, Any]) -> dict[Reading, Scores]:
    """Scores in finished parts whose columns `origin` (model, rows, code) have these values.

    Args:
        origin: values by column.
    """
    metrics = [field.name for field in fields(Scores) if field.name != "rows"]
    known: dict[Reading, Scores] = {}
    for part in parts.parts:
        table = parts.scores.read(part).reindex(columns=[*Reading._fields, *metrics, *origin])
        alike = table[(table[list(origin)] == pd.Series(origin)).all(axis="columns")].dropna(subset=["sae_sha256"])
        rows = _rows_by_reading(parts.rows.read(part))
        for row in alike.to_dict("records"):
            reading = Reading(row["sae_sha256"], int(row["act_layer"]))
            if reading in rows:
                known[reading] = Scores(**{name: row[name] for name in metrics}, rows=rows[reading])
    return known


def _rows_by_reading(table: pd.DataFrame) -> dict[Reading, RowScores]:
    """What `row_table` has made."""
    groups = table.groupby(list(Reading._fields), sort=False)
    return {
        Reading(sha256, int(layer)): RowScores(**{name: rows[name].to_numpy(np.float64) for name in ROW_METRICS})
        for (sha256, layer), rows in groups
    }


def score_once(
    asked: Sequence[tuple[Path, Reading]], scorer: "Scorer", known: Mapping[Reading, Scores]
) -> list[Scores]:
    """Scores of SAE folders: new ones by the scorer, the others from `known`.

    Raises:
        ValueError: the first one that is known has other scores now.
    """
    folders = {reading: folder for folder, reading in asked}
    new = [reading for reading in folders if reading not in known]
    again = [reading for reading in folders if reading in known][:1]
    saes = [(load_sae(folders[reading], scorer.model.device), reading.act_layer) for reading in new + again]
    found = dict(zip(new + again, scorer.scores(saes), strict=True))
    for reading in again:
        _check_same(found[reading], known[reading], folders[reading])
    every = {**found, **known}
    return [every[reading] for _, reading in asked]


def _check_same(now: Scores, before: Scores, folder: Path) -> None:
    for (name, value), known in zip(now.metrics().items(), before.metrics().values(), strict=True):
        if not np.isclose(value, known, rtol=SAME_SCORE, atol=SAME_SCORE, equal_nan=True):
            raise ValueError(
                f"{folder} has {name} {value:.6g}; the same weights at the same layer had {known:.6g} in another part; "
                "delete the run's evaluation/ folder and evaluate again"
            )
