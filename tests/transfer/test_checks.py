"""Results that were not scored alike, or are no numbers, are refused; an SAE that diverged has none, rightly."""

import json

import numpy as np
import pandas as pd
import pytest

from saelib.transfer.checks import Results, check_finite, check_paired, check_rows, table_of

SCORED = {"sae_sha256": ["s"] * 5, "act_layer": [0, 1, 2, 0, 0], "mse": [2.0, 4.0, 1 / 3, 2.0, 2.0]}
ROWS = pd.DataFrame({"sae_sha256": "s", "act_layer": [0, 0, 1, 1, 2, 2], "row": [0, 1] * 3,
                     "mse": np.array([1, 3, 8, 0, 1 / 3, 1 / 3], np.float32)})  # fmt: skip


@pytest.mark.parametrize(
    "rows",
    [
        ROWS.assign(mse=ROWS["mse"] * np.float32(1.0001)),
        ROWS[ROWS["act_layer"] < 2],
        ROWS[1:],
        ROWS.assign(act_layer=0),
    ],
    ids=["others", "a reading lacks", "a row lacks", "layers mixed"],
)
def test_rows_of_another_evaluation_are_refused(rows: pd.DataFrame) -> None:
    evaluation = pd.DataFrame(SCORED)
    check_rows(Results(evaluation, ROWS))
    with pytest.raises(ValueError, match=r"is not of this evaluation\.parquet.* mse .*delete the run's evaluation/"):
        check_rows(Results(evaluation, rows))


def test_layers_are_whole_numbers_even_where_there_is_no_source() -> None:
    made = table_of([{"source_layer": None, "act_layer": 1, "seed": 0}, {"source_layer": 0, "act_layer": 1, "seed": 0}])
    assert made.dtypes.astype(str).to_dict() == {"source_layer": "Int64", "act_layer": "Int64", "seed": "int64"}
    assert made["source_layer"].tolist() == [pd.NA, 0]


def test_an_evaluation_on_unlike_tokens_is_refused() -> None:
    rows = pd.DataFrame({"eval_sha256": "a", "ce_clean": [1.0, 1.0 + 1e-12], "seed": [0, 1]})
    check_paired(rows)
    with pytest.raises(ValueError, match="other versions or on other machines: clean losses differ by 1 nats; delete"):
        check_paired(rows.assign(ce_clean=rows["ce_clean"] + rows["seed"]))
    with pytest.raises(ValueError, match=r"2 sets of held-out tokens: the text has changed .*; name another run"):
        check_paired(rows.assign(eval_sha256=rows["seed"].astype(str)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_scores_that_are_no_numbers_are_refused_with_their_sae(value: float) -> None:
    keys = {"arm": "forward", "sae_layer": 2, "act_layer": 2, "seed": [0, 1], "tokens": 64}
    scores = pd.DataFrame({**keys, "mse": [1.0, 2.0], "ce_spliced": [3.0, 4.0], "explained_variance": np.nan})
    check_finite(scores)  # a layer that does not vary has no variance to explain
    with pytest.raises(ValueError, match=rf"forward L2 seed 1 at 64 tokens.* has ce_spliced={value} .*'float32'"):
        check_finite(scores.assign(ce_spliced=[3.0, value]))


def test_what_versions_scored_unlike_rows_is_said() -> None:
    versions = [json.dumps({"torch": torch, "numpy": "2"}) for torch in ("2.1", "2.2")]
    rows = pd.DataFrame({"eval_sha256": "a", "ce_clean": [1.0, 2.0], "versions": versions})
    with pytest.raises(ValueError, match=r"machines \(torch 2\.1, 2\.2\): .* trained by several .* another run"):
        check_paired(rows)
    with pytest.raises(ValueError, match=r"other versions or on other machines: clean losses differ by 1 nats"):
        check_paired(rows.assign(versions=["nope", "[]"]))


@pytest.mark.parametrize("name", ["sae_sha256", "act_layer", "mse"])
def test_rows_of_an_evaluation_without_their_columns_are_refused(name: str) -> None:
    scores = pd.DataFrame({"sae_sha256": ["a"], "act_layer": [1], "mse": [1.0]})
    check_rows(Results(scores, scores.assign(row=0)))
    with pytest.raises(ValueError, match=rf"evaluation\.parquet has no column {name}, and .*evaluate again"):
        check_rows(Results(scores.drop(columns=name), scores.assign(row=0)))


DIVERGED = {"arm": "scratch", "sae_layer": 0, "act_layer": [0, 1], "seed": 0, "tokens": 64}


def test_an_sae_that_diverged_has_no_scores_and_no_rows() -> None:
    both = {"sae_sha256": [None, "s"], "mse": [np.nan, 4.0], "ce_clean": [np.nan, 1.0], "diverged_at_step": [7, None]}
    scores = table_of(pd.DataFrame({**DIVERGED, **both, "eval_sha256": "a"}).to_dict("records"))
    assert str(scores["diverged_at_step"].dtype) == "Int64"
    check_finite(scores)
    check_paired(scores)
    check_rows(Results(scores, ROWS[2:4]))
    with pytest.raises(
        ValueError, match=r"scratch L0 seed 0 at 64 tokens.* has mse=1\.0 though it had diverged at step 7"
    ):
        check_finite(scores.assign(mse=[1.0, 4.0]))
    with pytest.raises(ValueError, match="has mse=nan on the held-out rows"):
        check_finite(scores.assign(mse=np.nan))
    with pytest.raises(ValueError, match="mse differs"):
        check_rows(Results(scores.assign(diverged_at_step=pd.array([None, None], "Int64")), ROWS[2:4]))
