"""How every figure looks, what it is called, and how it is kept.

In: functions that draw, each with its name and caption (`@figure`). Out: figures as PNG and SVG in
`runs/<run>/figures`, byte for byte the same when drawn again. Figures are made without pyplot, so that none stays
behind in memory.
"""

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec

import matplotlib as mpl
import numpy as np
import seaborn as sns
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import LogLocator

from saelib.results.text import is_seen, printable, shortened
from saelib.run.files import path_part, write_atomically
from saelib.run.lock import writing

if TYPE_CHECKING:
    from IPython.display import Image

    from saelib.run.config import Run

Parameters = ParamSpec("Parameters")

_COLOURS = sns.color_palette("colorblind").as_hex()
PALETTE = {"blue": _COLOURS[0], "orange": _COLOURS[1], "green": _COLOURS[2], "vermilion": _COLOURS[3],
           "purple": _COLOURS[4], "brown": _COLOURS[5], "sky": _COLOURS[9], "grey": "#8c8c8c",
           "black": "#202020"}  # fmt: skip

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
    "text.parse_math": False,  # names come from outside: a pair of "$" in one would begin a formula
}
DPI = 200  # of a PNG that is kept
SHRINK = 2  # notebooks hold pictures of half as many dots a side
SMALLEST_DIGITS = 8.5  # points, in the cells of a heat map
LONGEST_LABEL = 48  # signs of a name over a panel
FONT = "DejaVu Sans"  # comes with matplotlib, so that a figure looks the same everywhere
COLOURS_KEPT = 256  # of a PNG; more than a figure's lines, bands and their blends need


@dataclass(frozen=True)
class NamedFigure:
    """A drawn figure, the name of its files, and the sentence that says what it shows."""

    name: str
    caption: str
    """Title in the report, and the text for those who cannot see the figure."""
    figure: Figure

    def _repr_png_(self) -> bytes:
        """What JupyterLab shows of a figure that is not kept."""
        return _rendered(self.figure, "png", {"Software": None})


def figure(name: str, caption: str) -> Callable[[Callable[Parameters, Figure]], Callable[Parameters, NamedFigure]]:
    """Name what a function draws, and have it drawn in the house style, whatever the caller's settings are.

    Args:
        name: of its files: letters, digits and underscores.
        caption: one sentence without a full stop.
    """

    def named(draw: Callable[Parameters, Figure]) -> Callable[Parameters, NamedFigure]:
        @wraps(draw)
        def drawn(*args: Parameters.args, **kwargs: Parameters.kwargs) -> NamedFigure:
            with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
                return NamedFigure(name, caption, draw(*args, **kwargs))

        return drawn

    return named


