"""Tables of the report that need more than a rename: verdicts with their signs, savings by layer, gains by arm.

In: tidy tables of both papers. Out: tables of texts.
"""

import pandas as pd

from saelib.results.notebook import VERDICT_SIGNS, verdict
from saelib.results.text import with_interval
from saelib.transfer.directions import transfer_arms
from saelib.transfer.wording import METRIC_NAMES, arm_label, interval_text


def with_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """The table with a sign before each word of its column `agrees`; what is no verdict was not tested."""
    words = [text if text.partition(":")[0] in VERDICT_SIGNS else "not tested" for text in table["agrees"]]
    return table.assign(agrees=[verdict(word) for word in words])


def by_layer_table(by_layer: pd.DataFrame, target: str) -> pd.DataFrame:
    """Savings until one target: a row for each layer, a column for each arm: "31% (27% to 35%)".

    Where not all replicates arrive, the cell says how many do.

    Args:
        by_layer: what `savings.savings_by_layer` gave; sources farther than a neighbour are left out.
    """
    near = by_layer[(by_layer["distance"] == 1) & (by_layer["target"] == target)]
    texts = [
        with_interval(line, 0, percent=True)
        + (f", {line['arrived']} of {line['count']} arrive" if line["arrived"] < line["count"] else "")
        for line in near.to_dict("records")
    ]
    wide = near.assign(text=texts).pivot(index="act_layer", columns="arm", values="text")
    wide = wide[transfer_arms(near)].fillna("-")
    return wide.rename(columns=arm_label).rename_axis(None, axis="columns").reset_index(names="layer")


def gains_table(gains: pd.DataFrame) -> pd.DataFrame:
    """Gains at one number of new tokens: a row for each arm, a column for each metric.

    Args:
        gains: what `gains.equal_token_gains` gave, at one budget; sources farther than a neighbour are left out.
    """
    near = gains[gains["distance"] == 1]
    texts = near.assign(text=[interval_text(line) for line in near.to_dict("records")])
    wide = texts.pivot(index="arm", columns="metric", values="text").loc[transfer_arms(near)]
    wide = wide[list(dict.fromkeys(near["metric"]))].rename(index=arm_label, columns=METRIC_NAMES)
    return wide.rename_axis(None, axis="columns").reset_index(names="transfer minus scratch")
