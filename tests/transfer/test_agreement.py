"""The paper beside a run: verdicts, and what the paper says of itself."""

import math

import numpy as np
import pandas as pd
import pytest

from saelib.results.intervals import Interval
from saelib.transfer.agreement import agreement_table, readable, unmatched_baseline, verdict
from saelib.transfer.claims import (
    change,
    claims_of,
    depth_correlation,
    nearest_budget,
    recovered,
    share_level,
    share_won,
    zero_shot_lead,
)
from saelib.transfer.curves import curve
from saelib.transfer.published import published_evaluation, published_results
from saelib.transfer.samples import whole
from saelib.transfer.tables import Results
from tests.helpers.made_runs import made_results

FEW = {"resamples": 50}


def value(claim, evaluation: pd.DataFrame, *arguments: object) -> float:
    return float(claim(evaluation, *arguments)(whole(Results(evaluation, None))))


def test_verdicts() -> None:
    assert verdict("sign", 0.1, Interval(0.2, 0.1, 0.3, 3)) == "yes"
    assert verdict("sign", 0.1, Interval(-0.2, -0.3, -0.1, 3)) == "no"
    assert verdict("sign", 0.1, Interval(0.2, -0.1, 0.5, 3)) == "open"
    assert verdict("sign", -0.04, Interval(0.2, 0.1, 0.2, 3)) == "open", "one seed of the paper could be on either side"
    assert verdict("sign", -0.06, Interval(0.2, 0.1, 0.2, 3)) == "no"
    assert verdict("half", 0.1, Interval(0.2, math.nan, math.nan, 1)) == "yes"
    assert verdict("nine tenths", 0.95, Interval(0.92, 0.9, 0.95, 3)) == "open"
    assert verdict("sign", -0.1, Interval(math.nan, math.nan, math.nan, 3)) == "open", "no number decides nothing"
    assert verdict("sign", math.nan, Interval(-0.2, -0.3, -0.1, 3)) == "open"


def test_the_paper_agrees_with_itself_without_an_interval() -> None:
    table = agreement_table(published_results(), published_results())
    assert (table["agrees"] == "yes").all()
    assert np.allclose(table["paper"], table["mean"])
    assert table[["low", "high"]].isna().to_numpy().all() and set(table["count"]) == {1}


def test_every_claim_is_decided_for_a_run_and_can_be_read() -> None:
    arms, budgets = ["forward", "backward", "forward_affine"], (0, 8, 13, 50, 100)
    results = made_results(arms, layers=4, replicates=2, budgets=budgets, rows=3)
    table = agreement_table(published_results(), results, **FEW)
    assert len(table) == len(claims_of(["forward", "backward"])) and not table["claim"].duplicated().any()
    assert ((table["low"] <= table["high"]) & table["mean"].notna()).all()
    shares = table[table["percent"] & table["claim"].str.contains("share of SAEs")]
    assert len(shares) == 6
    assert shares[["low", "high"]].to_numpy().min() >= 0 and shares[["low", "high"]].to_numpy().max() <= 1
    assert table["claim"].str.contains(r"after 10% \(paper\) and 8% \(this run\) of the source's tokens").sum() == 2
    assert table["claim"].str.contains(r"within 50% of").sum() == 4
    assert table["claim"].str.contains(r"after 50% of").sum() == 10
    shown = readable(table)
    assert list(shown) == ["claim", "paper", "this run", "agrees when on the", "agrees"]
    assert set(shown["agrees"]) <= {"yes", "no", "open"}
    assert shown["this run"].str.contains(r"\(.* to .*\)").all()
    assert not shown["paper"].str.contains(" to ").any()


def test_claims_about_arms_that_a_run_lacks_are_left_out() -> None:
    results = made_results(["backward", "forward_affine"], layers=3, replicates=1, budgets=(0, 10), rows=2)
    table = agreement_table(published_results(), results, **FEW)
    assert not table["claim"].str.contains("forward:|Untrained").any()
    assert table["claim"].str.startswith("backward:").sum() == len(table) - 1


