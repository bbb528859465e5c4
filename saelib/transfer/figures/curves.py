"""Figures of the transfer experiment (13_convergence): curves, ends and savings.

In: the evaluation table of a run. Out: figures. Every comparison of means is over the same layers (`layer_matched`).
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import figure, heat_maps, new_figure
from saelib.results.intervals import summarise
from saelib.results.text import thousands
from saelib.transfer.convergence import (
    average_curves,
    equal_token_gains,
    final_rows,
    first_crossing,
    trained_rows,
)
from saelib.transfer.convergence import savings as savings_of
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.figures.style import COLOURS, LABELS, METRIC_LABELS, band, legend, reference_line, tokens_axis

ARROWS = {direction: f"{direction}: layer i{offset:+d} → i" for direction, offset in DIRECTIONS.items()}
BETTER = {"ce_score": "higher is better", "mse": "lower is better", "l0": "sparser is lower"}


@figure("convergence", "CE-loss score over new training tokens, layer-matched means with 95% intervals over seeds")
def convergence(evaluation: pd.DataFrame) -> Figure:
    """The main figure: CE-loss score over new tokens, each direction, the control, and finished scratch."""
    curves = average_curves(evaluation, ["ce_score"])
    figure, panels = new_figure(9.6, 4.2, ncols=2, sharey=True)
    for axis, direction in zip(panels[0], DIRECTIONS, strict=True):
        chosen = curves[curves["direction"] == direction]
        target = _draw_curves(axis, chosen, direction)
        _mark_crossing(axis, chosen[chosen["arm"] == direction], target["mean"], direction)
        axis.annotate(f"finished scratch: {thousands(curves['tokens'].max())} tokens", (0.03, target["mean"]),
                      xycoords=("axes fraction", "data"), xytext=(0, 4), textcoords="offset points")  # fmt: skip
        axis.set_title(ARROWS[direction])
    panels[0, 0].set_ylim(*_focus(evaluation, "ce_score"))
    panels[0, 0].set_ylabel("CE-loss score (1 = nothing lost)")
    legend(figure, panels)
    seeds = evaluation["seed"].nunique()
    figure.suptitle(
        f"Held-out CE-loss score over new training tokens, mean over layers and {seeds} seed{'s' * (seeds > 1)}"
        f"{' (bands: 95%)' * (seeds > 1)}", fontsize=10.5,
    )  # fmt: skip
    return figure


def _draw_curves(axis: Axes, curves: pd.DataFrame, direction: str) -> Mapping[str, float]:
    """Control, transfer, and the finished scratch SAEs as a level; returns that level."""
    scratch = curves[curves["arm"] == "scratch"]
    target = scratch.loc[scratch["tokens"].idxmax(), ["mean", "low", "high"]].to_dict()
    transfer = curves[curves["arm"] == direction]
    reference_line(axis, target)
    band(axis, curves[curves["arm"] == "control"], "control", marker="o", markersize=3)
    band(axis, transfer, direction, marker="o", markersize=3)
    start = transfer.loc[transfer["tokens"].idxmin()]
    axis.plot(0, start["mean"], marker="o", markersize=9, markerfacecolor="white", markeredgewidth=1.8, clip_on=False,
              color=COLOURS[direction], linestyle="", label=LABELS["zero_shot"], zorder=5)  # fmt: skip
    tokens_axis(axis, transfer["tokens"].max())
    return target


def _mark_crossing(axis: Axes, transfer: pd.DataFrame, target: float, direction: str) -> None:
    """A foot from the point where the mean transfer curve reaches the mean of finished scratch SAEs."""
    transfer = transfer.sort_values("tokens")
    crossing = first_crossing(transfer["tokens"].to_list(), transfer["mean"].to_list(), target, "rises")
    if math.isfinite(crossing) and crossing > 0:
        axis.vlines(crossing, 0, target, color=COLOURS[direction], linestyle=":", linewidth=1.5)
        right_half = crossing > transfer["tokens"].max() / 4  # the axis is a square root
        axis.annotate(f"level with scratch after\n{thousands(crossing)} new tokens", (crossing, 0.05),
                      xytext=(-7 if right_half else 7, 0), ha="right" if right_half else "left",
                      xycoords=("data", "axes fraction"), textcoords="offset points",
                      bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1})  # fmt: skip


def _focus(evaluation: pd.DataFrame, metric: str) -> tuple[float, float]:
    """Limits that hold every direction's mean curve; the control's first steps may come in from outside."""
    curves = average_curves(evaluation, [metric])
    kept = curves[curves["arm"].isin([*DIRECTIONS])]
    finals = curves[(curves["arm"] != "zero_shot") & (curves["tokens"] >= kept["tokens"].max())]
    means = np.concatenate([kept[["mean", "low", "high"]].to_numpy().ravel(), finals["mean"].to_numpy()])
    low, high = np.nanmin(means), np.nanmax(means)
    return float(low - 0.08 * (high - low)), float(high + 0.08 * (high - low))


@figure("average_curves", "CE-loss score, squared error and L0 over new training tokens, layer-matched means")
def averages(evaluation: pd.DataFrame, metrics: tuple[str, ...] = ("ce_score", "mse", "l0")) -> Figure:
    """Layer-matched means of several metrics over tokens: one row for each direction, one column for each metric."""
    curves = average_curves(evaluation, metrics)
    figure, panels = new_figure(3.4 * len(metrics), 6.2, nrows=2, ncols=len(metrics), sharex=True, sharey="col")
    first = next(iter(DIRECTIONS))
    for row, direction in zip(panels, DIRECTIONS, strict=True):
        for axis, metric in zip(row, metrics, strict=True):
            _draw_curves(axis, curves[(curves["direction"] == direction) & (curves["metric"] == metric)], direction)
            axis.set_title(f"{METRIC_LABELS[metric]}\n{BETTER.get(metric, '')}" if direction == first else "")
            axis.set_ylim(*_focus(evaluation, metric))
        row[0].set_ylabel(ARROWS[direction])
    for axis in panels[0]:
        axis.set_xlabel("")
    legend(figure, panels)
    return figure


@figure("layer_curves", "CE-loss score over new training tokens, layer by layer")
def layers(evaluation: pd.DataFrame, metric: str = "ce_score") -> Figure:
    """One panel for each layer: both transfers, the control, and the level of that layer's finished scratch SAE."""
    trained = trained_rows(evaluation)
    curves = summarise(trained, ["arm", "act_layer", "tokens"], metric)
    layers = sorted(trained["act_layer"].unique())
    columns = min(len(layers), 4 if len(layers) > 6 else 3)
    rows = math.ceil(len(layers) / columns)
    figure, panels = new_figure(3.2 * columns, 2.5 * rows + 0.5, nrows=rows, ncols=columns, sharex=True)
    for axis, layer in zip(panels.ravel(), layers, strict=False):
        _draw_layer(axis, curves[curves["act_layer"] == layer], layer)
    for axis in panels.ravel()[len(layers) :]:
        axis.set_visible(False)
    for axis in panels[:-1].ravel():
        axis.set_xlabel("")
    for axis in panels[:, 0]:
        axis.set_ylabel(METRIC_LABELS[metric])
    legend(figure, panels)
    return figure


