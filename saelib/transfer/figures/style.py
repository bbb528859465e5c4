"""How figures of paper 1 look: a colour and a marker for each arm, the axis of tokens, bands, and what a band is.

In: tidy tables of curves (direction, arm, tokens, metric, mean, low, high, count). Out: lines, bands, axes, sentences.
The colour says direction (cool: forward, warm: backward) and start together, the marker the start, the line how far
away the source is: whoever cannot tell two colours apart has the marker.
"""

import itertools
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from saelib.results.figures import PALETTE, figure_legend
from saelib.sae.starts import STARTS
from saelib.transfer.directions import DIRECTIONS, arm_name, parse_arm, transfer_arms
from saelib.transfer.wording import arm_label

COLOURS = {
    ("forward", "copy"): PALETTE["blue"],
    ("forward", "affine"): PALETTE["green"],
    ("forward", "procrustes"): PALETTE["sky"],
    ("backward", "copy"): PALETTE["orange"],
    ("backward", "affine"): PALETTE["vermilion"],
    ("backward", "procrustes"): PALETTE["brown"],
}
BASELINE_COLOURS = {"scratch": PALETTE["black"], "control": PALETTE["grey"]}
MARKERS = {"copy": "o", "affine": "s", "procrustes": "^"}
LINES = {1: "-", 2: "--", 3: ":"}
TARGET_LABEL = "finished scratch: the level to reach"
START_LABEL = "before any training"


def look(arm: str) -> dict[str, Any]:
    """Colour, line, marker and label of an arm, as `Axes.plot` takes them."""
    parsed = parse_arm(arm)
    if parsed is None:
        return {"color": BASELINE_COLOURS[arm], "linestyle": "-", "marker": "D", "label": arm_label(arm)}
    return {"color": COLOURS[parsed.direction, parsed.start], "linestyle": LINES.get(parsed.distance, "-."),
            "marker": MARKERS[parsed.start], "label": arm_label(arm)}  # fmt: skip


def nearest(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the transfers from the nearest sources, with their baselines."""
    return table[table["distance"] == table["distance"].min()]


def nearest_arms(table: pd.DataFrame) -> list[str]:
    """The transfers from the nearest sources, in a table without a column `distance`."""
    arms = [arm for arm in map(parse_arm, transfer_arms(table)) if arm]
    closest = min((arm.distance for arm in arms), default=1)
    return [arm.name for arm in arms if arm.distance == closest]


def arms_of(curves: pd.DataFrame) -> list[str]:
    """The arms of a table in the order of drawing: scratch and control, then transfers."""
    there = set(curves["arm"])
    return [arm for arm in BASELINE_COLOURS if arm in there] + transfer_arms(curves)


def directions_of(table: pd.DataFrame) -> list[str]:
    """The directions in a table, in their order."""
    return [direction for direction in DIRECTIONS if direction in set(table["direction"])]


def band(axis: Axes, curve: pd.DataFrame, arm: str, **style: Any) -> None:
    """A mean over tokens with its interval; the columns are tokens, mean, low and high."""
    curve = curve.sort_values("tokens")
    style = look(arm) | {"markersize": 2.8} | style
    axis.plot(curve["tokens"], curve["mean"], **style)
    axis.fill_between(curve["tokens"], curve["low"].astype(float), curve["high"].astype(float),
                      color=style["color"], alpha=0.18, linewidth=0)  # fmt: skip


def half_widths(summary: pd.DataFrame) -> np.ndarray:
    """From the means down to `low` and up to `high`, as `Axes.errorbar` takes them; 0 where there is no interval."""
    bounds = summary[["low", "high"]].astype(float)
    return np.nan_to_num(bounds.sub(summary["mean"], axis="index").abs().to_numpy().T)


def last_level(curves: pd.DataFrame, arm: str = "scratch") -> float:
    """An arm's mean at its last budget."""
    curve = curves[curves["arm"] == arm]
    return float(curve.loc[curve["tokens"].idxmax(), "mean"])


def level_line(axis: Axes, level: float) -> None:
    """The level of finished scratch SAEs, dashed."""
    axis.axhline(level, color=PALETTE["black"], linestyle="--", linewidth=1.1, label=TARGET_LABEL)


def start_ring(axis: Axes, curve: pd.DataFrame, arm: str, told: bool = True) -> None:
    """A hollow mark where a transfer stands before any training; at the edge, where that is off the axis.

    Args:
        told: write the value beside a mark at the edge; small panels have no room for it.
    """
    start = curve[curve["tokens"] == 0]
    if start.empty:
        return
    value, style = float(start["mean"].iloc[0]), look(arm)
    bottom, top = axis.get_ylim()
    ring = {"color": style["color"], "marker": style["marker"], "linestyle": "", "markersize": 7, "zorder": 5,
            "markerfacecolor": "white", "markeredgewidth": 1.6, "clip_on": False,
            "label": START_LABEL}  # fmt: skip
    axis.plot(0, min(max(value, bottom), top), **ring)
    if told and not bottom <= value <= top:
        axis.annotate(f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}", (0, min(max(value, bottom), top)),
                      xytext=(18, -3 if value > top else 3), va="top" if value > top else "bottom",
                      textcoords="offset points", color=style["color"], fontsize=8.5,
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5})  # fmt: skip


