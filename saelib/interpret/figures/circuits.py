"""Figures of circuits: attribution over checkpoints, faithfulness and completeness over size, estimates beside exact.

In: tables of `circuits.tables`, the paper's numbers. Out: named figures. The colour and the marker are those of the arm
in all figures of the run (`transfer.figures.style`); the line says by what a circuit's features were chosen.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from saelib.interpret.circuits.tables import EQUAL, MEASURES, ZERO_SHOT
from saelib.interpret.circuits.tasks.library import TASKS
from saelib.results.figures import PALETTE, figure, figure_legend, new_figure
from saelib.transfer.directions import transfer_arms
from saelib.transfer.figures.style import COLOURS, arms_of, band, directions_of, look, tokens_axis
from saelib.transfer.wording import direction_label

LINES = {"attribution": ("-", "largest effects"), "top_activation": ("--", "most active"), "random": (":", "random")}
RANDOM = "scratch before any training: random weights"
PAPERS = "pythia-160m (paper)"
NOTE = "bands: 95% intervals (bootstrap over prompts, and over replicates where there are several)"
LEVELS = {"faithfulness": 1.0, "completeness": 0.0}  # of a circuit that is all of it
DRAWN = "scratch"  # whose baselines are drawn
ROOM = 1.08  # of an axis, above what it shows
OTHERS = {
    EQUAL: {"color": PALETTE["grey"], "marker": "D", "label": "from scratch, as many tokens"},
    ZERO_SHOT: {"color": PALETTE["purple"], "marker": "x", "label": "source, not trained here"},
}


@figure("attribution", "The largest attribution of a feature to an answer, over checkpoints, and the paper's")
def attribution(curves: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Mean score against tokens, of each direction beside scratch of the same layers; to the right the paper's.

    Args:
        curves: `tables.attribution_curves`.
        published: `published_attribution()`.
    """
    directions = directions_of(curves)
    drawn, panels = new_figure(9.5, 3.3 * max(len(directions), 1), nrows=max(len(directions), 1), ncols=2)
    for row, direction in zip(panels, directions, strict=False):
        own, paper = row
        table = curves[curves["direction"] == direction]
        for arm in arms_of(table):
            band(own, table[table["arm"] == arm], arm)
        at_random = table.loc[(table["arm"] == "scratch") & (table["tokens"] == 0), "mean"]
        for level in at_random:
            own.axhline(level, color=PALETTE["grey"], linestyle=":", linewidth=1.1, label=RANDOM)
        tokens_axis(own, float(table["tokens"].max()), label=direction == directions[-1])
        own.set_ylabel(f"{direction_label(direction)}\nlargest attribution (mean)")
        means = published[published["arm"].isin([direction, "scratch"])]
        means = means.groupby(["arm", "tokens"], as_index=False)["attribution"].mean()
        for arm, line in means.groupby("arm"):
            paper.plot(line["tokens"], line["attribution"], markersize=3.5, **look(str(arm)))
        tokens_axis(paper, float(published["tokens"].max()), label=direction == directions[-1])
        own.set_ylim(0, ROOM * float(np.nanmax(table[["mean", "high"]].to_numpy(float))))
        paper.set_ylim(0, ROOM * float(means["attribution"].max()))
    panels[0, 0].set_title("this run")
    panels[0, 1].set_title(PAPERS)
    figure_legend(drawn, panels, columns=3)
    drawn.suptitle(f"Means over prompts and layers; {NOTE}.", fontsize=9.5, wrap=True)
    return drawn


@figure("circuit_scores", "Faithfulness and completeness of circuits over their size, by task, with baselines")
def circuit_scores(scores: pd.DataFrame) -> Figure:
    """Scores against the share of features, a column for each task, a row for each measure and direction.

    Args:
        scores: `tables.circuit_scores`, with one task at least.
    """
    tasks = [task for task in TASKS if task in set(scores["task"])]
    rows = [(measure, direction) for measure in MEASURES for direction in directions_of(scores)]
    drawn, panels = new_figure(3.7 * len(tasks) + 1, 2.5 * len(rows) + 0.8, nrows=len(rows), ncols=len(tasks),
                               sharey="row")  # fmt: skip
    for row, (measure, direction) in zip(panels, rows, strict=True):
        for axis, task in zip(row, tasks, strict=True):
            chosen = scores[(scores["measure"] == measure) & (scores["direction"] == direction)]
            _scores(axis, chosen[chosen["task"] == task], LEVELS[measure])
        row[0].set_ylabel(f"{direction}\n{measure}")
    for axis, task in zip(panels[0], tasks, strict=True):
        axis.set_title(TASKS[task].label)
    for axis in panels[-1]:
        axis.set_xlabel("features of the circuit at each position")
    figure_legend(drawn, panels, columns=4)
    drawn.suptitle(f"Means over layers; {NOTE}. Baselines are those of scratch.", fontsize=9.5, wrap=True)
    return drawn