def _draw_layer(axis: Axes, curves: pd.DataFrame, layer: int) -> None:
    scratch = curves[curves["arm"] == "scratch"]
    target = scratch.loc[scratch["tokens"].idxmax()]
    reference_line(axis, target[["mean", "low", "high"]].to_dict())
    transfers = curves[curves["arm"].isin([*DIRECTIONS])]
    for arm in ("control", *DIRECTIONS):
        if len(curve := curves[curves["arm"] == arm]):
            band(axis, curve, arm, marker="o", markersize=2.5)
    end_of_control = curves[curves["arm"] == "control"].sort_values("tokens")["mean"].tail(1)
    levels = [*transfers["mean"], target["mean"], *end_of_control]
    axis.set_ylim(min(levels) - 0.1 * np.ptp(levels), max(levels) + 0.15 * np.ptp(levels))
    tokens_axis(axis, curves.loc[curves["arm"] != "scratch", "tokens"].max())
    axis.set_title(f"layer {layer}")


@figure("final_by_layer", "CE loss left over and L0 at the end of training, layer by layer")
def finals(evaluation: pd.DataFrame) -> Figure:
    """Bars by layer at the end of training: the share of CE loss that is not recovered, and L0 beneath it."""
    final = final_rows(evaluation).assign(lost=lambda rows: 1 - rows["ce_score"])
    arms = ("scratch", *DIRECTIONS, "control")
    layers = sorted(final["act_layer"].unique())
    figure, panels = new_figure(max(9.0, 0.85 * len(layers)), 5.2, nrows=2, sharex=True)
    for axis, metric in zip(panels[:, 0], ("lost", "l0"), strict=True):
        summary = summarise(final, ["arm", "act_layer"], metric)
        for position, arm in enumerate(arms):
            rows = summary[summary["arm"] == arm]
            places = rows["act_layer"].map(layers.index) + 0.2 * (position - 1.5)
            half = (rows["high"] - rows["mean"]).fillna(0)
            axis.bar(places, rows["mean"], 0.19, yerr=half, color=COLOURS[arm], label=LABELS[arm],
                     error_kw={"linewidth": 1, "ecolor": "#c04040"})  # fmt: skip
        axis.grid(axis="x", visible=False)
    panels[0, 0].set_ylabel("1 - CE-loss score\n(lower is better)")
    panels[1, 0].set_ylabel(METRIC_LABELS["l0"])
    panels[1, 0].set_xticks(range(len(layers)), [str(layer) for layer in layers])
    panels[1, 0].set_xlabel("layer")
    legend(figure, panels)
    return figure


