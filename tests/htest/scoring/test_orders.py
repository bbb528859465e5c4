"""How far a draw of shots moves the AUROC: by hand, and what it says of two sets of items."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from saelib.htest.scoring.orders import over_orders, reach_of_draws
from saelib.htest.scoring.readings import readings_of
from tests.helpers.answers import make_item, make_reply, noisy_replies
from tests.helpers.htest_tables import RELEASED, of_set


def order(margins: list[float], seed: int | None, task: str = "rhyme") -> pd.DataFrame:
    """Items A, B, A, B, ... with these margins, behind one draw of shots."""
    return readings_of([make_reply(make_item(row, task), margin=margin, shuffle_seed=seed)
                        for row, margin in enumerate(margins, start=1)])  # fmt: skip


def test_means_and_deviation_by_hand() -> None:
    # AUROC 1, .5 and 0 in rhyme; .5 throughout in uppercase
    rhyme = [order(margins, seed) for margins, seed in (([2.0, 1], None), ([1.0, 1], 0), ([0.0, 1], 1))]
    uppercase = [order([1.0, 1], seed, "uppercase") for seed in (None, 0, 1)]
    found = over_orders(pd.concat([*rhyme, *uppercase]))
    assert list(found) == ["fresh-2"]
    assert sorted(found["fresh-2"]["orders"]) == [0.25, 0.5, 0.75]
    assert (found["fresh-2"]["mean"], found["fresh-2"]["deviation"]) == (0.5, 0.25)


def test_a_task_that_lacks_a_margin_in_one_order_is_in_none() -> None:
    lacking = order([2.0, 1], 0, "uppercase").assign(margin=[1.0, np.nan])
    tables = [order([2.0, 1], None), order([1.0, 1], 0), order([2.0, 1], None, "uppercase"), lacking]
    assert sorted(over_orders(pd.concat(tables))["fresh-2"]["orders"]) == [0.5, 1.0]


def test_one_order_says_nothing() -> None:
    assert over_orders(order([2.0, 1], None)) == {}
    assert over_orders(order([2.0, 1], None).assign(margin=np.nan)) == {}


def test_the_reach_of_two_draws_by_hand() -> None:
    orders = {"one": {"orders": [0.0] * 4, "deviation": 0.03}, "two": {"orders": [0.0] * 3, "deviation": 0.04}}
    assert reach_of_draws(orders, "one", "two") == pytest.approx(t.ppf(0.975, 5) * 0.05)
    assert reach_of_draws({"one": orders["one"]}, "one", "two") is None
    assert reach_of_draws(orders, "one", None) is None


def test_where_the_sets_do_not_differ_it_holds_what_two_draws_differ_by() -> None:
    random, inside = np.random.default_rng(0), []
    for _ in range(2000):
        drawn = {name: random.normal(0.7, 0.02, 4) for name in ("one", "two")}
        orders = {name: {"orders": [*means], "deviation": means.std(ddof=1)} for name, means in drawn.items()}
        reach = reach_of_draws(orders, "one", "two")
        inside.append(abs(drawn["one"][0] - drawn["two"][0]) <= (reach or 0))
    assert 0.95 < np.mean(inside) < 0.99, "a little more, since the draw that is shown is one of those"


def test_two_sets_from_replies_to_reach() -> None:
    replies = [reply for seed in (None, 0, 1) for reply in noisy_replies(1.0, 0, 40, 7 if seed is None else seed)
               for reply in [replace(reply, condition=replace(reply.condition, shuffle_seed=seed))]]  # fmt: skip
    found = over_orders(readings_of([*of_set(replies, RELEASED), *replies]))
    assert list(found) == [RELEASED, "fresh-2"] and len(found[RELEASED]["orders"]) == 3
    assert (
        found[RELEASED]["deviation"] == pytest.approx(found["fresh-2"]["deviation"])
        and found[RELEASED]["deviation"] > 0
    )
