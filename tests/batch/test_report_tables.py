"""Verdicts with their signs, and savings layer by layer."""

import pandas as pd

from saelib.batch.report_tables import by_layer_table, gains_table, with_verdicts


def test_verdicts_have_signs_and_what_is_none_was_not_tested() -> None:
    table = pd.DataFrame({"claim": list("abcd"), "agrees": ["yes", "no", "-", "not tested: too small"]})
    assert with_verdicts(table)["agrees"].tolist() == ["✓ yes", "✗ no", "– not tested", "– not tested: too small"]
    assert table["agrees"][0] == "yes"  # the caller's is left alone


def test_savings_by_layer_by_hand() -> None:
    rows = [("forward", 1, 1, "loss", 0.5, 5), ("forward", 1, 2, "loss", 0.25, 4), ("backward", 1, 1, "loss", -0.5, 0),
            ("forward", 1, 1, "joint", 0.9, 5), ("forward_2", 2, 2, "loss", 0.9, 5)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "distance", "act_layer", "target", "mean", "arrived"])
    table = table.assign(low=table["mean"] - 0.1, high=table["mean"] + 0.1, count=5)
    shown = by_layer_table(table, "loss")
    assert [*shown] == ["layer", "forward: copy", "backward: copy"]
    assert shown.to_numpy().tolist() == [
        [1, "50% (40% to 60%)", "-50% (-60% to -40%), 0 of 5 arrive"],
        [2, "25% (15% to 35%), 4 of 5 arrive", "-"],
    ]


def test_gains_by_hand() -> None:
    rows = [("forward", 1, "l0", 4.0), ("backward", 1, "l0", 5.0), ("forward", 1, "mse", -100.0),
            ("backward", 1, "mse", -200.0), ("forward_2", 2, "l0", 9.0)]  # fmt: skip
    table = pd.DataFrame(rows, columns=["arm", "distance", "metric", "mean"])
    shown = gains_table(table.assign(low=table["mean"] - 1, high=table["mean"] + 1, count=5))
    assert [*shown] == [
        "transfer minus scratch",
        "L0 (active features per token)",
        "squared error (summed over d_model)",
    ]
    assert shown.to_numpy().tolist() == [
        ["forward: copy", "4.0 (3.0 to 5.0)", "-100.0 (-101.0 to -99.0)"],
        ["backward: copy", "5.0 (4.0 to 6.0)", "-200.0 (-201.0 to -199.0)"],
    ]
