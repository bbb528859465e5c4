"""Results of an evaluation, and what refuses them: rows that were not scored alike, or are no numbers.

In: tables of scores, and of their held-out rows. Out: nothing, or an error that says what does not fit, and the remedy.
A row of an SAE that has diverged (`diverged_at_step`) has keys and no scores, and is no fault of the table.
"""

import json
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Bool

from saelib.run.reading import CONTENT_ERRORS, as_object

CLEAN_LOSS_TOLERANCE = 1e-9  # nats; the clean pass is the same computation in every part of an evaluation
SAME_MEAN = 1e-5  # relative and absolute: rows are kept in float32
MEANS = ("ce_clean", "ce_spliced", "ce_zero", "ce_mean", "kl", "mse", "l0", "l1")  # over tokens: always numbers
NEEDED = ("arm", "config_sha256")  # columns of every table of a run's SAEs
READING = ["sae_sha256", "act_layer"]  # the columns that say what was scored
DIVERGED = "diverged_at_step"
"""Column: the step at which an SAE's training ended since its loss was no number, 0 where it could not begin; no column
where all is well."""

VARIANCE = "variance"
"""Column of the study `depth`: mean squared distance of a layer's activations from their mean, of a row or of all."""


class Results(NamedTuple):
    """How the SAEs of a run were scored."""

    evaluation: pd.DataFrame
    """One row for each SAE, budget and layer that it reads."""
    rows: pd.DataFrame | None
    """The same metrics for every held-out row of each reading; None where they were not kept."""


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table whose layers are whole numbers even where `source_layer` is missing."""
    table = pd.DataFrame(rows)
    whole = {name: "Int64" for name in ("source_layer", "sae_layer", "act_layer", DIVERGED) if name in table}
    return table.astype(whole)


def has_diverged(table: pd.DataFrame) -> "Bool[np.ndarray, ' rows']":
    """Which rows are of SAEs that have diverged by then."""
    return table[DIVERGED].notna().to_numpy() if DIVERGED in table else np.zeros(len(table), bool)


def check_paired(evaluation: pd.DataFrame) -> None:
    """Refuse an evaluation whose rows were not scored on the same tokens.

    Raises:
        ValueError: there is more than one evaluation hash or clean loss.
    """
    hashes, spread = evaluation["eval_sha256"].unique(), evaluation["ce_clean"].max() - evaluation["ce_clean"].min()
    if len(hashes) != 1:
        raise ValueError(
            f"rows were scored on {len(hashes)} sets of held-out tokens: the text has changed since the run began, and "
            "its SAEs have not all read the same; name another run"
        )
    if spread > CLEAN_LOSS_TOLERANCE:  # the same model and tokens, as the run's inputs say, in other arithmetic
        raise ValueError(
            f"rows were scored by other versions or on other machines{_versions(evaluation)}: clean losses differ by "
            f"{spread:.3g} nats; delete the run's evaluation/ folder, and all SAEs are scored alike; if they were "
            "trained by several versions or machines too, which scores no longer show, name another run"
        )


def _versions(evaluation: pd.DataFrame) -> str:
    """In parentheses, which versions there were of what not all rows have the same version of."""
    lines = evaluation.get("versions", pd.Series(dtype=object)).dropna().unique()
    try:
        noted = pd.DataFrame([as_object(json.loads(line)) for line in lines])
    except CONTENT_ERRORS:  # the mixture is what has to be said
        return ""
    told = [f"{name} {', '.join(map(str, noted[name].unique()))}" for name in noted if noted[name].nunique() > 1]
    return f" ({'; '.join(told)})" if told else ""


def check_finite(evaluation: pd.DataFrame) -> None:
    """Refuse scores that are no numbers, from which no mean and no target can be had; a diverged SAE has none at all.

    Raises:
        ValueError: the message names the SAE and the score.
    """
    means, diverged = [name for name in MEANS if name in evaluation], has_diverged(evaluation)
    scores = evaluation[means].to_numpy(float)
    wrong = np.where(diverged[:, None], ~np.isnan(scores), ~np.isfinite(scores))
    if wrong.any():
        place, metric = np.argwhere(wrong)[0]
        sae = evaluation.iloc[place]
        why = (
            f"though it had diverged at step {sae[DIVERGED]}; delete the run's evaluation/ folder and evaluate again"
            if diverged[place]
            else "on the held-out rows; start a run with precision='float32', or without this layer"
        )
        raise ValueError(
            f"{sae['arm']} L{sae['sae_layer']} seed {sae['seed']} at {sae['tokens']} tokens, spliced in at layer "
            f"{sae['act_layer']}, has {means[metric]}={sae[means[metric]]} {why}"
        )


def check_rows(results: Results) -> None:
    """Refuse rows that are not those of an evaluation: as many for each reading, with its metrics as their means.

    Raises:
        ValueError: the message names a metric.
    """
    assert results.rows is not None
    evaluation, rows = results.evaluation[~has_diverged(results.evaluation)], results.rows
    metrics = [name for name in rows.columns if name not in (*READING, "row")]
    if absent := [name for name in (*READING, *metrics) if name not in evaluation]:
        raise ValueError(
            f"evaluation.parquet has no column {absent[0]}, and evaluation_rows.parquet has; delete the run's "
            "evaluation/ folder and evaluate again"
        )
    lengths = rows.groupby(READING).size().unique()
    means = rows.astype(dict.fromkeys(metrics, "float64")).groupby(READING)[metrics].mean()
    found = means.reindex(pd.MultiIndex.from_frame(evaluation[READING]))
    same = np.isclose(found, evaluation[metrics], rtol=SAME_MEAN, atol=SAME_MEAN).all(axis=0)
    if (len(evaluation) and len(lengths) != 1) or not same.all():
        wrong = [name for name, alike in zip(metrics, same, strict=True) if not alike]
        raise ValueError(
            f"evaluation_rows.parquet, with {', '.join(map(str, lengths))} rows for a reading, is not of this "
            f"evaluation.parquet: {', '.join(wrong) or 'no metric'} differs; delete the run's evaluation/ folder and "
            "evaluate again"
        )
