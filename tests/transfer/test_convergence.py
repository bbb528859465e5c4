"""Derived quantities against cases worked by hand."""

import math

import pytest

from saelib.transfer.convergence import (
    equal_token_gains,
    first_crossing,
    layer_matched,
    normalised_scores,
    savings,
    tokens_to_target,
    zero_shot_matrix,
)
from tests.helpers.transfer_tables import two_layer_run


@pytest.mark.parametrize(
    ("values", "target", "direction", "expected"),
    [
        ([0.0, 0.5, 1.0], 0.75, "rises", 15.0),
        ([0.0, 0.5, 1.0], 0.5, "rises", 10.0),
        ([1.0, 0.5, 0.0], 0.25, "falls", 15.0),
        ([0.9, 0.5, 1.0], 0.8, "rises", 0.0),
        ([0.0, 0.1, 0.2], 0.3, "rises", math.inf),
        ([0.0, 0.8, 0.4], 0.6, "rises", 7.5),
    ],
)
def test_first_crossing(values, target, direction, expected):
    assert first_crossing([0, 10, 20], values, target, direction) == pytest.approx(expected)


def test_directions_are_compared_at_their_own_layers():
    matched = layer_matched(two_layer_run())
    assert set(matched.loc[matched["direction"] == "forward", "act_layer"]) == {1}
    assert set(matched.loc[matched["direction"] == "backward", "act_layer"]) == {0}
    assert set(matched["arm"]) == {"forward", "backward", "scratch", "control"}


def test_tokens_to_target_and_saving():
    table = tokens_to_target(two_layer_run()).set_index(["direction", "arm", "seed"])
    forward = table.loc["forward", "forward", 0]
    assert (forward["tokens_needed"], forward["scratch_tokens_needed"], forward["saving"]) == (
        20,
        100,
        pytest.approx(0.8),
    )
    backward = table.loc["backward", "backward", 0]
    assert (backward["reached"], backward["saving"]) == (False, 0.0)
    assert math.isinf(backward["tokens_needed"])


def test_savings_leave_scratch_out_and_tell_who_arrived():
    table = savings(two_layer_run()).set_index(["target", "arm", "direction"])
    assert table.loc[("ce_score", "forward", "forward"), "mean"] == pytest.approx(0.8)
    assert table.loc[("ce_score", "backward", "backward"), "share_reached"] == 0
    assert table.loc[("loss", "control", "forward"), "mean"] == 0
    assert "scratch" not in table.index.get_level_values("arm")


def test_normalised_scores_by_hand():
    scores = normalised_scores(two_layer_run()).set_index(["arm", "tokens", "seed"])["normalised"]
    assert scores["forward", 0, 0] == pytest.approx(0)
    assert scores["forward", 20, 0] == pytest.approx(1)
    assert scores["forward", 40, 1] == pytest.approx(0.25 / 0.2)
    assert scores["backward", 40, 0] == pytest.approx(0.5)


def test_equal_token_gain_is_transfer_minus_control():
    gains = equal_token_gains(two_layer_run(), ["ce_score"]).set_index(["direction", "tokens"])["mean"]
    assert gains["forward", 40] == pytest.approx(0.95 - 0.6)
    assert gains["backward", 20] == pytest.approx(0.75 - 0.4)


def test_zero_shot_matrix_has_scratch_on_its_diagonal():
    matrix = zero_shot_matrix(two_layer_run())
    assert matrix.loc[0, 0] == matrix.loc[1, 1] == pytest.approx(0.9)
    assert matrix.loc[0, 1] == matrix.loc[1, 0] == pytest.approx(0.7)
