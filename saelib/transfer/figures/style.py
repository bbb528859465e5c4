"""How figures of paper 1 look: a colour and a label for each arm, labels of metrics, and the axis of tokens.

In: curves with the columns tokens, mean, low and high. Out: lines, bands and axes.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import PALETTE, figure_legend

COLOURS = {
    "forward": PALETTE["blue"],
    "backward": PALETTE["orange"],
    "control": PALETTE["grey"],
    "scratch": PALETTE["black"],
    "zero_shot": PALETTE["purple"],
}
LABELS = {
    "forward": "forward transfer",
    "backward": "backward transfer",
    "control": "from scratch, same new tokens",
    "scratch": "from scratch, finished",
    "zero_shot": "source, not trained here",
}
METRIC_LABELS = {
    "ce_score": "CE-loss score",
    "mse": "MSE (summed over d_model)",
    "l0": "L0 (active features a token)",
    "loss": "training loss",
    "explained_variance": "explained variance",
}


def tokens_axis(axis: Axes, last: float) -> None:
    """New training tokens in thousands or millions on a square-root scale, which shows the first ones."""
    unit, word = (1e6, "millions") if last >= 5e6 else (1e3, "thousands")
    axis.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    axis.set_xlim(0, last)
    ticks = np.unique([float(f"{last * share:.1g}") for share in (0.02, 0.1, 0.25, 0.5)])
    ticks = np.array([0.0, *ticks[(ticks > 0) & (ticks < 0.75 * last)], last])
    axis.set_xticks(ticks, [f"{tick / unit:,.3g}" for tick in ticks])
    axis.minorticks_off()
    axis.set_xlabel(f"new training tokens ({word})")


def band(axis: Axes, curve: pd.DataFrame, arm: str, **style: Any) -> None:
    """A mean over tokens with its interval; the columns are tokens, mean, low and high."""
    curve = curve.sort_values("tokens")
    axis.plot(curve["tokens"], curve["mean"], color=COLOURS[arm], label=LABELS[arm], **style)
    axis.fill_between(curve["tokens"], curve["low"], curve["high"], color=COLOURS[arm], alpha=0.2, linewidth=0)


def reference_line(axis: Axes, summary: Mapping[str, float], arm: str = "scratch") -> None:
    """A level to be reached, dashed, with its interval; the keys are mean, low and high."""
    axis.axhline(summary["mean"], color=COLOURS[arm], linestyle="--", linewidth=1.3, label=LABELS[arm])
    if np.isfinite(summary["low"]):
        axis.axhspan(summary["low"], summary["high"], color=COLOURS[arm], alpha=0.10, linewidth=0)


def legend(figure: Figure, panels: np.ndarray) -> None:
    """One legend beneath all panels, arms first."""
    figure_legend(figure, panels, LABELS.values())
