"""The published numbers: their form, what the paper says of them, and the authors' files where they are at hand."""

import math

import numpy as np
import pandas as pd
import pytest

from saelib.run.files import PROJECT
from saelib.transfer.convergence import final_table, normalised_scores, zero_shot_matrix
from saelib.transfer.curves import matched
from saelib.transfer.published import METRICS, published_angular_distance, published_evaluation, published_results

TIDY = PROJECT.parent / "shared" / "published"  # the tidied result files of the authors; not part of the project
needs_tidy = pytest.mark.skipif(not TIDY.is_dir(), reason=f"{TIDY} is not on this machine")


def test_has_the_form_of_an_evaluation_table() -> None:
    table = published_evaluation()
    counts = table["arm"].value_counts().to_dict()
    assert counts == {"zero_shot": 132, "forward": 66, "backward": 66, "scratch": 12}
    assert table[list(METRICS)].notna().all().all()
    moved = table[table["arm"].isin(["forward", "backward"])]
    assert (moved["sae_layer"] == moved["act_layer"]).all()
    assert set(moved["source_layer"] - moved["act_layer"]) == {-1, 1}
    assert table.loc[table["arm"] == "scratch", "source_layer"].isna().all()
    assert published_results().rows is None and published_results().evaluation.equals(table)
    assert not table.duplicated(["arm", "source_layer", "act_layer", "tokens"]).any()


def test_a_transfer_starts_as_its_untrained_source() -> None:
    table = published_evaluation()
    for way in ("forward", "backward"):
        pair = matched(table, way, "zero_shot")
        start, zero = (
            table.iloc[places.ravel()] for places in (pair.arm.places[..., 0], pair.reference.places[..., 0])
        )
        assert (start["tokens"] == 0).all()
        assert (
            start[["source_layer", *METRICS]].to_numpy().tolist()
            == zero[["source_layer", *METRICS]].to_numpy().tolist()
        )


def test_says_what_the_paper_is_known_to_say() -> None:
    table, ends = published_evaluation(), final_table(published_results(), ["ce_score"]).set_index(["direction", "arm"])
    for way, scratch, transfer, zero_shot, won in (("forward", 0.9599, 0.9590, 0.7467, 1),
                                                   ("backward", 0.9621, 0.9620, 0.9090, 6)):  # fmt: skip
        assert ends.loc[(way, "scratch"), "mean"] == pytest.approx(scratch, abs=5e-5)
        assert ends.loc[(way, way), "mean"] == pytest.approx(transfer, abs=5e-5)
        start = table[(table["arm"] == way) & (table["tokens"] == 0)]
        assert start["ce_score"].mean() == pytest.approx(zero_shot, abs=5e-5)
        assert above_scratch(table, way, "ce_score") == won
    assert above_scratch(table, "backward", "l0") == 10


def test_angular_distances_are_distances() -> None:
    matrix = published_angular_distance()
    assert matrix.shape == (12, 12)
    assert (matrix == matrix.T).all() and (np.diag(matrix) == 0).all()
    assert (matrix[~np.eye(12, dtype=bool)] > 0).all()


def above_scratch(table: pd.DataFrame, way: str, metric: str) -> int:
    """At how many layers the transfer ends above the scratch SAE."""
    ends = [table.iloc[end.last.places.ravel()][metric].to_numpy() for end in matched(table, way)]
    return int((ends[0] > ends[1]).sum())


@needs_tidy
def test_every_score_is_the_authors() -> None:
    names = {"scratch": "no_transfer", "forward": "forward", "backward": "backward"}
    theirs = pd.read_csv(TIDY / "reconstruction_per_layer.csv")
    theirs = theirs.pivot_table("value", ["method", "checkpoint_tokens", "layer"], "metric")
    crossed = pd.read_csv(TIDY / "cross_layer_matrix.csv").pivot_table("value", ["sae_layer", "layer"], "metric")
    for row in published_evaluation().to_dict("records"):
        if row["tokens"] == 0:
            wanted = crossed.loc[(row["source_layer"], row["act_layer"])]
        else:
            wanted = theirs.loc[(names[row["arm"]], row["tokens"], row["act_layer"])]
        for metric in METRICS:
            assert row[metric] == wanted[metric.replace("ce_score", "ce_loss_score")], row


@needs_tidy
def test_normalised_scores_and_matrices_are_the_authors() -> None:
    theirs = pd.read_csv(TIDY / "normalised_ce_score.csv")
    theirs = theirs[theirs["layer"] != "mean"].astype({"layer": int})
    theirs = theirs.set_index(["method", "layer", "checkpoint_tokens"])["value"]
    for row in normalised_scores(published_evaluation()).query("tokens > 0").to_dict("records"):
        wanted = theirs[(row["arm"], row["act_layer"], row["tokens"])]
        rounding = 5e-4 + 2e-4 / abs(row["span"])  # four digits of theirs, and of the scores that ours come from
        assert math.isclose(row["normalised"], wanted, abs_tol=rounding), row
    distances = pd.read_csv(TIDY / "angular_distance.csv").pivot_table("value", "layer", "other_layer").to_numpy()
    assert np.array_equal(published_angular_distance(), distances)
    assert zero_shot_matrix(published_evaluation()).shape == (12, 12)


@needs_tidy
def test_averages_are_the_authors() -> None:
    table = published_evaluation()
    averages = pd.read_csv(TIDY / "averages.csv")
    for row in averages[averages["method"].isin(["forward", "backward"])].to_dict("records"):
        metric = row["metric"].removeprefix("mean_").replace("ce_loss_score", "ce_score")
        chosen = table[(table["arm"] == row["method"]) & (table["tokens"] == row["checkpoint_tokens"])]
        assert chosen[metric].mean() == pytest.approx(row["value"], rel=1e-3), row