def focus(axis: Axes, curves: pd.DataFrame, room_below: float = 0.08) -> None:
    """Limit the axis to what transfers reach once they train, and to the baselines' end: starts may lie outside.

    Args:
        curves: rows of one metric, of all panels that share this axis.
        room_below: share of the axis that stays free beneath the curves.
    """
    trained = curves[(curves["tokens"] > 0) & curves["arm"].map(lambda arm: parse_arm(arm) is not None)]
    ends = curves[curves["tokens"] == curves.groupby("arm")["tokens"].transform("max")]
    seen = pd.concat([trained, ends])
    values = seen[["mean", "low", "high"]].to_numpy(float)
    if np.isnan(values).all():  # nothing of what is compared here is left
        return
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    height = (high - low or abs(high) or 1.0) / (1 - room_below - 0.08)
    bottom, top = low - room_below * height, low + (1 - room_below) * height
    ticks = MaxNLocator(5, steps=(1, 2, 2.5, 5, 10)).tick_values(low, top)
    axis.set_yticks([tick for tick in ticks if low - 0.1 * height <= tick])  # none in the room below
    axis.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
    axis.set_ylim(bottom, top)


def tokens_axis(axis: Axes, last: float, label: bool = True) -> None:
    """New training tokens from 0 to `last`, linear, in tokens, thousands or millions."""
    unit, word = next((size, word) for size, word in ((1e6, "millions"), (1e3, "thousands"), (1, ""))
                      if last >= 5 * size or size == 1)  # fmt: skip
    axis.set_xlim(0, last)
    axis.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
    axis.xaxis.set_major_formatter(lambda value, _: f"{value / unit:,.4g}")
    if label:
        axis.set_xlabel(f"new tokens{f' ({word})' if word else ''}")


def band_note(table: pd.DataFrame, what: str = "bands") -> str:
    """How many replicates stand behind a table's means, and what its bands are: a half sentence for the figure."""
    replicates = int(table["count"].max())
    counted = f"{replicates} replicate{'s' * (replicates != 1)}"
    if not np.isfinite(table["low"].astype(float)).any():
        return f"{counted}, no intervals"
    over = "replicates and held-out rows" if replicates > 1 else "held-out rows"
    return f"{counted}; {what}: 95% intervals (bootstrap over {over})"


def legend(figure: Figure, panels: np.ndarray, columns: int = 4) -> None:
    """One legend beneath all panels, baselines first, then the level to reach."""
    ways = [arm_name(direction, start) for start, direction in itertools.product(STARTS, DIRECTIONS)]
    figure_legend(figure, panels, [*map(arm_label, [*BASELINE_COLOURS, *ways]), TARGET_LABEL], columns)
