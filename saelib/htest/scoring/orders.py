"""How far a draw of shots moves what a model knows: the same items behind the same number of shots, drawn otherwise.

In: the readings of one model, form and number of shots, in several orders. Out: for each set of items the mean AUROC
over its tasks, order by order, its standard deviation, and how far two sets may lie apart by their draws alone.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.htest.scoring.beneath import of_likelier, with_margins
from saelib.results.intervals import CONFIDENCE


def over_orders(readings: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """By set of items: `orders`, the mean AUROC over tasks in each; their `mean`, and `deviation` (n - 1).

    A set that was asked in one order only is left out; tasks are those that have all their margins in every order.

    Raises:
        ValueError: an item stands more than once in an order: narrow the readings down to one condition.
    """
    found = {}
    for item_set, rows in readings.groupby("item_set", sort=False):
        known = [with_margins(order) for _, order in rows.groupby("shuffle_seed", dropna=False)]
        orders = [of_likelier(order).set_index("task")["auroc"] for order in known if len(order)]
        means = pd.concat(orders, axis="columns", join="inner").mean() if orders else pd.Series(dtype=float)
        if len(means) > 1:
            found[str(item_set)] = {"orders": means.tolist(), "mean": float(means.mean()),
                                    "deviation": float(means.std(ddof=1))}  # fmt: skip
    return found


def reach_of_draws(orders: Mapping[str, Mapping[str, Any]], first: str, second: str | None) -> float | None:
    """How far the AUROCs of two sets, each behind one draw of shots, lie apart by these draws in 95% of cases.

    Student's t for as many orders as there are, times the root of the two variances added; None unless both sets were
    asked in several orders.
    """
    from scipy.stats import t

    spreads = [orders[name] for name in (first, second) if name is not None and name in orders]
    if len(spreads) < 2:
        return None
    freedom = sum(len(spread["orders"]) - 1 for spread in spreads)
    deviation = math.hypot(*(spread["deviation"] for spread in spreads))
    return float(t.ppf((1 + CONFIDENCE) / 2, freedom) * deviation)