def test_a_run_without_copies_has_what_is_said_of_scratch() -> None:
    results = made_results(["forward_affine", "backward_affine"], layers=3, replicates=2, budgets=(0, 10), rows=2)
    assert agreement_table(published_results(), results, **FEW)["claim"].str.startswith("Scratch").tolist() == [True]
    assert unmatched_baseline(results.evaluation)["layers"].tolist() == ["all (the paper's dashed line)"]


def test_two_layers_have_no_layer_with_both_neighbours() -> None:
    results = made_results(["forward", "backward"], layers=2, replicates=2, budgets=(0, 10), rows=2)
    claims = agreement_table(published_results(), results, **FEW)["claim"]
    assert not claims.str.startswith("Untrained").any()
    assert len(claims) == len(claims_of(["forward", "backward"])) - 1


def test_the_lead_of_untrained_neighbours_is_over_layers_that_have_both() -> None:
    """0.162 is what the means of all eleven layers each say: they are other layers."""
    evaluation = published_evaluation()
    zero = evaluation[evaluation["arm"] == "zero_shot"].set_index(["sae_layer", "act_layer"])["ce_score"]
    equal = np.mean([zero[layer + 1, layer] - zero[layer - 1, layer] for layer in range(1, 11)])
    assert value(zero_shot_lead, evaluation) == pytest.approx(equal)
    assert equal == pytest.approx(0.062, abs=5e-4)


def small_evaluation() -> pd.DataFrame:
    row = {"seed": 0, "data_seed": 0, "source_tokens": 100, "l0": 10.0}
    rows = [("scratch", None, 1, 0, 0.1), ("scratch", None, 1, 100, 0.9), ("zero_shot", 0, 1, 0, 0.5),
            ("forward", 0, 1, 0, 0.5), ("forward", 0, 1, 10, 0.7), ("forward", 0, 1, 50, 0.8),
            ("forward", 0, 1, 100, 0.95)]  # fmt: skip
    columns = ["arm", "source_layer", "act_layer", "tokens", "ce_score"]
    return pd.DataFrame(rows, columns=columns).assign(**row)


def test_shares_by_hand() -> None:
    table = small_evaluation()
    assert value(recovered, table, "forward", 1.0) == pytest.approx(0.45 / 0.4)
    assert value(recovered, table, "forward") == pytest.approx(0.3 / 0.4)  # at half the source's tokens
    assert value(recovered, table, "forward", 0.1) == pytest.approx(0.5)
    assert nearest_budget(table, curve(table, "forward"), 0.1) == 10
    assert (value(share_won, table, "forward"), value(share_won, table, "forward", 1.0)) == (0, 1)
    assert value(change, table, "forward", "ce_score") == pytest.approx(-0.1)
    assert value(share_level, table, "forward", "ce_score", 0.5) == 0
    assert value(share_level, table, "forward", "ce_score", 1.0) == 1
    sparse = table.assign(l0=np.where(table["arm"] == "forward", 10.3, 10.0))
    assert value(share_level, sparse, "forward", "joint", 1.0) == 0


def test_what_the_paper_says_at_equal_sparsity() -> None:
    """Seven of eleven backward transfers are level in CE score within half the tokens; at equal L0 one is."""
    evaluation = published_evaluation()
    for way, target, share in (("forward", "ce_score", 1), ("forward", "joint", 1), ("backward", "ce_score", 7),
                               ("backward", "joint", 1)):  # fmt: skip
        assert value(share_level, evaluation, way, target, 0.5) == pytest.approx(share / 11)


def test_depth_is_correlated_as_pandas_has_it() -> None:
    evaluation = published_evaluation()
    scratch = evaluation[evaluation["arm"] == "scratch"].astype({"act_layer": int})
    expected = scratch["act_layer"].corr(scratch["ce_score"], method="spearman")
    assert value(depth_correlation, evaluation) == pytest.approx(expected)


def test_unmatched_baseline_is_the_papers_dashed_line() -> None:
    table = unmatched_baseline(published_evaluation())
    assert table["scratch"].round(4).tolist() == [0.9607, 0.9599, 0.9621]
    assert table["transfer"].round(4).tolist()[1:] == [0.9590, 0.9620]
