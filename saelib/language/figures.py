"""Figures of the language model and of scratch training (notebooks 01 and 02).

In: arrays and tables. Out: figures; `figures.save_figure` keeps them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.figure import Figure

from saelib.results.figures import COLOURS, METRIC_LABELS, figure_legend, log_ticks, new_figure, styled, tokens_axis
from saelib.transfer.config import ExperimentConfig


@styled
def loss_figure(losses: Float[np.ndarray, " positions"], baselines: Mapping[str, float]) -> Figure:
    """Loss by position, averaged over windows that grow with the position, between the baselines' lines."""
    figure, panels = new_figure(7, 3.4)
    axis = panels[0, 0]
    edges = np.unique(np.geomspace(1, len(losses) + 1, 25).astype(int))
    windows = [losses[first - 1 : last - 1].mean() for first, last in pairwise(edges)]
    axis.plot(edges[:-1], windows, marker="o", markersize=4, color=COLOURS["forward"])
    for name, loss in baselines.items():
        axis.axhline(loss, color=COLOURS["control"], linestyle="--", linewidth=1.2)
        axis.annotate(name, (1, loss), xycoords=("axes fraction", "data"), xytext=(0, 3), ha="right",
                      textcoords="offset points", color="#606060")  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_ylim(0, 1.08 * max([*baselines.values(), losses.max()]))
    axis.set(xlabel="position in the context (tokens)", ylabel="held-out loss (nats a token)")
    return figure


@styled
def norms_figure(norms: Float[np.ndarray, " layers"], layers: Sequence[int]) -> Figure:
    """Mean norm of the residual stream after each layer."""
    figure, panels = new_figure(5, 2.8)
    axis = panels[0, 0]
    bars = axis.bar([str(layer) for layer in layers], norms, color=COLOURS["forward"], width=0.7)
    axis.bar_label(bars, fmt="%.1f", padding=2)
    axis.grid(axis="x", visible=False)
    axis.margins(y=0.12)
    axis.set(xlabel="layer (hook_resid_post)", ylabel="mean norm of the residual")
    return figure


@styled
def training_figure(training: pd.DataFrame, metrics: Sequence[str] = ("loss", "mse", "l0")) -> Figure:
    """Scratch training: each metric over tokens, one line a layer, mean over seeds.

    Args:
        training: rows of `training.parquet`.
    """
    figure, panels = new_figure(9.6, 3.2, ncols=len(metrics))
    scratch = training[training["arm"] == "scratch"]
    layers = sorted(scratch["sae_layer"].unique())
    colours = sns.color_palette("viridis", len(layers))
    for axis, metric in zip(panels[0], metrics, strict=True):
        means = scratch[scratch["metric"] == metric].pivot_table("value", "tokens", "sae_layer")
        for colour, layer in zip(colours, layers, strict=True):
            axis.plot(means.index, means[layer], color=colour, marker="o", markersize=2.5, label=f"layer {layer}")
        tokens_axis(axis, means.index.max())
        axis.set(title=METRIC_LABELS[metric], yscale="log")
        log_ticks(axis.yaxis)
    figure_legend(figure, panels)
    return figure


@styled
def choice_figure(trials: pd.DataFrame, config: ExperimentConfig) -> Figure:
    """CE-loss score of finished SAEs and of their untrained neighbours against L0, one point a lambda.

    Args:
        trials: columns l1_coefficient, learning_rate, ce_score, zero_shot_ce_score, l0. A line a learning rate,
            the config's solid and in front.
        config: its lambda is marked.
    """
    figure, panels = new_figure(9.6, 3.6)
    axis = panels[0, 0]
    kinds = {"ce_score": ("scratch", "at its own layer"), "zero_shot_ce_score": ("forward", "untrained at a neighbour")}
    for rate, rows in trials.sort_values("l0").groupby("learning_rate"):
        used = np.isclose(float(str(rate)), config.scratch.learning_rate)
        for metric, (arm, place) in kinds.items():
            axis.plot(rows["l0"], rows[metric], marker="o", color=COLOURS[arm], linestyle="-" if used else ":",
                      alpha=1.0 if used else 0.5, label=f"{place}, learning rate {rate:g}")  # fmt: skip
        for row in rows.to_dict("records") if used else []:
            chosen = np.isclose(row["l1_coefficient"], config.l1_coefficient)
            axis.annotate(f"λ = {row['l1_coefficient']:g}", (row["l0"], row["ce_score"]), xytext=(0, 7), ha="center",
                          textcoords="offset points", weight="bold" if chosen else "normal", fontsize=9)  # fmt: skip
    axis.margins(y=0.2)
    axis.set(xlabel=METRIC_LABELS["l0"], ylabel=METRIC_LABELS["ce_score"], xscale="log")
    log_ticks(axis.xaxis)
    axis.legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
