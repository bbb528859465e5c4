"""When a curve is level: crossings worked by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from saelib.transfer.curves import matched
from saelib.transfer.samples import whole
from saelib.transfer.tables import Results
from saelib.transfer.targets import JOINT_L0_FACTOR, arrival, crossing, possible_targets

TOKENS = np.array([0, 100, 200, 400])


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ([[-3.0, -1, 1, 2]], 100 * 2**0.5),  # half-way in the logarithm
        ([[-3.0, -1, 3, 2]], 100 * 2**0.25),
        ([[-3.0, -1, 0, 2]], 200),  # exactly level at a budget
        ([[0.0, -1, -1, 2]], 0),  # level at the start, whatever comes later
        ([[-1.0, 1, -1, 2]], 100),  # between the start and the first budget nothing is known
        ([[-3.0, -2, -1, -0.5]], math.inf),
        ([[-3.0, -1, 1, 2], [5.0, 5, 5, 5]], 100 * 2**0.5),  # the second holds all the time
        ([[-3.0, -1, 1, 2], [-1.0, -3, 1, 1]], 100 * 2**0.75),  # the later of both
        ([[-3.0, -1, 1, 2], [1.0, 1, -1, 1]], 200 * 2**0.5),  # never at once before the last interval
        ([[-3.0, 1, -1, -1], [-1.0, -1, 1, 1]], math.inf),
    ],
)
def test_the_first_crossing(gaps, expected):
    found = crossing(TOKENS, np.array(gaps))
    assert found.tokens == pytest.approx(expected)
    assert found.arrived == math.isfinite(expected)


def test_other_scores_are_read_at_the_crossing():
    found = crossing(TOKENS, np.array([[[-3.0, -1, 3, 2], [-1.0, -1, -1, -1]]]))
    read = found.read(np.array([[9.0, 8, 4, 1], [9.0, 8, 4, 1]]))
    assert read[0] == pytest.approx(7.0)  # a quarter of the way from 8 to 4
    assert math.isnan(read[1])


def test_draws_are_done_one_by_one():
    gaps = np.random.default_rng(0).standard_normal((2, 5, 3, 4, 4))
    whole_array = crossing(TOKENS, gaps).tokens
    for place in np.ndindex(5, 3, 4):
        assert crossing(TOKENS, gaps[(slice(None), *place)]).tokens == whole_array[place]


def run_of(transfer, scratch=((0, 9.0, 0.0, 50.0), (100, 5.0, 0.8, 55.0), (400, 4.0, 0.9, 50.0))) -> Results:
    """One SAE of layer 1 from layer 0, and its scratch: (tokens, loss, CE-loss score, L0) at each budget."""
    rows = [("scratch", None, *values) for values in scratch] + [("forward", 0, *values) for values in transfer]
    table = pd.DataFrame(rows, columns=["arm", "source_layer", "tokens", "loss", "ce_score", "l0"])
    return Results(table.assign(act_layer=1, seed=0, data_seed=0), None)


def found(results: Results, target: str) -> tuple[float, float, float]:
    """Tokens needed, saving, L0 ratio."""
    one = arrival(whole(results), matched(results.evaluation, "forward"), target)
    return one.crossing.tokens.item(), one.saving.item(), one.l0_ratio.item()


def test_the_targets_differ_where_l0_does():
    results = run_of([(0, 6.0, 0.7, 90.0), (100, 4.5, 0.9, 60.0), (200, 3.5, 0.95, 52.0), (400, 3.0, 0.96, 50.0)])
    assert found(results, "ce_score") == pytest.approx((100, 0.75, 1.2))
    tokens, saving, ratio = found(results, "loss")
    assert (tokens, ratio) == pytest.approx((100 * 2**0.5, 1.12))
    assert saving == pytest.approx(1 - 2**0.5 / 4)
    tokens, saving, ratio = found(results, "joint")
    share = (52 - JOINT_L0_FACTOR * 50) / (52 - 50)
    assert (tokens, ratio) == pytest.approx((200 * 2**share, JOINT_L0_FACTOR))
    assert saving == pytest.approx(1 - 200 * 2**share / 400)


def test_who_does_not_arrive_has_spent_the_budget():
    never = [(0, 6.0, 0.7, 90.0), (100, 5.0, 0.8, 60.0)]
    tokens, saving, ratio = found(run_of([*never, (400, 4.1, 0.85, 60.0)]), "loss")
    assert (tokens, saving) == (math.inf, 0.0) and math.isnan(ratio)
    assert found(run_of([*never, (200, 4.1, 0.85, 60.0)]), "loss")[1] == pytest.approx(0.5)  # known: at most half


def test_a_saving_may_be_negative_and_nothing_is_saved_where_nothing_is_needed():
    late = [(0, 9.0, 0, 50.0), (100, 8.0, 0, 50.0), (200, 7.0, 0, 50.0), (400, 3.0, 0, 50.0)]
    early = ((0, 9.0, 0, 50.0), (100, 4.0, 0, 50.0), (400, 4.0, 0, 50.0))
    assert found(run_of(late, early), "loss")[1] == pytest.approx(1 - 200 * 2**0.75 / 100)
    at_once = ((0, 3.0, 0, 50.0), (100, 4.0, 0, 50.0), (400, 4.0, 0, 50.0))
    assert found(run_of(late, at_once), "loss")[1] == 0


def test_nothing_is_known_where_the_reference_has_no_number_at_its_end():
    """Not that all was saved: level with what nobody knows is nobody."""
    transfer, scratch = [(0, 6.0, 0.7, 50.0), (400, 4.0, 0.9, 50.0)], ((0, 9.0, 0.0, 50.0), (400, math.nan, 0.9, 50.0))
    tokens, saving, _ = found(run_of(transfer, scratch), "loss")
    assert tokens == math.inf and math.isnan(saving)


def test_a_table_without_the_objective_has_the_other_targets():
    assert possible_targets(run_of([]).evaluation) == ("loss", "joint", "ce_score")
    assert possible_targets(run_of([]).evaluation.drop(columns="loss")) == ("joint", "ce_score")