@figure("equal_token_gains", "Transfer minus from-scratch control at the same number of new tokens")
def gains(evaluation: pd.DataFrame, metrics: tuple[str, ...] = ("ce_score", "mse", "l0")) -> Figure:
    """Transfer minus control at equal new tokens: what the start is worth, and how that fades."""
    gains = equal_token_gains(evaluation, metrics)
    figure, panels = new_figure(3.3 * len(metrics), 3.2, ncols=len(metrics))
    for axis, metric in zip(panels[0], metrics, strict=True):
        chosen = gains[(gains["metric"] == metric) & (gains["tokens"] > 0)]
        for direction in DIRECTIONS:
            band(axis, chosen[chosen["direction"] == direction], direction, marker="o", markersize=3)
        axis.axhline(0, color=COLOURS["control"], linewidth=1)
        tokens_axis(axis, chosen["tokens"].max())
        _signed_log(axis, chosen["mean"].to_numpy())
        axis.set_title(f"{METRIC_LABELS[metric]}\n{BETTER.get(metric, '')}")
    panels[0, 0].set_ylabel("transfer minus control")
    legend(figure, panels)
    return figure


def _signed_log(axis: Axes, values: np.ndarray) -> None:
    """A scale that is logarithmic on both sides of 0, with a tick at each power of ten that the values reach."""
    sizes = np.abs(values)
    lowest = max(sizes.min(), sizes.max() / 1000, 1e-9)
    powers = np.arange(math.floor(math.log10(lowest)), math.ceil(math.log10(max(sizes.max(), lowest))) + 1)
    low, high = axis.get_ylim()
    decades = [sign * 10.0**power for power in powers for sign in (-1, 1) if low <= sign * 10.0**power <= high]
    axis.set_yscale("symlog", linthresh=10.0 ** powers[0])
    axis.set_yticks([0.0, *decades], [f"{tick:,.10g}" for tick in (0.0, *decades)])
    axis.set_ylim(low, high)


@figure("savings", "Share of the training tokens that a transfer saves until it is as good as scratch")
def savings(evaluation: pd.DataFrame) -> Figure:
    """Share of training tokens saved until the finished scratch SAE is matched, on CE-loss score and on loss."""
    table = savings_of(evaluation)
    targets = {"ce_score": "target: final CE-loss score", "loss": "target: final training loss"}
    figure, panels = new_figure(8, 2.6, ncols=2, sharey=True)
    for axis, (target, title) in zip(panels[0], targets.items(), strict=True):
        chosen = table[(table["target"] == target) & (table["arm"] == table["direction"])].set_index("direction")
        for place, direction in enumerate(DIRECTIONS):
            row = chosen.loc[direction]
            half = np.nan_to_num(row["high"] - row["mean"])
            axis.barh(place, row["mean"], 0.55, xerr=half, color=COLOURS[direction],
                      error_kw={"linewidth": 1.5, "capsize": 3})  # fmt: skip
            label = f"{row['mean']:.0%}  ({row['share_reached']:.0%} arrive)"
            end = (max(row["mean"] + half, 0), place)
            axis.annotate(label, end, xytext=(6, 0), textcoords="offset points", va="center")
        axis.set_yticks(range(len(DIRECTIONS)), DIRECTIONS)
        axis.set_ylim(len(DIRECTIONS) - 0.5, -0.5)
        axis.set(title=title, xlim=(min(0.0, np.nanmin([*chosen["low"], 0.0])), 1.45), xlabel="share of tokens saved")
        axis.set_xticks([0, 0.25, 0.5, 0.75, 1.0], ["0%", "25%", "50%", "75%", "100%"])
        axis.grid(axis="y", visible=False)
    return figure


@figure("zero_shot_matrix", "CE-loss score of scratch SAEs read at every layer, untrained there")
def zero_shot_matrix(matrices: Mapping[str, pd.DataFrame]) -> Figure:
    """Every scratch SAE at every layer: rows are the layer it was trained on, columns the one that it reads.

    A score below 0 is worse than zeros in place of the residual stream; the colours end there.

    Args:
        matrices: `convergence.zero_shot_matrix` by title.
    """
    return heat_maps(
        {title: matrix.to_numpy() for title, matrix in matrices.items()},
        {title: list(matrix.index) for title, matrix in matrices.items()},
        ("SAE trained on layer", "read at layer"),
        "CE-loss score",
        lowest=0.0,
    )
