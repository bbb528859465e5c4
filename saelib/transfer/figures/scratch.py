"""Figures of SAEs from scratch: how they trained, how lambda was chosen, and what they score at other layers.

In: tables of a run. Out: named figures; `results.figures.save_figure` keeps them.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from saelib.results.figures import figure, heat_maps, log_ticks, new_figure
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.figures.style import legend, look, tokens_axis
from saelib.transfer.wording import METRIC_NAMES, SHORT_NAMES

TRAINING_NAMES = {"loss": "training loss\n(MSE + λ·L1)"}  # on training text, not on held-out text


@figure("training_curves", "Training loss, squared error and L0 of the scratch SAEs over tokens")
def training(table: pd.DataFrame, metrics: Sequence[str] = ("loss", "mse", "l0")) -> Figure:
    """Scratch training: each metric over tokens, one line for each layer, mean over replicates.

    Args:
        table: rows of `training.parquet`.
        metrics: one panel for each of them.
    """
    figure, panels = new_figure(9.6, 3.2, ncols=len(metrics))
    scratch = table[table["arm"] == "scratch"]
    layers = sorted(scratch["sae_layer"].unique())
    colours = sns.color_palette("viridis", len(layers))
    for axis, metric in zip(panels[0], metrics, strict=True):
        means = scratch[scratch["metric"] == metric].pivot_table("value", "tokens", "sae_layer")
        for colour, layer in zip(colours, layers, strict=True):
            axis.plot(means.index, means[layer], color=colour, marker="o", markersize=2.5, label=f"layer {layer}")
        tokens_axis(axis, means.index.max())
        axis.set(title=TRAINING_NAMES.get(metric, SHORT_NAMES[metric]), yscale="log")
        log_ticks(axis.yaxis)
    legend(figure, panels)
    replicates = int(scratch.groupby(["sae_layer", "tokens", "metric"]).size().max())
    figure.suptitle(
        f"On training text; means over {replicates} replicate{'s' * (replicates != 1)}.", fontsize=9.5, wrap=True
    )
    return figure


@figure("choice_of_lambda", "CE-loss score and L0 of finished SAEs by L1 coefficient")
def choice_of_lambda(trials: pd.DataFrame, config: ExperimentConfig) -> Figure:
    """CE-loss score of finished SAEs and of their untrained neighbours against L0, one point for each lambda.

    Args:
        trials: columns l1_coefficient, learning_rate, ce_score, zero_shot_ce_score, l0. One line for each learning
            rate, the config's solid and in front.
        config: its lambda is marked.
    """
    figure, panels = new_figure(9.6, 3.6)
    axis = panels[0, 0]
    kinds = {"ce_score": ("scratch", "at its own layer"), "zero_shot_ce_score": ("forward", "untrained at a neighbour")}
    for rate, rows in trials.sort_values("l0").groupby("learning_rate"):
        used = np.isclose(float(str(rate)), config.scratch.learning_rate)
        for metric, (arm, place) in kinds.items():
            axis.plot(rows["l0"], rows[metric], marker="o", color=look(arm)["color"], linestyle="-" if used else ":",
                      alpha=1.0 if used else 0.5, label=f"{place}, learning rate {rate:g}")  # fmt: skip
        for row in rows.to_dict("records") if used else []:
            chosen = np.isclose(row["l1_coefficient"], config.l1_coefficient)
            axis.annotate(f"λ = {row['l1_coefficient']:g}", (row["l0"], row["ce_score"]), xytext=(0, 7), ha="center",
                          textcoords="offset points", weight="bold" if chosen else "normal", fontsize=9)  # fmt: skip
    axis.margins(y=0.2)
    axis.set(xlabel=METRIC_NAMES["l0"], ylabel=METRIC_NAMES["ce_score"], xscale="log")
    log_ticks(axis.xaxis)
    axis.legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5), title="bold λ: this run's",
                title_fontsize=8.5, alignment="left")  # fmt: skip
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
