"""The main figure of paper 1 (13_convergence, README): what a transfer saves, on the whole axis up to scratch's tokens.

In: `convergence.average_curves`, `savings.tokens_to_target` and `savings.savings` of a run. Out: a figure. Its arrows
have the numbers of the table of savings: they are means over SAEs, not crossings of mean curves.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import PALETTE, figure, new_figure
from saelib.transfer.directions import transfer_arms
from saelib.transfer.figures.style import (
    arms_of,
    band,
    band_note,
    directions_of,
    focus,
    last_level,
    legend,
    level_line,
    look,
    nearest,
    start_ring,
    tokens_axis,
)
from saelib.transfer.targets import TARGET_NAMES
from saelib.transfer.wording import START_NAMES, direction_label, interval_text

LEADING = "loss"  # the target that arrows and dots are about
FAIR = "joint"  # the target that is told in words beside the CE-loss score
ROWS = {
    "loss_ratio": "held-out objective,\nrelative to finished scratch",
    "l0": "L0 (active features\nper token)",
    "ce_score": "CE-loss score\n(1 = nothing lost)",
}
ARROW = {"arrowstyle": "-|>", "linewidth": 2, "shrinkA": 0, "shrinkB": 0}
LANE = 0.125  # height of an arrow with its dots and words, as a share of the panel
LINE = 0.095  # height of a line of words, as a share of the panel of CE-loss scores


@figure("convergence", "Held-out objective, L0 and CE-loss score over new training tokens; arrows: tokens saved")
def convergence(curves: pd.DataFrame, needed: pd.DataFrame, saved: pd.DataFrame) -> Figure:
    """Objective, L0 and CE-loss score over new tokens up to scratch's own, and the tokens that transfers save.

    Args:
        curves: `average_curves` of the metrics in `ROWS`.
        needed: `tokens_to_target`: a dot for each SAE where it reaches its layer's finished scratch SAE.
        saved: `savings`: an arrow for each arm.
    """
    curves, needed, saved = (nearest(table) for table in (curves, needed, saved))
    needed, fair, saved = (table[table["target"] == target] for table, target in (
        (needed, LEADING), (saved, FAIR), (saved, LEADING)))  # fmt: skip
    directions = directions_of(curves)
    figure, panels = new_figure(9.6, 8.3, nrows=len(ROWS), ncols=len(directions), sharex=True, sharey="row",
                                height_ratios=(2.5, 1, 1.4))  # fmt: skip
    lanes = max(len(transfer_arms(curves[curves["direction"] == direction])) for direction in directions)
    room = {"loss_ratio": LANE * lanes + 0.06, "l0": 0.08, "ce_score": LINE * (lanes + 1) if len(fair) else 0.08}
    for row, metric in zip(panels, ROWS, strict=True):
        chosen = curves[curves["metric"] == metric]
        focus(row[0], chosen, room[metric])
        row[0].set_ylabel(ROWS[metric])
        for axis, direction in zip(row, directions, strict=True):
            _draw_curves(axis, chosen[chosen["direction"] == direction], metric == next(iter(ROWS)))
            tokens_axis(axis, curves["tokens"].max(), label=metric == list(ROWS)[-1])
    for axis, direction in zip(panels[0], directions, strict=True):
        axis.set_title(direction_label(direction))
        _draw_lanes(axis, needed[needed["direction"] == direction], saved[saved["direction"] == direction],
                    curves["tokens"].max())  # fmt: skip
    for axis, direction in zip(panels[-1], directions, strict=True):
        _tell_fair_savings(axis, fair[fair["direction"] == direction])
    legend(figure, panels)
    figure.suptitle(f"Means over layers and {band_note(curves)}.\nA dot: one SAE (layer and replicate) is level "
                    "with its finished scratch SAE in the objective (hollow: never); an arrow: their mean.",
                    fontsize=9.5, wrap=True)  # fmt: skip
    return figure


def _draw_curves(axis: Axes, curves: pd.DataFrame, leading: bool) -> None:
    """Every arm's curve, rings where transfers start, and the level of finished scratch: 1 in the leading row."""
    level_line(axis, 1.0 if leading else last_level(curves))
    for arm in arms_of(curves):
        band(axis, curves[curves["arm"] == arm], arm)
    for arm in transfer_arms(curves):
        start_ring(axis, curves[curves["arm"] == arm], arm)


def _draw_lanes(axis: Axes, needed: pd.DataFrame, saved: pd.DataFrame, last: float) -> None:
    """Beneath the curves, a lane for each arm: its SAEs as dots, the mean saving as an arrow and in words."""
    across = axis.get_xaxis_transform()  # tokens across, share of the panel upwards
    arms = transfer_arms(saved)
    for lane, arm in enumerate(arms):
        height, colour = LANE * (len(arms) - 1 - lane) + 0.055, look(arm)["color"]
        row = saved[saved["arm"] == arm].iloc[0]
        saes = needed[needed["arm"] == arm].sort_values(["act_layer", "seed"])
        for arrived, dots in saes.groupby("arrived"):
            axis.plot(last * (1 - dots["saving"]).clip(upper=1), [height - 0.032] * len(dots), transform=across,
                      linestyle="", marker=look(arm)["marker"], markersize=5, clip_on=False, alpha=0.45,
                      color=colour, markerfacecolor=colour if arrived else "white")  # fmt: skip
        axis.annotate("", (last * (1 - max(row["mean"], 0.0)), height), (last, height), xycoords=across,
                      textcoords=across, annotation_clip=False, arrowprops=ARROW | {"color": colour})  # fmt: skip
        axis.text(0.985, height + 0.014, _words(row), transform=axis.transAxes, ha="right", va="bottom",
                  color=PALETTE["black"], fontsize=9.5, wrap=True)  # fmt: skip


def _tell_fair_savings(axis: Axes, saved: pd.DataFrame) -> None:
    """Beneath the CE-loss scores, what is saved until the score is level at no more L0 than scratch's."""
    if len(saved):
        lines = [_words(row) for _, row in saved.iterrows()]
        words = "\n".join([f"level in {TARGET_NAMES[FAIR]} than scratch:", *lines])
        axis.text(0.985, 0.02, words, transform=axis.transAxes,
                  ha="right", va="bottom", color=PALETTE["black"], fontsize=8.5, zorder=6,
                  bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip


def _words(row: pd.Series) -> str:
    """The saving of an arm as the table has it: "copy: 52% (27% to 60%) fewer new tokens"."""
    return f"{START_NAMES[row['start']]}: {interval_text(row, percent=True)} fewer new tokens"
