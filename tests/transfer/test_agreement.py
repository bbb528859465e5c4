"""The paper beside a run: verdicts, and what the paper says of itself."""

import numpy as np
import pandas as pd

from saelib.results.intervals import Interval
from saelib.transfer.agreement import CLAIMS, agreement_table, readable, recovered, unmatched_baseline, verdict
from saelib.transfer.published import published_evaluation
from tests.helpers.transfer_tables import synthetic_evaluation


def test_verdicts() -> None:
    assert verdict("sign", 0.1, Interval(0.2, 0.1, 0.3, 3)) == "yes"
    assert verdict("sign", 0.1, Interval(-0.2, -0.3, -0.1, 3)) == "no"
    assert verdict("sign", 0.1, Interval(0.2, -0.1, 0.5, 3)) == "open"
    assert verdict("half", 0.1, Interval(0.2, float("nan"), float("nan"), 1)) == "yes"


def test_the_paper_agrees_with_itself() -> None:
    table = agreement_table(published_evaluation(), published_evaluation())
    assert (table["agrees"] == "yes").all()
    assert np.allclose(table["paper"], table["mean"])


def test_every_claim_is_decided_for_a_run_and_can_be_read() -> None:
    table = agreement_table(published_evaluation(), synthetic_evaluation())
    assert table["claim"].tolist() == [claim.text for claim in CLAIMS]
    assert set(table["count"]) == {3}
    shown = readable(table)
    assert list(shown) == ["claim", "paper", "this run", "agrees when on the", "agrees"]
    assert len(shown) == len(CLAIMS) and set(shown["agrees"]) <= {"yes", "no", "open"}
    assert shown["this run"].str.contains(r"\(.* to .*\)").all()


def test_the_recovered_share_by_hand() -> None:
    row = {"seed": 0, "source_tokens": 100}
    table = pd.DataFrame([
        {"arm": "scratch", "source_layer": None, "act_layer": 1, "tokens": 100, "ce_score": 0.9} | row,
        {"arm": "zero_shot", "source_layer": 0, "act_layer": 1, "tokens": 0, "ce_score": 0.5} | row,
        {"arm": "forward", "source_layer": 0, "act_layer": 1, "tokens": 10, "ce_score": 0.7} | row,
        {"arm": "forward", "source_layer": 0, "act_layer": 1, "tokens": 50, "ce_score": 0.8} | row,
        {"arm": "control", "source_layer": None, "act_layer": 1, "tokens": 50, "ce_score": 0.6} | row,
    ])  # fmt: skip
    assert np.isclose(recovered(table, "forward"), 0.75)
    assert np.isclose(recovered(table, "forward", early=True), 0.5)


def test_unmatched_baseline_is_the_papers_dashed_line() -> None:
    table = unmatched_baseline(published_evaluation())
    assert table["scratch"].round(4).tolist() == [0.9607, 0.9599, 0.9621]
    assert table["transfer"].round(4).tolist()[1:] == [0.9590, 0.9620]
