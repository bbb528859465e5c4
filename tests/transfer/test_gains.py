"""What transfers are ahead by, against loops and by hand."""

import numpy as np
import pytest

from saelib.transfer.gains import GAIN_COLUMNS, dominance, equal_token_gains, final_changes
from saelib.transfer.published import published_results
from saelib.transfer.tables import Results
from tests.helpers.made_runs import made_results
from tests.helpers.plain_savings import plain_changes

METRICS = ["ce_score", "ce_increase", "l0", "loss"]


@pytest.fixture(scope="module")
def results() -> Results:
    return made_results(["forward", "backward_affine"], layers=3, replicates=2, budgets=(0, 10, 20), rows=4)


def test_ends_are_those_of_plain_loops_over_rows(results: Results) -> None:
    found = final_changes(results, METRICS, resamples=30).set_index(["arm", "metric"])["mean"].to_dict()
    assert results.rows is not None
    assert found == pytest.approx(plain_changes(results.evaluation, results.rows), rel=1e-4, abs=1e-6)


def test_each_sae_is_compared_with_scratch_of_its_layer_and_replicate(results: Results) -> None:
    table = equal_token_gains(results, METRICS, resamples=30)
    assert list(table) == list(GAIN_COLUMNS)
    assert set(table["reference"]) == {"scratch"} and set(table["tokens"]) == {0, 10, 20}
    of = results.evaluation.set_index(["arm", "act_layer", "seed", "tokens"])["l0"]
    expected = [of["forward", layer, seed, 10] - of["scratch", layer, seed, 10] for layer in (1, 2) for seed in (0, 1)]
    one = table.query("arm == 'forward' and tokens == 10 and metric == 'l0'")
    assert one["mean"].item() == pytest.approx(np.mean(expected))


def test_a_control_takes_the_place_of_scratch(results: Results) -> None:
    evaluation = results.evaluation.replace({"arm": {"scratch": "control"}})
    evaluation = evaluation[(evaluation["arm"] != "control") | (evaluation["tokens"] < 20)]
    table = equal_token_gains(Results(evaluation, None), ["l0"], resamples=30)
    assert set(table["reference"]) == {"control"} and set(table["tokens"]) == {0, 10}


def test_the_paper_has_no_budget_in_common() -> None:
    table = equal_token_gains(published_results(), ["ce_score"])
    assert table.empty and list(table) == list(GAIN_COLUMNS)


def test_who_is_better_in_both_is_counted_sae_by_sae(results: Results) -> None:
    evaluation = results.evaluation.assign(ce_score=0.5, l0=10.0)
    forward = (evaluation["arm"] == "forward") & (evaluation["tokens"] == 20)
    of = {"ce_score": [0.6, 0.6, 0.4, 0.5], "l0": [9.0, 11.0, 12.0, 10.0]}  # better, a trade, worse, level in both
    places = evaluation[forward].sort_values(["act_layer", "seed"]).index
    for name, values in of.items():
        evaluation.loc[places, name] = values
    table = dominance(Results(evaluation, None)).query("arm == 'forward'").set_index("tokens")
    assert table.loc[20, ["saes", "better", "worse"]].to_list() == [4, 2, 1]
    assert table.loc[10, ["saes", "better", "worse"]].to_list() == [4, 4, 0]
