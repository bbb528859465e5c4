"""A figure is named where it is drawn, looks the same whatever came before, and is kept as PNG and SVG."""

import io
import re
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image as Pillow

from saelib.results.figures import (
    PALETTE,
    NamedFigure,
    figure,
    figure_label,
    figure_legend,
    heat_maps,
    new_figure,
    relative_luminance,
    save_figure,
)
from saelib.run.lock import RunInUseError
from tests.helpers.hold_run import held_by_another
from tests.helpers.small_run import SmallRun

CAPTION = 'Heights of "waves" & <tides>, metre by metre'


@figure("waves", CAPTION)
def waves(periods: int = 2, *, colour: str = "blue") -> Figure:
    """Waves, for the tests of how figures are kept."""
    drawn, panels = new_figure(4, 2, ncols=2)
    for axis in panels[0]:
        axis.plot(np.sin(np.linspace(0, 2 * np.pi * periods, 50)), color=PALETTE[colour], label="height")
    panels[0, 1].axhline(0, color=PALETTE["grey"], label="mean")
    figure_legend(drawn, panels, order=["mean"])
    return drawn


@pytest.fixture
def run(tmp_path: Path) -> SmallRun:
    return SmallRun(tmp_path / "runs" / "mine")


def kept(run: SmallRun) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run.folder / "figures").iterdir())}


def test_a_drawing_function_keeps_its_docstring_and_gives_a_named_figure() -> None:
    drawn = waves(3, colour="orange")
    assert isinstance(drawn, NamedFigure) and isinstance(drawn.figure, Figure)
    assert (drawn.name, drawn.caption) == ("waves", CAPTION)
    assert drawn.figure.axes[0].lines[0].get_color() == PALETTE["orange"]
    assert (waves.__name__, waves.__doc__) == ("waves", "Waves, for the tests of how figures are kept.")


def test_a_figure_is_kept_as_png_and_svg_and_shown_with_its_caption(run: SmallRun) -> None:
    image = save_figure(run, waves())
    files = kept(run)
    assert list(files) == ["waves.png", "waves.svg"]
    assert files["waves.png"].startswith(b"\x89PNG") and b"<svg" in files["waves.svg"]
    sizes = [Pillow.open(io.BytesIO(png)).size for png in (files["waves.png"], image.data)]
    assert sizes == [(800, 400), (400, 200)]  # 200 dots an inch are kept, half as many are in the notebook
    data, shown = image._repr_mimebundle_()
    assert list(data) == ["image/png"]
    assert shown["image/png"] == {"name": "waves", "alt": CAPTION}
    assert image.alt == CAPTION


def test_a_figure_drawn_again_is_the_same_byte_for_byte(run: SmallRun) -> None:
    save_figure(run, waves())
    before = kept(run)
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.hashsalt": None, "savefig.dpi": 10}):
        save_figure(run, waves())
    assert kept(run) == before
    save_figure(run, waves(3))
    assert kept(run) != before


def test_neither_date_nor_version_is_in_the_files(run: SmallRun) -> None:
    save_figure(run, waves())
    files = kept(run)
    assert b"Software" not in files["waves.png"]
    assert not re.search(rb"<dc:date>|Matplotlib v", files["waves.svg"])


def test_drawing_changes_no_setting_and_leaves_no_figure_behind() -> None:
    from matplotlib import pyplot

    before, open_before = dict(mpl.rcParams), pyplot.get_fignums()
    waves()
    assert dict(mpl.rcParams) == before
    assert pyplot.get_fignums() == open_before


def test_an_error_while_drawing_restores_the_settings() -> None:
    @figure("broken", "Nothing")
    def broken() -> Figure:
        raise ZeroDivisionError

    before = dict(mpl.rcParams)
    with pytest.raises(ZeroDivisionError):
        broken()
    assert dict(mpl.rcParams) == before


def test_fewer_colours_are_not_seen(run: SmallRun) -> None:
    save_figure(run, waves())
    stream = io.BytesIO(waves()._repr_png_())
    whole, small = Pillow.open(stream), Pillow.open(run.folder / "figures" / "waves.png")
    assert whole.size == small.size == (800, 400)
    difference = np.abs(np.asarray(whole.convert("RGB"), int) - np.asarray(small.convert("RGB"), int))
    assert difference.max() <= 24
    assert len(kept(run)["waves.png"]) < len(stream.getvalue())


def test_keeping_claims_the_folder_and_needs_the_run_to_itself(run: SmallRun) -> None:
    with held_by_another(run.folder) as other:
        with pytest.raises(RunInUseError, match=f"process {other.pid}"):
            save_figure(run, waves())
        assert not run.folder.exists()
    save_figure(run, waves())
    assert (run.folder / "config.json").is_file()
    with pytest.raises(FileExistsError, match="another config"):
        save_figure(SmallRun(run.folder, seed=1), waves(3))


