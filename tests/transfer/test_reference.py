"""The plain savings, by hand; that the library's agree with them is tested where these are made."""

import pandas as pd
import pytest

from saelib.transfer.reference import plain_savings, plain_scores_by_sae

CURVES = {  # tokens: (objective, CE-loss score, L0)
    "scratch": {0: (100.0, 0.0, 90.0), 100: (20.0, 0.8, 60.0), 400: (10.0, 0.9, 50.0)},
    "forward": {0: (30.0, 0.7, 80.0), 100: (12.0, 0.92, 60.0), 400: (8.0, 0.95, 50.5)},
    "backward": {0: (30.0, 0.7, 80.0), 100: (20.0, 0.8, 60.0), 400: (15.0, 0.85, 50.0)},
}


def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """An SAE of each arm at one layer; two held-out rows, one a little above and one as much below the mean."""
    evaluation, rows = [], []
    for arm, curve in CURVES.items():
        for tokens, (loss, score, l0) in curve.items():
            name = f"{arm}-{tokens}"
            evaluation.append({"arm": arm, "act_layer": 1, "seed": 0, "data_seed": 0, "tokens": tokens,
                               "sae_sha256": name, "loss": loss, "mse": loss - 2 * 1.5, "l1": 1.5})  # fmt: skip
            for side in (-1, 1):
                rows.append({"sae_sha256": name, "act_layer": 1, "ce_clean": 3 + side, "ce_zero": 8 + side,
                             "ce_spliced": 8 - 5 * score + side, "mse": loss - 3 + side, "l0": l0 + side,
                             "l1": 1.5})  # fmt: skip
    return pd.DataFrame(evaluation), pd.DataFrame(rows)


def test_scores_are_those_of_the_means_over_rows() -> None:
    scores = plain_scores_by_sae(*tables())
    for arm, curve in CURVES.items():
        for tokens, wanted in curve.items():
            score = scores[arm, 1, 0, 0, tokens]
            assert (score["loss"], score["ce_score"], score["l0"]) == pytest.approx(wanted)
            assert score["ce_increase"] == pytest.approx(5 - 5 * wanted[1])


def test_savings_by_hand() -> None:
    plain = plain_savings(*tables())
    found = {key: [one.saving for one in saes] for key, saes in plain.items()}
    # From 12 to 8 at 100 to 400 tokens, level at 10: half the way in the logarithm, 200 of 400 tokens.
    assert found["forward", "loss"] == pytest.approx([0.5])
    assert found["forward", "ce_score"] == pytest.approx([0.75])  # first seen at 100 tokens, nothing known before
    # L0 from 60 to 50.5, wanted 51: 18 of 19 parts of the way.
    assert found["forward", "joint"] == pytest.approx([1 - 100 * 4 ** (9 / 9.5) / 400])
    for target in ("loss", "joint", "ce_score"):
        assert found["backward", target] == pytest.approx([0.0])  # never level: the budget is spent
        assert not plain["backward", target][0].arrived
    assert plain["forward", "joint"][0].l0_ratio == pytest.approx(51 / 50)
    assert plain["forward", "loss"][0].l0_ratio == pytest.approx((60 + 50.5) / 2 / 50)
