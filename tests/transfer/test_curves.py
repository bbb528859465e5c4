"""Arms are compared over the same layers and replicates, or not at all."""

import numpy as np
import pandas as pd
import pytest

from saelib.batch.first_page import transfer_table
from saelib.transfer.agreement import agreement_table, unmatched_baseline
from saelib.transfer.convergence import average_curves, final_table, normalised_scores
from saelib.transfer.curves import curve, equal_token_reference, matched
from saelib.transfer.gains import equal_token_gains, final_changes
from saelib.transfer.published import published_results
from saelib.transfer.savings import savings, savings_by_layer
from saelib.transfer.tables import Results
from tests.helpers.made_runs import made_results

FEW = {"resamples": 30}


@pytest.fixture(scope="module")
def evaluation() -> pd.DataFrame:
    return made_results(["forward", "backward", "forward_affine_2"], layers=4, replicates=2, budgets=(0, 10, 20),
                        rows=2).evaluation  # fmt: skip


def test_a_curve_is_an_array_of_places(evaluation) -> None:
    found = curve(evaluation, "forward")
    assert (found.layers, found.replicates, found.tokens.tolist()) == ((1, 2, 3), ((0, 100), (1, 101)), [0, 10, 20])
    one = evaluation.iloc[found.places[2, 1, 0]]
    assert (one["arm"], one["act_layer"], one["seed"], one["tokens"]) == ("forward", 3, 1, 0)
    assert found.at_layers([3]).last.places.shape == (1, 2, 1)


@pytest.mark.parametrize(
    ("arm", "reference", "layers"),
    [
        ("forward", "scratch", (1, 2, 3)),
        ("backward", "scratch", (0, 1, 2)),
        ("forward_affine_2", "scratch", (2, 3)),
        ("backward", "forward", (1, 2)),
        ("forward", "zero_shot", (1, 2, 3)),
    ],
)
def test_both_arms_have_the_same_layers_and_replicates(evaluation, arm, reference, layers) -> None:
    pair = matched(evaluation, arm, reference)
    for end in pair:
        assert end.layers == pair.layers == layers
        rows = evaluation.iloc[end.places.ravel()]
        assert rows["act_layer"].tolist() == np.repeat(layers, 2 * len(end.tokens)).tolist()
    assert pair.arm.replicates == pair.reference.replicates


def test_zero_shot_is_each_arms_own_source(evaluation) -> None:
    for arm, offset in (("forward", -1), ("backward", 1), ("forward_affine_2", -2)):
        rows = evaluation.iloc[matched(evaluation, arm, "zero_shot").reference.places.ravel()]
        assert (rows["sae_layer"] - rows["act_layer"] == offset).all()


@pytest.mark.parametrize(
    ("without", "message"),
    [
        ("arm == 'scratch' and act_layer == 2", r"layers \[2\], which scratch lacks"),
        ("arm == 'scratch' and act_layer == 2 and seed == 1", "not one for each"),
        ("arm == 'forward' and tokens == 10 and act_layer == 3", "not one for each"),
        ("arm == 'scratch'", "0 rows of the arm scratch"),
        ("arm == 'forward' and seed == 0", "not one for each"),
    ],
)
def test_what_does_not_compare_is_refused(evaluation, without, message) -> None:
    with pytest.raises(ValueError, match=message):
        matched(evaluation.drop(evaluation.query(without).index), "forward")


def test_arms_without_a_common_layer_are_refused() -> None:
    two = made_results(["forward", "backward"], layers=2, replicates=1, budgets=(0, 1), rows=1).evaluation
    with pytest.raises(ValueError, match="none in common"):
        matched(two, "forward", "backward")


def test_the_control_is_the_reference_where_there_is_one(evaluation) -> None:
    control = evaluation[evaluation["arm"] == "scratch"].assign(arm="control")
    assert equal_token_reference(evaluation) == "scratch"
    assert equal_token_reference(pd.concat([evaluation, control])) == "control"


def test_a_layer_that_an_arm_lacks_is_in_no_number_of_it() -> None:
    """The test that fails where two arms are compared over different layers, whoever compares them."""
    results = made_results(["forward", "backward"], layers=4, replicates=2, budgets=(0, 8, 16), rows=3)
    spoilt = results.evaluation.copy()
    first = (spoilt["arm"] == "scratch") & (spoilt["act_layer"] == 0)  # forward has no layer 0
    readings = set(spoilt.loc[first, "sae_sha256"])
    assert results.rows is not None
    rows = results.rows.copy()
    for table, chosen in ((spoilt, first), (rows, rows["sae_sha256"].isin(readings))):
        for name in {"ce_spliced", "mse", "l0", "l1", "loss", "ce_score", "ce_increase"} & set(table):
            table.loc[chosen, name] = table.loc[chosen, name] * 3 + 7
    changed = Results(spoilt, rows)

    def numbers(of: Results) -> dict[str, pd.DataFrame]:
        metrics = ["ce_score", "ce_increase", "l0", "loss_ratio"]
        page = transfer_table(of, resamples=FEW["resamples"])
        tables = {
            "curves": average_curves(of, metrics, **FEW), "ends": final_table(of, metrics, **FEW),
            "gains": equal_token_gains(of, metrics, **FEW), "changes": final_changes(of, metrics, **FEW),
            "savings": savings(of, **FEW), "by layer": savings_by_layer(of, **FEW),
        }  # fmt: skip
        found = {name: table.query("direction == 'forward'") for name, table in tables.items()}
        found["normalised"] = normalised_scores(of.evaluation).query("arm == 'forward'")
        found["page"] = page[[column for column in page if not column.startswith("backward")]]
        claims = agreement_table(published_results(), of, **FEW)
        found["claims"] = claims[claims["claim"].str.startswith(("forward", "Untrained"))]
        found["baseline"] = unmatched_baseline(of.evaluation).query("layers == 'those of forward'")
        return found

    before, after = numbers(results), numbers(changed)
    for name in before:
        assert len(before[name])
        pd.testing.assert_frame_equal(before[name], after[name], obj=name)
    everywhere = [unmatched_baseline(each.evaluation)["scratch"][0] for each in (results, changed)]
    assert everywhere[0] != everywhere[1]  # the change was no small one