def test_a_name_from_outside_is_written_to_the_letter(run: SmallRun) -> None:
    """A folder may be called so, and two "$" would begin a formula, here one that cannot be read."""
    title = r"/data/$a_{b$ \frac {0} %s & <script> |"

    @figure("named", CAPTION)
    def named() -> Figure:
        return heat_maps({title: np.eye(2)}, {title: [0, 1]}, ("from", "to"), "share")

    drawn = named()
    save_figure(run, drawn)
    shown = drawn.figure.axes[0].title
    assert (shown.get_text(), shown.get_parse_math()) == (title, False)


def test_a_figure_made_elsewhere_has_no_formulas_either(run: SmallRun) -> None:
    """Its texts were made under matplotlib's own settings, where this title cannot be read."""
    made = Figure(figsize=(2, 1))
    axis = made.subplots()
    axis.set_title(r"$$ \frac {")
    axis.set_xticks([0, 1], ["$a_{b$", "c"])
    drawn = NamedFigure("elsewhere", CAPTION, made)
    assert drawn._repr_png_().startswith(b"\x89PNG")
    save_figure(run, drawn)
    assert b"elsewhere" not in kept(run)["elsewhere.svg"] and list(kept(run)) == ["elsewhere.png", "elsewhere.svg"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("EleutherAI/pythia-160m", "EleutherAI/pythia-160m"),
        ("模型 α", r"\u6a21\u578b α"),
        ("🦜", r"\U0001f99c"),
        ("one\ntwo\x00", r"one two\x00"),
        ("模" * 300, r"\u6a21\u6a21\u6a21\u6a21" + "…" + (r"\u6a21" * 9)[-23:]),
        ("x" * 300, "x" * 24 + "…" + "x" * 23),
    ],
)
@pytest.mark.filterwarnings("error")  # of a glyph that the font lacks
def test_a_name_is_shown_in_signs_that_every_machine_has(run: SmallRun, name: str, shown: str) -> None:
    assert figure_label(name) == shown

    @figure("named", CAPTION)
    def named() -> Figure:
        return heat_maps({name: np.eye(2)}, {name: [0, 1]}, ("from", "to"), "share")

    save_figure(run, named())


def test_the_caption_has_the_caveat_of_its_run(run: SmallRun) -> None:
    run.caveat = "on fresh items"
    assert save_figure(run, waves()).alt == f"{CAPTION}; on fresh items"


def test_the_legend_has_every_label_once_the_ordered_ones_first() -> None:
    (legend,) = waves().figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["mean", "height"]


def test_heat_maps_show_every_number_on_one_scale() -> None:
    matrices = {"a": np.array([[0.0, 0.25], [0.5, 1.0]]), "b": np.array([[-3.0, 2.0], [0.125, 0.0]])}
    drawn = heat_maps(matrices, {"a": [0, 1], "b": [4, 7]}, ("row", "column"), "distance", lowest=0.0)
    first, second = drawn.axes[:2]
    assert [text.get_text() for text in first.texts] == ["0.00", "0.25", "0.50", "1.00"]
    assert [label.get_text() for label in second.get_xticklabels()] == ["4", "7"]
    assert first.collections[0].get_clim() == second.collections[0].get_clim() == (0.0, 2.0)


@pytest.mark.parametrize("layers", [3, 12])
def test_digits_in_heat_maps_stand_out_and_are_large_enough(layers: int) -> None:
    matrix = np.linspace(-0.5, 1, layers**2).reshape(layers, layers)
    axis = heat_maps({"a": matrix}, {"a": range(layers)}, ("row", "column"), "score", lowest=0.0).axes[0]
    for text, colour in zip(axis.texts, axis.collections[0].get_facecolor(), strict=True):
        ink, ground = (relative_luminance(np.array(to_rgb(one))) for one in (text.get_color(), colour[:3]))
        contrast = (max(ink, ground) + 0.05) / (min(ink, ground) + 0.05)
        assert contrast >= 4.5
        assert float(text.get_fontsize()) >= 8


@pytest.mark.parametrize(("colour", "luminance"), [
    ("white", 1.0), ("black", 0.0), ("#777777", 0.1845), ("red", 0.2126),  # of the guidelines' own examples
])  # fmt: skip
def test_luminance_is_that_of_the_guidelines(colour: str, luminance: float) -> None:
    assert relative_luminance(np.array(to_rgb(colour))) == pytest.approx(luminance, abs=1e-4)


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", ""])
def test_a_figure_that_would_be_kept_elsewhere_is_refused(run: SmallRun, name: str) -> None:
    with pytest.raises(ValueError, match="^figure=.*: use letters, digits"):
        save_figure(run, replace(waves(), name=name))
    assert not run.folder.exists()
