"""Which rows of an accuracy table are meant: by value, by the reader that suits, or the main table's.

In: an `accuracy_table`. Out: some of its rows.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from saelib.htest.config import CONTROL
from saelib.htest.scoring.readings import CHOICE, reader_of


def pick(table: pd.DataFrame, **wanted: Any) -> pd.DataFrame:
    """Rows whose columns have the wanted values: one, several in a list, or None for a missing one."""
    chosen = table
    for name, value in wanted.items():
        values = value if isinstance(value, list | tuple) else [value]
        chosen = chosen[chosen[name].isin(values) | (chosen[name].isna() & (None in values))]
    return chosen


def as_chosen(table: pd.DataFrame) -> pd.DataFrame:
    """One row for each condition and task, by the reader that suits its form (`reader_of`), called "choice"."""
    return table[table["reader"] == table["form"].map(reader_of)].assign(reader=CHOICE)


def main_rows(table: pd.DataFrame, item_set: str, k: int) -> pd.DataFrame:
    """The main table's rows: one set of items, controls, and models with k shots."""
    control = table["model"].str.startswith(CONTROL)
    return table[(table["item_set"] == item_set) & (control | (table["k"] == k))]


def own_form(table: pd.DataFrame, forms: Mapping[str, str]) -> pd.DataFrame:
    """Rows of each who answers in the form that suits, where `other_forms` were asked too.

    Args:
        forms: own form by model; who is not in it (a control) keeps all rows.
    """
    own = table["model"].map(forms)
    return table[own.isna() | (table["form"] == own)]


def informative(table: pd.DataFrame) -> pd.DataFrame:
    """Rows but for the controls that always say one letter: they are right on half of every task."""
    return table[~table["model"].isin([f"{CONTROL}constant_a", f"{CONTROL}constant_b"])]
