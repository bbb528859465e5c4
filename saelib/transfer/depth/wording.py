"""How readers meet the study: its arms and ways in words, and its tables as texts.

In: tables of `compare` and `costs`. Out: labels, and tables for `results.notebook.show_table`.
"""

import pandas as pd

from saelib.results.text import thousands
from saelib.transfer.wording import METRIC_NAMES, interval_text

ARM_NAMES = {
    "scratch": "from scratch",
    "copy": "copy",
    "affine": "affine map",
    "tuned": "affine map, then a short training",
    "group": "one SAE for several layers",
}
WAYS = {
    "scratch": "one SAE a layer, from scratch",
    "copy": "sources, read as they are",
    "affine": "sources, mapped",
    "tuned": "sources, mapped, then a short training",
    "group": "one SAE for each group of layers",
}
"""Ways to SAEs for all layers, by the arm that shows their quality."""
SHARE_NAME = "objective / that of the mean activation"
NAMES = METRIC_NAMES | {"loss_share": SHARE_NAME, "loss_ratio": "objective / that of scratch"}


def by_layer(summary: pd.DataFrame) -> pd.DataFrame:
    """A table of `compare` with a row for each layer and budget and a column for each arm, of one metric.

    Args:
        summary: arm, budget, act_layer, distance, metric (one value), mean, low, high.
    """
    texts = summary.assign(text=[interval_text(line) if line["mean"] == line["mean"] else "-"
                                 for line in summary.to_dict("records")])  # fmt: skip
    wide = texts.pivot(index=["act_layer", "distance", "budget"], columns="arm", values="text").fillna("-")
    told = wide[[arm for arm in ARM_NAMES if arm in wide]].rename(columns=ARM_NAMES).reset_index()
    return told.assign(budget=told["budget"].map(thousands)).rename(
        columns={"act_layer": "layer", "budget": "tokens of the source"}
    )


def cost_table(table: pd.DataFrame) -> pd.DataFrame:
    """What `costs.cost_and_quality` gave, for readers."""
    gaps = [interval_text({"mean": line["gap"], "low": line["gap_low"], "high": line["gap_high"]})
            + _at(line["gap_distance"]) if line["gap"] == line["gap"] else "-"
            for line in table.to_dict("records")]  # fmt: skip
    lowest = [f"{line['ce_score']:.3f}{_at(line['distance'])}" if line["ce_score"] == line["ce_score"] else "-"
              for line in table.to_dict("records")]  # fmt: skip
    return pd.DataFrame(
        {
            "way": table["way"].map(WAYS),
            "reach": [str(reach) if reach else "-" for reach in table["reach"]],
            "SAEs trained from scratch": table["trained"],
            "FLOPs / one SAE a layer": [f"{share:.1%}" for share in table["share"]],
            "lowest CE-loss score within reach": lowest,
            "L0 there": [f"{l0:,.0f}" if l0 == l0 else "-" for l0 in table["l0"]],
            "lowest difference from scratch at equal L0": gaps,
        }
    )


def _at(distance: float) -> str:
    return f", at {distance:+.0f}"


def share_of(tokens: int, of: int) -> str:
    """Tokens, and what share of others they are."""
    return f"{thousands(tokens)} ({tokens / of:.0%})"
