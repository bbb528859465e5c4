"""Figures of features: how often they are active, and how strongly.

In: tables of features, as `features.profiles` keeps them. Out: named figures; `results.figures.save_figure` keeps them.
Lines differ in dashes as well as in colour.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.interpret.features.statistics import HISTOGRAM_EDGES
from saelib.results.figures import PALETTE, figure, figure_label, figure_legend, log_ticks, new_figure

COLOURS = ("blue", "orange", "green", "purple", "vermilion", "brown", "sky", "black")
LINES = ("-", "--", "-.", ":")
DENSITY_EDGES: Float[np.ndarray, " edges"] = np.geomspace(1e-5, 1, 31)


@figure("feature_densities", "How often features are active: living features by the share of tokens at which they are")
def densities(tables: Mapping[str, pd.DataFrame], dense_share: float | None = None) -> Figure:
    """Living features by density, a line for each SAE; the legend says how many are dead.

    Args:
        tables: `Profile.features` by what the SAE is called.
        dense_share: density above which a feature counts as dense; marked.
    """
    drawn, panels = new_figure(7, 3.4)
    axis = panels[0, 0]
    for place, (name, table) in enumerate(tables.items()):
        dead = table["dead"].to_numpy()
        counts, _ = np.histogram(table["density"][~dead].clip(lower=DENSITY_EDGES[0]), DENSITY_EDGES)
        label = f"{figure_label(name)} ({dead.mean():.0%} dead)"
        _steps(axis, counts / max(1, len(table)), DENSITY_EDGES, place, label)
    if dense_share is not None:
        axis.axvline(dense_share, color=PALETTE["grey"], linewidth=1.2)
        axis.annotate("dense", (dense_share, 1), xycoords=("data", "axes fraction"), xytext=(4, -10),
                      textcoords="offset points", color="#606060", fontsize=9)  # fmt: skip
    axis.set(xlabel="share of the tokens at which a feature is active", ylabel="share of the features", xscale="log",
             xlim=(DENSITY_EDGES[0], DENSITY_EDGES[-1]))  # fmt: skip
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:.6g}")
    axis.set_ylim(bottom=0)
    figure_legend(drawn, panels, columns=2)
    return drawn


@figure("activation_histograms", "How strongly features are active: all activations that are not 0")
def activations(tables: Mapping[str, pd.DataFrame], feature: int | None = None) -> Figure:
    """Activations above 0, a line for each SAE, as shares of all of them.

    Args:
        tables: `Profile.features` by what the SAE is called.
        feature: of one feature alone; of all if not given.
    """
    drawn, panels = new_figure(7, 3.2)
    axis = panels[0, 0]
    seen = np.zeros(len(HISTOGRAM_EDGES) - 1, bool)
    for place, (name, table) in enumerate(tables.items()):
        chosen = table if feature is None else table.loc[[feature]]
        counts = np.stack([np.asarray(line) for line in chosen["histogram"]]).sum(axis=0)
        seen |= counts > 0
        _steps(axis, counts / max(1, counts.sum()), HISTOGRAM_EDGES, place, figure_label(name))
    axis.set(xlabel="activation (units of the residual stream)", ylabel="share of the activations", xscale="log")
    if seen.any():
        places = np.flatnonzero(seen)
        axis.set_xlim(HISTOGRAM_EDGES[places[0]], HISTOGRAM_EDGES[places[-1] + 1])
    log_ticks(axis.xaxis)
    axis.set_ylim(bottom=0)
    figure_legend(drawn, panels, columns=2)
    return drawn


def _steps(
    axis: Axes, shares: Float[np.ndarray, " bins"], edges: Float[np.ndarray, " edges"], place: int, label: str
) -> None:
    colour = PALETTE[COLOURS[place % len(COLOURS)]]
    axis.stairs(shares, edges, color=colour, linestyle=LINES[place % len(LINES)], linewidth=1.6, label=label)
