"""Figures of likeness: MMCS and feature transfer by layer beside the paper's, what moved, and distance against gain.

In: tables of `likeness.tables` and `likeness.gains`. Out: named figures. The colour and the marker are those of the arm
in all figures of the run (`transfer.figures.style`), the line says with what it was compared.
"""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from saelib.interpret.likeness.tables import NULL
from saelib.results.figures import PALETTE, figure, figure_legend, new_figure
from saelib.transfer.directions import DIRECTIONS, parse_arm, transfer_arms
from saelib.transfer.figures.style import half_widths, look
from saelib.transfer.wording import arm_label, direction_label

Style = dict[str, Any]
BEFORE = "before any training"
COMPARED: dict[str, tuple[str, str]] = {
    "same_index": ("-", "same index"),
    "best_match": ("--", "nearest row of the transfer"),
    "scratch_match": (":", "nearest row of scratch"),
}
NULL_LABEL = "another feature of the transfer"
SHARES = {"kept": ("kept (cosine 0.9 or more)", "blue", ""), "moved": ("moved", "sky", "//"),
          "reborn": ("reborn (no nearer than the null)", "orange", "xx")}  # fmt: skip
LEVELS = {
    ("scratch", "scratch_other"): {"color": PALETTE["black"], "linestyle": "--", "marker": "D", "markersize": 4,
                                   "label": "scratch of two replicates"},
    ("random", "scratch_end"): {"color": PALETTE["grey"], "linestyle": ":", "marker": "x", "markersize": 4,
                                "label": "random directions of the stream"},
}  # fmt: skip
PANELS = {"mmcs": "nearest row (MMCS)", "one_to_one": "one to one"}
GAINS = {"first": "first checkpoint", "end": "end of training"}


