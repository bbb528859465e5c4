"""What the paper's other analyses gave: their form, what the paper says of them, and the authors' files."""

from collections.abc import Callable

import pandas as pd
import pytest

from saelib.run.files import PROJECT
from saelib.transfer.published import (
    published_attribution,
    published_faithfulness,
    published_feature_transfer,
    published_mmcs,
)

TIDY = PROJECT.parent / "shared" / "published"  # the tidied result files of the authors; not part of the project
needs_tidy = pytest.mark.skipif(not TIDY.is_dir(), reason=f"{TIDY} is not on this machine")
NAMES = {"scratch": "no_transfer", "forward": "forward", "backward": "backward"}
TASKS = {"ioi": "ioi", "greater_than": "greater_than", "agreement": "subject_verb"}


@pytest.mark.parametrize(
    ("read", "rows", "keys"),
    [
        (published_mmcs, 20, ["arm", "act_layer"]),
        (published_feature_transfer, 20, ["arm", "source_layer"]),
        (published_attribution, 160, ["arm", "tokens", "act_layer"]),
        (published_faithfulness, 264, ["measure", "arm", "tokens", "task", "k"]),
    ],
)
def test_every_row_is_there_once_and_whole(read: Callable[[], pd.DataFrame], rows: int, keys: list[str]) -> None:
    table = read()
    assert len(table) == rows and table.notna().all().all()
    assert not table.duplicated(keys).any()


def test_transfers_are_less_like_scratch_the_deeper_they_are() -> None:
    means = published_mmcs().groupby("arm")["mmcs"].mean()
    assert means.to_dict() == pytest.approx({"forward": 0.8115, "backward": 0.7946}, abs=5e-5)
    forward = published_mmcs().query("arm == 'forward'").sort_values("act_layer")["mmcs"]
    assert forward.is_monotonic_decreasing


def test_a_third_of_the_tokens_is_shared_at_the_same_index() -> None:
    table = published_feature_transfer()
    assert table.groupby("arm")["share"].mean().to_dict() == pytest.approx({"forward": 0.3031, "backward": 0.2878},
                                                                           abs=5e-5)  # fmt: skip
    assert set(table.loc[table["arm"] == "forward", "act_layer"]) == set(range(2, 12))
    assert set(table.loc[table["arm"] == "backward", "act_layer"]) == set(range(10))
    parts = table[["shared_top", "shared_bottom", "shared_maximal"]].sum(axis="columns") / 30
    assert parts.to_numpy() == pytest.approx(table["share"].to_numpy(), abs=2e-4)  # four digits each


def test_attribution_has_a_scratch_series_at_equal_tokens() -> None:
    means = published_attribution().groupby(["arm", "tokens"])["attribution"].mean()
    assert means["scratch", 1_000_000_000] == pytest.approx(0.6335, abs=1e-4)
    assert means["scratch", 100_003_840] == pytest.approx(0.5222, abs=1e-4)
    assert {arm: len(means[arm]) for arm in NAMES} == {"scratch": 6, "forward": 5, "backward": 5}


def test_shares_of_features_are_those_that_the_paper_names() -> None:
    table = published_faithfulness()
    shares = {measure: sorted(set(rows["share"].round(4))) for measure, rows in table.groupby("measure")}
    assert shares == {"faithfulness": [0.02, 0.04, 0.0599, 0.0801], "completeness": [0.0007, 0.0059, 0.0111, 0.0163]}


@needs_tidy
def test_every_similarity_is_the_tidied_one() -> None:
    theirs = pd.read_csv(TIDY / "mmcs.csv").set_index(["method", "checkpoint_tokens", "layer"])
    for row in published_mmcs().to_dict("records"):
        wanted = theirs.loc[(row["arm"], row["tokens"], row["act_layer"])]
        assert (row["mmcs"], row["uncertainty"]) == (wanted["value"], wanted["uncertainty"])


@needs_tidy
def test_every_shared_token_is_the_authors() -> None:
    theirs = pd.read_csv(TIDY / "feature_transfer.csv", dtype={"layer": str})
    theirs = theirs.pivot_table("value", ["method", "layer"], "metric")
    names = {"shared_top": "shared_top_logits_of_10", "shared_bottom": "shared_bottom_logits_of_10",
             "shared_maximal": "shared_max_toks_of_10"}  # fmt: skip
    for row in published_feature_transfer().to_dict("records"):
        wanted = theirs.loc[(row["arm"], str(row["source_layer"]))]
        assert [row[name] for name in names] == [wanted[name] for name in names.values()]
        assert row["share"] == pytest.approx(wanted["shared_tokens_percent"] / 100)


@needs_tidy
def test_every_attribution_is_the_authors() -> None:
    theirs = pd.read_csv(TIDY / "dla.csv", dtype={"layer": str})
    theirs = theirs.set_index(["method", "checkpoint_tokens", "layer"])["value"]
    for row in published_attribution().to_dict("records"):
        assert row["attribution"] == theirs[NAMES[row["arm"]], row["tokens"], str(row["act_layer"])]
    means = published_attribution().groupby(["arm", "tokens"])["attribution"].mean()
    for (arm, tokens), mean in means.items():
        assert mean == pytest.approx(theirs[NAMES[arm], tokens, "mean 1-10"], rel=3e-4)


@needs_tidy
def test_every_faithfulness_is_the_authors() -> None:
    theirs = pd.read_csv(TIDY / "faithfulness_completeness_averages.csv")
    theirs = theirs[theirs["agg"] == "mean over layers"].astype({"checkpoint_tokens": int, "k": int})
    theirs = theirs.set_index(["metric", "method", "checkpoint_tokens", "task", "k"])["value"]
    for row in published_faithfulness().to_dict("records"):
        assert row["value"] == theirs[row["measure"], NAMES[row["arm"]], row["tokens"], TASKS[row["task"]], row["k"]]