def new_figure(width: float, height: float, **grid: Any) -> tuple[Figure, np.ndarray]:
    """A figure of `width` x `height` inches and its axes as a two-dimensional array (`grid` goes to `subplots`)."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(squeeze=False, **grid)


def save_figure(run: "Run", drawn: NamedFigure) -> "Image":
    """Keep a figure as `figures/<name>.png` and `.svg` of the run; returns what a notebook shows.

    The image carries its caption as a description, with the run's caveat if it has one, and its name, by which the
    report finds it. A figure of stored results is shown alone.

    Raises:
        ValueError: no file can be called by the figure's name.
        RunInUseError: another process is at work on the run.
    """
    from IPython.display import Image

    place = run.folder / "figures" / path_part(drawn.name, "figure")
    whole = _rendered(drawn.figure, "png", {"Software": None})
    contents = {
        "png": _fewer_colours(whole),
        "svg": _rendered(drawn.figure, "svg", {"Date": None, "Creator": None}),
    }
    if not run.config.stored:
        with writing(run):
            for suffix, content in contents.items():
                write_atomically(place.with_name(f"{drawn.name}.{suffix}"), partial(_write, content))
    caption = "; ".join(filter(None, (drawn.caption, run.caveat)))
    return Image(data=_fewer_colours(whole, SHRINK), alt=caption, metadata={"name": drawn.name})


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _rendered(figure: Figure, suffix: str, metadata: Mapping[str, None]) -> bytes:
    stream = io.BytesIO()
    for text in figure.findobj(Text):  # of a figure that was made without `@figure`, too
        text.set_parse_math(False)
    with mpl.rc_context({**mpl.rcParamsDefault, **STYLE}):
        figure.savefig(stream, format=suffix, dpi=DPI, metadata=dict(metadata))
    return stream.getvalue()


def _fewer_colours(png: bytes, shrink: int = 1) -> bytes:
    """A PNG with a palette, a third of the size, and nobody sees the difference.

    Args:
        shrink: how many dots a side become one.
    """
    from PIL import Image

    stream = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").reduce(shrink).quantize(COLOURS_KEPT).save(
        stream, format="png", optimize=True
    )
    return stream.getvalue()


def figure_label(name: str, longest: int = LONGEST_LABEL) -> str:
    """A name from outside as figures can write it: on one line, not too long, in signs that the font has.

    A sign that the font lacks, such as a Chinese one, stands as its number: a fallback font would be another one on
    every machine.
    """
    return shortened(printable(name, lambda sign: is_seen(sign) and ord(sign) in _glyphs()), longest)


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(get_font(findfont(FONT)).get_charmap())


def figure_legend(figure: Figure, panels: np.ndarray, order: Iterable[str] = (), columns: int = 6) -> None:
    """One legend beneath all panels, with everything that any of them shows.

    Args:
        order: labels that come first, where they are there.
        columns: at most.
    """
    found: dict[str, Any] = {}
    for axis in panels.ravel():
        handles, labels = axis.get_legend_handles_labels()
        found = dict(zip(labels, handles, strict=True)) | found
    labels = [label for label in order if label in found]
    labels += [label for label in found if label not in labels]
    figure.legend([found[label] for label in labels], labels, loc="outside lower center", fontsize=9,
                  ncols=min(len(labels), columns), columnspacing=1.2, handlelength=1.6)  # fmt: skip


def log_ticks(axis: Axis) -> None:
    """Plain numbers at 1, 2 and 5 of every power of ten, on an axis that is logarithmic."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axis.set_minor_formatter("")


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
    figure, panels = new_figure(5 * len(matrices) + 0.8, 4.8, ncols=len(matrices))
    everything = np.concatenate([matrix.ravel() for matrix in matrices.values()])
    low = float(np.nanmin(everything)) if lowest is None else lowest
    for axis, (title, matrix) in zip(panels[0], matrices.items(), strict=True):
        sns.heatmap(matrix, ax=axis, vmin=low, vmax=float(np.nanmax(everything)), cmap="cividis", square=True,
                    annot=True, fmt=".2f", annot_kws={"size": 10 if len(matrix) < 9 else SMALLEST_DIGITS}, cbar=False,
                    xticklabels=labels[title], yticklabels=labels[title])  # fmt: skip
        ink_by_luminance(axis)
        axis.set(title=figure_label(title), ylabel=axes[0], xlabel=axes[1])
        axis.tick_params(length=0, rotation=0)
        axis.grid(False)
    figure.colorbar(panels[0][0].collections[0], ax=panels[0].tolist(), label=value, shrink=0.85,
                    extend="neither" if lowest is None else "min")  # fmt: skip
    return figure


def ink_by_luminance(axis: Axes) -> None:
    """Write each cell of a heat map in black or white, whichever stands out more: a contrast of 4.6 at least.

    The contrast is that of the Web Content Accessibility Guidelines 2.2 (W3C, 2023).
    """
    for text, colour in zip(axis.texts, axis.collections[0].get_facecolor(), strict=True):
        luminance = relative_luminance(colour[:3])
        text.set_color("black" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "white")


def relative_luminance(colour: Float[np.ndarray, " 3"]) -> float:
    """How bright an sRGB colour is, from 0 (black) to 1 (white), as the same guidelines define it."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