@figure("mmcs_by_layer", "How alike decoders of transfers and of scratch SAEs are, layer by layer, and the paper's")
def mmcs_by_layer(by_layer: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Mean cosine with scratch of as many tokens: of the nearest row, one to one, and the paper's.

    Args:
        by_layer: `tables.likeness_by_layer`.
        published: `published_mmcs()`.
    """
    drawn, panels = new_figure(11, 6.2, nrows=2, ncols=3)
    for axis in panels[:, :2].ravel()[1:]:  # the paper's has a scale of its own: ours may span a tenth of it
        axis.sharey(panels[0, 0])
    panels[1, 2].sharey(panels[0, 2])
    of_all = by_layer[by_layer["features"] == "all"]
    for row, direction in zip(panels, DIRECTIONS, strict=True):
        for axis, (measure, title) in zip(row, PANELS.items(), strict=False):
            _similarities(axis, of_all[of_all["measure"] == measure], direction)
            axis.set_title(title)
        theirs = published[published["arm"] == direction]
        style = look(direction) | {"label": None, "markersize": 4}
        row[-1].errorbar(theirs["act_layer"], theirs["mmcs"], theirs["uncertainty"], **style)
        row[-1].set_title("nearest row, pythia-160m (paper)")
        row[0].set_ylabel(f"{direction_label(direction)}\nmean cosine with scratch")
    _layers(panels)
    figure_legend(drawn, panels, [*map(arm_label, transfer_arms(by_layer)), BEFORE], columns=3)
    drawn.suptitle(f"Cosines of decoder rows with scratch of as many tokens; means over {_counted(by_layer)}",
                   fontsize=9.5, wrap=True)  # fmt: skip
    return drawn


def _similarities(axis: Axes, table: pd.DataFrame, direction: str) -> None:
    """Arms of a direction at their ends, and hollow where they started; what to hold them against."""
    for arm in _arms(table, direction):
        _line(axis, _ends(table, arm, "scratch_equal"), look(arm) | {"markersize": 5})
        start = table[(table["arm"] == arm) & (table["tokens"] == 0)].sort_values("act_layer")
        axis.plot(start["act_layer"].astype(int), start["mean"], linestyle="", markerfacecolor="white", zorder=1,
                  color=look(arm)["color"], marker=look(arm)["marker"], label=BEFORE)  # fmt: skip
    for (arm, reference), style in LEVELS.items():
        _line(axis, _ends(table, arm, reference), style)


@figure(
    "feature_transfer_by_layer", "Shared tokens of a source's features and of others, layer by layer, and the paper's"
)
def feature_transfer_by_layer(by_layer: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """Share of top, bottom and maximal tokens that two features have in common.

    Args:
        by_layer: `tables.transfer_by_layer`.
        published: `published_feature_transfer()`.
    """
    table = by_layer[by_layer["measure"] == "share"]
    drawn, panels = new_figure(10, 6.2, nrows=2, ncols=2, sharey=True)
    for (mine, theirs), direction in zip(panels, DIRECTIONS, strict=True):
        for arm in _arms(table, direction):
            for comparison, (line, _) in reversed(COMPARED.items()):  # a legend shows what is drawn last
                rows = table[(table["arm"] == arm) & (table["comparison"] == comparison)]
                _line(mine, rows, look(arm) | {"linestyle": line, "markersize": 4.5})
            null = table[(table["arm"] == arm) & (table["comparison"] == NULL)]
            _line(mine, null, {"color": PALETTE["grey"], "marker": look(arm)["marker"], "markersize": 4,
                               "linestyle": "-", "label": NULL_LABEL})  # fmt: skip
        paper = published[published["arm"] == direction].sort_values("act_layer")
        theirs.plot(paper["act_layer"], paper["share"], **look(direction) | {"label": None})
        mine.set(ylabel=f"{direction_label(direction)}\nshare of shared tokens", title="this run")
        theirs.set_title("the paper, pythia-160m (same index)")
        mine.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        mine.set_ylim(bottom=0)
    for line, words in COMPARED.values():
        panels[0, 0].plot([], [], color=PALETTE["black"], linestyle=line, label=words)
    _layers(panels, "layer of the transfer")
    arms = [arm_label(arm) for arm in transfer_arms(table)]
    figure_legend(drawn, panels, [*arms, *(words for _, words in COMPARED.values()), NULL_LABEL], columns=4)
    drawn.suptitle(f"Means over features and {_counted(table)}", fontsize=9.5, wrap=True)
    return drawn


@figure("features_moved", "Features that a transfer kept, moved, or gave up, by the cosine with their own source")
def moved(by_layer: pd.DataFrame) -> Figure:
    """Shares of living features, a panel for each arm; lines: the interval of what was kept.

    Args:
        by_layer: `tables.likeness_by_layer`.
    """
    chosen = by_layer[(by_layer["features"] == "alive") & by_layer["measure"].isin([*SHARES])]
    arms = transfer_arms(chosen)
    drawn, panels = new_figure(max(2.9 * len(arms), 5), 3.6, ncols=max(1, len(arms)), sharey=True)
    for axis, arm in zip(panels[0], arms, strict=False):
        reference = "start" if _is_mapped(arm) else "source"
        table = chosen[(chosen["arm"] == arm) & (chosen["reference"] == reference)]
        _stacked(axis, table)
        axis.set_title(f"{arm_label(arm)}\nagainst {'its mapped source' if _is_mapped(arm) else 'its source'}")
    panels[0, 0].set_ylabel("share of living features")
    panels[0, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panels[0, 0].set_ylim(0, 1)
    _layers(panels)
    figure_legend(drawn, panels, columns=3)
    return drawn


@figure("distance_and_gain", "What transfers are ahead by, against the angular distance of their layers")
def distance_and_gain(pairs: pd.DataFrame, published: pd.DataFrame) -> Figure:
    """A point for each pair of neighbouring layers and each arm.

    Args:
        pairs: `gains.gain_by_pair` of `gains.gains`.
        published: the same of `gains.published_gains`.
    """
    drawn, panels = new_figure(11, 3.9, ncols=3)
    for axis, (measure, words) in zip(panels[0], GAINS.items(), strict=False):
        _points(axis, pairs[pairs["measure"] == measure])
        axis.set_title(f"objective below scratch's\n({words}, equal new tokens)")
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    _points(panels[0, -1], published)
    panels[0, -1].set_title("pythia-160m (paper): CE-loss score,\ntransfer's end minus finished scratch")
    for axis in panels[0]:
        axis.axhline(0, color=PALETTE["black"], linewidth=1, linestyle=":", zorder=0)
        axis.set_xlabel("mean angular distance of the two layers")
        axis.xaxis.set_major_locator(MaxNLocator(5))
    figure_legend(drawn, panels, columns=4)
    return drawn


def _stacked(axis: Axes, table: pd.DataFrame) -> None:
    below = None
    for measure, (label, colour, hatch) in SHARES.items():
        rows = table[table["measure"] == measure].sort_values("act_layer").set_index("act_layer")
        layers = rows.index.astype(int)
        base = pd.Series(0.0, rows.index) if below is None else below.reindex(rows.index)
        axis.bar(layers, rows["mean"], 0.75, base, color=PALETTE[colour], hatch=hatch, edgecolor="white", label=label,
                 linewidth=0.5)  # fmt: skip
        if measure == "kept":
            axis.errorbar(layers, rows["mean"], half_widths(rows), linestyle="", color=PALETTE["black"], linewidth=1.2)
        below = base + rows["mean"]


def _points(axis: Axes, table: pd.DataFrame) -> None:
    for arm in transfer_arms(table):
        rows = table[table["arm"] == arm]
        axis.errorbar(rows["angular_distance"], rows["mean"], half_widths(rows), elinewidth=1, markersize=5,
                      **look(arm) | {"linestyle": ""})  # fmt: skip


def _line(axis: Axes, rows: pd.DataFrame, style: Style) -> None:
    """Means by layer with their intervals; nothing where there is nothing."""
    if rows.empty:
        return
    rows = rows.sort_values("act_layer")
    layers = rows["act_layer"].astype(int)
    axis.plot(layers, rows["mean"], **style)
    axis.fill_between(layers, rows["low"].astype(float), rows["high"].astype(float), color=style["color"], alpha=0.15,
                      linewidth=0)  # fmt: skip


def _ends(table: pd.DataFrame, arm: str, reference: str) -> pd.DataFrame:
    """An arm's rows at its largest token count."""
    rows = table[(table["arm"] == arm) & (table["reference"] == reference)]
    return rows[rows["tokens"] == rows["tokens"].max()]


def _arms(table: pd.DataFrame, direction: str) -> list[str]:
    return [arm for arm in transfer_arms(table) if arm.startswith(direction)]


def _is_mapped(name: str) -> bool:
    arm = parse_arm(name)
    return arm is not None and arm.start != "copy"


def _layers(panels: Any, words: str = "layer") -> None:
    for axis in panels.ravel():
        axis.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    for axis in panels[-1]:
        axis.set_xlabel(words)


def _counted(table: pd.DataFrame) -> str:
    count = int(table["count"].max())
    bands = "" if table["low"].isna().all() else "; bands: 95% intervals"
    return f"{count} replicate{'s' * (count != 1)}{bands}."
