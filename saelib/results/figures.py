"""How every figure looks, what it is called, and how it is kept.

In: numbers from result tables. Out: figures as PNG and SVG in `runs/<run>/figures`, byte for byte the same when drawn
again. Figures are made without pyplot, so that none stays behind in memory.
"""

import io
from collections.abc import Callable, Mapping, Sequence
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from saelib.run.files import write_atomically

if TYPE_CHECKING:
    from IPython.display import Image

    from saelib.run.config import Run

Parameters = ParamSpec("Parameters")

_PALETTE = sns.color_palette("colorblind").as_hex()
COLOURS = {
    "forward": _PALETTE[0],  # blue
    "backward": _PALETTE[1],  # orange
    "control": "#8c8c8c",
    "scratch": "#202020",
    "zero_shot": _PALETTE[4],
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
# Name of the file, and what it shows: the caption in the report and the text for those who cannot see it.
CAPTIONS = {
    "loss_by_position": "Held-out loss of the language model by position in the context",
    "residual_norms": "Mean norm of the residual stream by layer",
    "angular_distance": "Mean angular distance between the residual streams of two layers",
    "choice_of_lambda": "CE-loss score and L0 of finished SAEs by L1 coefficient",
    "training_curves": "Training loss, squared error and L0 of the scratch SAEs over tokens",
    "zero_shot_matrix": "CE-loss score of scratch SAEs read at every layer, untrained there",
    "convergence": "CE-loss score over new training tokens, layer-matched means with 95% intervals over seeds",
    "average_curves": "CE-loss score, squared error and L0 over new training tokens, layer-matched means",
    "layer_curves": "CE-loss score over new training tokens, layer by layer",
    "final_by_layer": "CE loss left over and L0 at the end of training, layer by layer",
    "equal_token_gains": "Transfer minus from-scratch control at the same number of new tokens",
    "savings": "Share of the training tokens that a transfer saves until it is as good as scratch",
    "report_averages": "Averages over layers, over new tokens as a share of the source's, paper and this run",
    "report_normalised": "Normalised CE-loss score at the end of transfer by layer, paper and this run",
    "htest_accuracy_heat_map": "H-Test accuracy by task and model, with controls and the mean of the tasks",
    "htest_shots": "H-Test accuracy over the number of shots, each task and their mean with its 95% interval",
    "htest_letter_bias": "Log-probability of A minus that of B for items with label A and with label B, by task",
    "htest_ranking": "H-Test accuracy beside the accuracy at the median margin and the AUROC of the margin, by task",
    "htest_family": "Mean H-Test accuracy of each model of a family with its 95% interval",
    "htest_fine_tuning": "H-Test accuracy over training items seen in fine-tuning, by task and probe",
    "htest_shortcuts": "Accuracy of the best one-threshold shortcut by task, on official and fresh items",
    "htest_letter_geometry": "Accuracy on letter geometry by model, against guessing one of four options",
}

STYLE = {
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "saelib",  # element ids would be random
}
DPI = 100
COLOURS_KEPT = 256  # of a PNG; more than a figure's lines, bands and their blends need


def styled(draw: Callable[Parameters, Figure]) -> Callable[Parameters, Figure]:
    """Draw in the house style, whatever the caller's settings are, and leave those alone."""

    @wraps(draw)
    def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Figure:
        with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float, **grid: Any) -> tuple[Figure, np.ndarray]:
    """A figure of `width` x `height` inches and its axes as a two-dimensional array (`grid` goes to `subplots`)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(squeeze=False, **grid)


def save_figure(run: "Run", name: str, figure: Figure) -> "Image":
    """Keep a figure as `figures/<name>.png` and `.svg` of the run; returns what a notebook shows.

    Raises:
        ValueError: the name has no caption.
    """
    if name not in CAPTIONS:
        raise ValueError(f"figure {name!r} has no caption in CAPTIONS; the known ones are {', '.join(CAPTIONS)}")
    from IPython.display import Image

    folder = run.folder / "figures"
    contents = {
        "png": _fewer_colours(_rendered(figure, "png", {"Software": None})),
        "svg": _rendered(figure, "svg", {"Date": None, "Creator": None}),
    }
    for suffix, content in contents.items():
        write_atomically(folder / f"{name}.{suffix}", partial(_write, content))
    return Image(data=contents["png"], alt=CAPTIONS[name])


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _rendered(figure: Figure, suffix: str, metadata: Mapping[str, None]) -> bytes:
    stream = io.BytesIO()
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure.savefig(stream, format=suffix, dpi=DPI, metadata=dict(metadata))
    return stream.getvalue()


def _fewer_colours(png: bytes) -> bytes:
    """A PNG with a palette, a third of the size: notebooks hold these, and nobody sees the difference."""
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").quantize(COLOURS_KEPT).save(stream, format="png", optimize=True)
    return stream.getvalue()


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


def figure_legend(figure: Figure, panels: np.ndarray) -> None:
    """One legend beneath all panels, with everything that any of them shows."""
    found: dict[str, Any] = {}
    for axis in panels.ravel():
        handles, labels = axis.get_legend_handles_labels()
        found = dict(zip(labels, handles, strict=True)) | found
    order = [label for label in LABELS.values() if label in found]
    order += [label for label in found if label not in order]
    figure.legend([found[label] for label in order], order, loc="outside lower center", ncols=min(len(order), 6),
                  fontsize=9, columnspacing=1.2, handlelength=1.6)  # fmt: skip


def log_ticks(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of every power of ten, on an axis that is logarithmic."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:,.4g}")
    axis.set_minor_formatter("")


@styled
def heat_maps(
    matrices: Mapping[str, Float[np.ndarray, "rows columns"]],
    labels: Mapping[str, Sequence[int]],
    axes: tuple[str, str],
    value: str,
    lowest: float | None = None,
) -> Figure:
    """Matrices side by side on one colour scale, each cell with its number.

    Args:
        matrices: by title.
        labels: layers of each matrix, by title; the same ones for rows and columns.
        axes: what rows and columns are.
        value: what the colours mean.
        lowest: where the colour scale begins; smaller numbers are shown in its first colour.
    """
    figure, panels = new_figure(4.6 * len(matrices) + 0.8, 4.4, ncols=len(matrices))
    everything = np.concatenate([matrix.ravel() for matrix in matrices.values()])
    low = float(np.nanmin(everything)) if lowest is None else lowest
    for axis, (title, matrix) in zip(panels[0], matrices.items(), strict=True):
        sns.heatmap(matrix, ax=axis, vmin=low, vmax=float(np.nanmax(everything)), cmap="cividis", square=True,
                    annot=True, fmt=".2f", annot_kws={"size": 10 if len(matrix) < 9 else 6.5}, cbar=False,
                    xticklabels=labels[title], yticklabels=labels[title])  # fmt: skip
        axis.set(title=title, ylabel=axes[0], xlabel=axes[1])
        axis.tick_params(length=0, rotation=0)
        axis.grid(False)
    figure.colorbar(panels[0][0].collections[0], ax=panels[0].tolist(), label=value, shrink=0.85,
                    extend="neither" if lowest is None else "min")  # fmt: skip
    return figure
