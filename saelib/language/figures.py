"""Figures of the language model.

In: arrays that `predictions` and `residuals` have computed. Out: named figures; `results.figures.save_figure` keeps
them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from saelib.results.figures import PALETTE, figure, heat_maps, log_ticks, new_figure


@figure("loss_by_position", "Held-out loss of the language model by position in the context")
def loss(losses: Float[np.ndarray, " positions"], baselines: Mapping[str, float]) -> Figure:
    """Loss by position, averaged over windows that grow with the position, and a dashed line for each baseline.

    Args:
        losses: mean cross-entropy in nats of the token after each position.
        baselines: losses without any context, by what they are called.
    """
    figure, panels = new_figure(7, 3.4)
    axis = panels[0, 0]
    edges = np.unique(np.geomspace(1, len(losses) + 1, 25).astype(int))
    windows = [losses[first - 1 : last - 1].mean() for first, last in pairwise(edges)]
    axis.plot(edges[:-1], windows, marker="o", markersize=4, color=PALETTE["blue"])
    for name, level in baselines.items():
        axis.axhline(level, color=PALETTE["grey"], linestyle="--", linewidth=1.2)
        axis.annotate(name, (1, level), xycoords=("axes fraction", "data"), xytext=(0, 3), ha="right",
                      textcoords="offset points", color="#606060")  # fmt: skip
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_ylim(0, 1.08 * max([*baselines.values(), losses.max()]))
    axis.set(xlabel="position in the context (tokens)", ylabel="held-out loss (nats a token)")
    return figure


@figure("residual_norms", "Mean norm of the residual stream by layer")
def norms(means: Float[np.ndarray, " layers"], layers: Sequence[int]) -> Figure:
    """Mean norm of the residual stream after each layer.

    Args:
        means: Euclidean lengths, averaged over tokens.
        layers: which layers they belong to.
    """
    figure, panels = new_figure(5, 2.8)
    axis = panels[0, 0]
    bars = axis.bar([str(layer) for layer in layers], means, color=PALETTE["blue"], width=0.7)
    axis.bar_label(bars, fmt="%.1f", padding=2)
    axis.grid(axis="x", visible=False)
    axis.margins(y=0.12)
    axis.set(xlabel="layer (hook_resid_post)", ylabel="mean norm of the residual")
    return figure


@figure("norms_by_position", "Mean norm of the residual stream by position in the context")
def norms_by_position(
    means: Float[np.ndarray, "layers positions"],
    layers: Sequence[int],
    with_sink: Float[np.ndarray, "layers others"] | None = None,
    sink_token: str | None = None,
) -> Figure:
    """Mean norm of the residual stream at each position, a line for each layer; both axes are logarithmic.

    Args:
        means: as `residuals.norms_by_position` gives them.
        layers: which layers they belong to.
        with_sink: the same of rows that begin with a sink token; a second panel.
        sink_token: its text.
    """
    panels = [means] if with_sink is None else [means, with_sink]
    figure, axes = new_figure(7 if with_sink is None else 10, 3.2, ncols=len(panels), sharey=True)
    for axis, values in zip(axes[0], panels, strict=True):
        _draw_by_position(axis, values, layers)
    if with_sink is not None:
        axes[0, 0].set_title("text alone")
        axes[0, 1].set_title(f"behind {sink_token}", parse_math=False)
    axes[0, 0].set_ylabel("mean norm of the residual")
    axes[0, -1].legend(fontsize=8.5, loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def _draw_by_position(axis: Axes, means: Float[np.ndarray, "layers positions"], layers: Sequence[int]) -> None:
    for colour, layer, values in zip(sns.color_palette("viridis", len(layers)), layers, means, strict=True):
        axis.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.4, label=f"layer {layer}")
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axis.set_yscale("log")
    log_ticks(axis.yaxis)
    axis.set_xlabel("position in the context (tokens)")


@figure("angular_distance", "Mean angular distance between the residual streams of two layers")
def angular_distances(
    published: Float[np.ndarray, "others others"],
    published_title: str,
    ours: Float[np.ndarray, "layers layers"],
    title: str,
    layers: Sequence[int],
) -> Figure:
    """Angular distances of all pairs of layers: a published matrix beside this model's, on one colour scale.

    Args:
        published: of all layers of the other model, from 0 on.
        published_title: which model that is.
        ours: as `residuals.residual_geometry` gives them.
        title: which model this is; not the same as `published_title`.
        layers: which layers `ours` belongs to.
    """
    matrices = {published_title: published, title: ours}
    labels = {published_title: range(len(published)), title: layers}
    return heat_maps(matrices, labels, ("layer", "layer"), "mean angular distance")