def _scores(axis: Axes, table: pd.DataFrame, level: float) -> None:
    """A line for each kind of SAE, and scratch's baselines."""
    there = set(table["arm"])
    for arm in [*(arm for arm in ("scratch", EQUAL, ZERO_SHOT) if arm in there), *transfer_arms(table)]:
        for choice in [choice for choice in LINES if choice == "attribution" or arm == DRAWN]:
            curve = table[(table["arm"] == arm) & (table["choice"] == choice)].sort_values("share")
            line, words = LINES[choice]
            style: dict[str, Any] = OTHERS.get(arm) or look(arm)
            label = style["label"] if choice == "attribution" else f"{style['label']}: {words}"
            axis.plot(curve["share"], curve["mean"], **style | {"linestyle": line, "label": label, "markersize": 3.5})
            if choice == "attribution":
                low, high = (curve[name].astype(float) for name in ("low", "high"))
                axis.fill_between(curve["share"], low, high, color=style["color"], alpha=0.12, linewidth=0)
    axis.axhline(level, color=PALETTE["grey"], linewidth=1, zorder=0)
    most = table["share"].max()
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if most > 0.03 else 1))


@figure("published_circuits", "Faithfulness and completeness in the paper: means over layers, by task")
def published_circuits(published: pd.DataFrame) -> Figure:
    """The paper's scores at the end of training, a column for each task, a row for each measure.

    Args:
        published: `published_faithfulness()`.
    """
    ends = published[published["tokens"] == published.groupby("arm")["tokens"].transform("max")]
    tasks = [task for task in TASKS if task in set(ends["task"])]
    drawn, panels = new_figure(11, 5, nrows=len(MEASURES), ncols=len(tasks), sharey="row")
    for row, measure in zip(panels, MEASURES, strict=True):
        for axis, task in zip(row, tasks, strict=True):
            table = ends[(ends["measure"] == measure) & (ends["task"] == task)]
            for arm in arms_of(table):
                curve = table[table["arm"] == arm].sort_values("share")
                axis.plot(curve["share"], curve["value"], markersize=3.5, **look(arm))
            axis.axhline(LEVELS[measure], color=PALETTE["grey"], linewidth=1, zorder=0)
            axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if measure == MEASURES[0] else 1))
        row[0].set_ylabel(measure)
    for axis, task in zip(panels[0], tasks, strict=True):
        axis.set_title(TASKS[task].label)
    for axis in panels[-1]:
        axis.set_xlabel("features of the circuit at each position")
    figure_legend(drawn, panels)
    drawn.suptitle(f"{PAPERS}; scratch after twice the tokens of the transfers; no intervals.", fontsize=9.5, wrap=True)
    return drawn


@figure("patching", "Effects of single features as estimated, beside exact activation patching, by task")
def patching(table: pd.DataFrame, agreement: pd.DataFrame) -> Figure:
    """A point for each feature at a position; on the line the estimate is exact.

    Args:
        table: `patching.parquet`.
        agreement: `tables.patching_agreement`.
    """
    tasks = [task for task in TASKS if task in set(table["task"])]
    drawn, panels = new_figure(3.6 * len(tasks) + 0.4, 3.8, ncols=len(tasks))
    signs = ("o", "s", "^", "v", "D", "P", "X", "<", ">", "*")
    layers, colours = sorted(table["act_layer"].unique()), [PALETTE["black"], *dict.fromkeys(COLOURS.values())]
    for axis, task in zip(panels[0], tasks, strict=True):
        for place, layer in enumerate(layers):
            points = table[(table["task"] == task) & (table["act_layer"] == layer)]
            style = {"marker": signs[place % len(signs)], "color": colours[place % len(colours)]}
            axis.plot(points["exact"], points["estimate"], linestyle="", markersize=3.5, alpha=0.7,
                      label=f"layer {layer}", **style)  # fmt: skip
        ends = np.array([*axis.get_xlim(), *axis.get_ylim()])
        axis.plot([ends.min(), ends.max()], [ends.min(), ends.max()], color=PALETTE["grey"], linewidth=1, zorder=0)
        rank = agreement.loc[agreement["task"] == task, "spearman"]
        axis.set_title(f"{TASKS[task].label}\nrank correlation {rank.min():.2f} to {rank.max():.2f}")
        axis.set_xlabel("exact effect (nats)")
    panels[0, 0].set_ylabel("estimated effect (nats)")
    figure_legend(drawn, panels)
    return drawn
