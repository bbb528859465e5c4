"""Figures of paper 1 need the tidy tables alone, say what the tables say, and come out the same twice."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.container import ErrorbarContainer
from matplotlib.lines import Line2D
from matplotlib.text import Annotation

from saelib.results.figures import NamedFigure, save_figure
from saelib.transfer import figures
from saelib.transfer.figures.style import look
from saelib.transfer.presets import resolve_config
from saelib.transfer.targets import TARGET_NAMES
from saelib.transfer.wording import START_NAMES, arm_label, interval_text
from tests.helpers import tidy_distance, tidy_tables
from tests.helpers.small_run import SmallRun
from tests.helpers.transfer_tables import synthetic_training, synthetic_trials

WHOLE = {"distances": (1, 2, 3), "starts": ("copy", "affine")}


def normalised() -> pd.DataFrame:
    rows = [
        {"arm": arm, "act_layer": layer, "seed": seed, "tokens": tokens, "normalised": 0.9 + 0.05 * seed - 0.01 * layer}
        for arm in ("forward", "backward") for layer in range(1, 4) for seed in range(2) for tokens in (10, 20)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def matrix(layers: int) -> pd.DataFrame:
    return pd.DataFrame(np.linspace(-0.3, 1, layers**2).reshape(layers, layers))


def main_figure(**options: Any) -> NamedFigure:
    of_savings = {name: value for name, value in options.items() if name != "control"}
    tables = tidy_tables.needed(**of_savings), tidy_tables.savings(**of_savings)
    return figures.convergence(tidy_tables.curves(**options), *tables)


def both_schedules() -> dict[str, pd.DataFrame]:
    paper = tidy_tables.curves(starts=("copy",), control=True, replicates=1)
    return {"every budget decayed": tidy_tables.curves(), "one decay": paper}


DRAWINGS: dict[str, tuple[str, Callable[[], NamedFigure]]] = {
    "choice_of_lambda": ("choice_of_lambda",
                         lambda: figures.choice_of_lambda(synthetic_trials(), resolve_config(preset="smoke"))),
    "training": ("training_curves", lambda: figures.training(synthetic_training())),
    "convergence": ("convergence", main_figure),
    "averages": ("average_curves", lambda: figures.averages(tidy_tables.curves())),
    "layers": ("layer_curves", lambda: figures.layers(tidy_tables.layer_curves(**WHOLE))),
    "finals": ("final_by_layer", lambda: figures.finals(tidy_tables.layer_curves(**WHOLE))),
    "gains": ("equal_token_gains", lambda: figures.gains(tidy_tables.gains())),
    "frontier": ("frontier", lambda: figures.frontier(tidy_tables.curves())),
    "savings": ("savings", lambda: figures.savings(tidy_tables.needed(), tidy_tables.savings())),
    "savings_by_layer": ("savings_by_layer", lambda: figures.savings_by_layer(tidy_tables.needed(),
                                                                             tidy_tables.savings_by_layer())),
    "map_fit": ("map_fit", lambda: figures.map_fit(tidy_tables.maps(), tidy_tables.layer_curves())),
    "distances": ("distances", lambda: figures.distances(tidy_tables.savings(**WHOLE))),
    "schedules": ("schedules", lambda: figures.schedules(both_schedules())),
    "zero_shot_matrix": ("zero_shot_matrix",
                         lambda: figures.zero_shot_matrix({"paper": matrix(12), "this run": matrix(6)})),
    "paper_averages": ("report_averages", lambda: figures.paper_averages(both_schedules())),
    "paper_normalised": ("report_normalised",
                         lambda: figures.paper_normalised({"paper": normalised(), "this run": normalised()})),
    "map_distance": ("map_distance", lambda: figures.map_distance(tidy_distance.distance_curves(),
                                                                  tidy_distance.distance_maps(), 2016)),
    "map_against_scratch": ("map_against_scratch",
                            lambda: figures.map_against_scratch(tidy_distance.against_scratch("loss_ratio"),
                                                                tidy_distance.against_scratch("ce_score"))),
    "depth_frontier": ("depth_frontier", lambda: figures.depth_frontier(tidy_distance.distance_evaluation())),
}  # fmt: skip


def line_of(axis: Axes, label: str) -> Any:
    (line,) = [line for line in axis.lines if line.get_label() == label]
    return line


def test_every_figure_of_the_room_is_drawn_here() -> None:
    assert set(DRAWINGS) == set(figures.__all__)


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_kept_under_its_name_and_is_small(name: str, tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    kept_as, draw = DRAWINGS[name]
    drawn = draw()
    assert drawn.name == kept_as
    image = save_figure(SmallRun(tmp_path / "mine"), drawn)
    assert sorted(path.name for path in (tmp_path / "mine" / "figures").iterdir()) == [
        f"{kept_as}.png",
        f"{kept_as}.svg",
    ]
    assert len(image.data) < 78_000  # a notebook stays below 700 kB
    assert image.alt == drawn.caption
    assert dict(mpl.rcParams) == before


def test_a_figure_drawn_again_is_the_same_byte_for_byte(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        save_figure(SmallRun(tmp_path / "mine"), main_figure())
        contents.append([path.read_bytes() for path in sorted((tmp_path / "mine" / "figures").iterdir())])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("options", [
    {"replicates": 1, "starts": ("copy",)},
    {"starts": ("copy", "affine", "procrustes"), "distances": (2, 3)},
])  # fmt: skip
def test_any_number_of_replicates_starts_and_distances_is_drawn(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tidy_tables.STARTS, "procrustes", (1.3, 0.97, 1.2))
    curves, by_layer = tidy_tables.curves(**options), tidy_tables.layer_curves(**options)
    needed, saved = tidy_tables.needed(**options), tidy_tables.savings(**options)
    drawn = [figures.convergence(curves, needed, saved), figures.averages(curves), figures.layers(by_layer),
             figures.finals(by_layer), figures.gains(tidy_tables.gains(**options)), figures.frontier(curves),
             figures.savings(needed, saved), figures.distances(saved),
             figures.savings_by_layer(needed, tidy_tables.savings_by_layer(**options))]  # fmt: skip
    for one in drawn:
        one.figure.savefig(io.BytesIO(), dpi=20)


@pytest.mark.parametrize("layers", [2, 12])
def test_two_and_twelve_layers_are_drawn(layers: int) -> None:
    needed = tidy_tables.needed(layers=layers)
    drawn = [figures.layers(tidy_tables.layer_curves(layers=layers)),
             figures.finals(tidy_tables.layer_curves(layers=layers)),
             figures.savings_by_layer(needed, tidy_tables.savings_by_layer(layers=layers)),
             figures.map_fit(tidy_tables.maps(layers=layers), tidy_tables.layer_curves(layers=layers))]  # fmt: skip
    for one in drawn:
        one.figure.savefig(io.BytesIO(), dpi=20)


def test_the_main_figures_axis_is_linear_and_ends_at_the_tokens_of_scratch() -> None:
    for axis in main_figure(starts=("copy",), control=True).figure.axes:
        assert axis.get_xscale() == "linear"
        assert axis.get_xlim() == (0, max(tidy_tables.BUDGETS))


def test_the_main_figure_draws_every_arms_means_in_its_colour() -> None:
    curves = tidy_tables.curves()
    axis = main_figure().figure.axes[0]
    for arm in ("scratch", "forward", "forward_affine"):
        chosen = (curves["direction"] == "forward") & (curves["arm"] == arm) & (curves["metric"] == "loss_ratio")
        line = line_of(axis, arm_label(arm))
        assert np.allclose(line.get_xydata(), curves[chosen].sort_values("tokens")[["tokens", "mean"]].to_numpy(float))
        assert line.get_color() == look(arm)["color"]


def test_the_arrows_have_the_numbers_of_the_table_and_the_mean_of_the_dots() -> None:
    saved = tidy_tables.savings().query("target == 'loss'")
    last = max(tidy_tables.BUDGETS)
    for axis, direction in zip(main_figure().figure.axes[:2], ("forward", "backward"), strict=True):
        rows = saved[saved["direction"] == direction].to_dict("records")
        words = [text.get_text() for text in axis.texts]
        arrows = [text for text in axis.texts if isinstance(text, Annotation) and text.arrow_patch is not None]
        for row, arrow in zip(rows, arrows, strict=True):
            assert f"{START_NAMES[row['start']]}: {interval_text(row, percent=True)} fewer new tokens" in words
            assert arrow.xy[0] == pytest.approx(last * (1 - row["mean"]))
            dots = [np.asarray(line.get_xdata()) for line in axis.lines
                    if line.get_linestyle() == "None" and to_hex(line.get_color()) == to_hex(look(row["arm"])["color"])
                    and line.get_alpha()]  # fmt: skip
            assert np.concatenate(dots).mean() == pytest.approx(arrow.xy[0])


def test_the_main_figure_tells_what_is_saved_at_equal_sparsity() -> None:
    saved = tidy_tables.savings().query("target == 'joint'")
    for axis, direction in zip(main_figure().figure.axes[-2:], ("forward", "backward"), strict=True):
        (text,) = [text.get_text() for text in axis.texts if TARGET_NAMES["joint"] in text.get_text()]
        for row in saved[saved["direction"] == direction].to_dict("records"):
            assert f"{START_NAMES[row['start']]}: {interval_text(row, percent=True)} fewer new tokens" in text


def test_a_layer_without_a_neighbour_says_so() -> None:
    drawn = figures.savings_by_layer(tidy_tables.needed(), tidy_tables.savings_by_layer()).figure
    words = [[(text.get_text(), text.get_position()[1]) for text in axis.texts] for axis in drawn.axes]
    assert words == [[("no layer before it", 0)]] * 3 + [[("no layer after it", 5)]] * 3


def test_the_path_of_scratch_is_seen_beside_those_of_transfers() -> None:
    curves = tidy_tables.curves()
    late = curves[(curves["arm"] == "scratch") & (curves["tokens"] >= curves["tokens"].max() / 2)]
    drawn = figures.frontier(curves).figure
    for axis in drawn.axes:
        for metric, (low, high) in {"l0": axis.get_xlim(), "ce_score": axis.get_ylim()}.items():
            assert late.loc[late["metric"] == metric, "mean"].between(low, high).all()
    assert all(isinstance(mark, Line2D) and mark.get_marker() != "" for mark in drawn.legends[0].legend_handles)


def test_an_sae_that_never_arrives_is_hollow() -> None:
    axis = main_figure(starts=("copy",)).figure.axes[0]
    dots = [line for line in axis.lines if line.get_alpha()]
    hollow = [line for line in dots if line.get_markerfacecolor() == "white"]
    assert [np.size(line.get_xdata()) for line in hollow] == [5]  # five replicates of the last layer
    assert sum(np.size(line.get_xdata()) for line in dots) == 25


def test_figures_say_how_many_replicates_and_what_a_band_is() -> None:
    for replicates, words in ((1, "1 replicate, no intervals"), (5, "5 replicates; bands: 95% intervals (bootstrap")):
        curves = tidy_tables.curves(replicates=replicates)
        for drawn in (figures.averages(curves), figures.gains(tidy_tables.gains(replicates=replicates))):
            assert words in drawn.figure.get_suptitle()


def test_savings_stay_within_what_is_possible_and_negative_ones_show() -> None:
    needed, saved, by_layer = tidy_tables.needed(), tidy_tables.savings(), tidy_tables.savings_by_layer()
    whole, layers = figures.savings(needed, saved), figures.savings_by_layer(needed, by_layer)
    for drawn, lowest in ((whole, needed["saving"].min()), (layers, by_layer["low"].min())):  # a point, a bound
        for axis in drawn.figure.axes:
            assert axis.get_xlim() == pytest.approx((lowest, 1.0))


def test_savings_show_one_point_for_each_sae() -> None:
    needed, saved = tidy_tables.needed(), tidy_tables.savings()
    axis = figures.savings(needed, saved).figure.axes[0]
    points = np.concatenate([line.get_xdata() for line in axis.lines if line.get_alpha()])
    wanted = needed.loc[needed["target"] == "loss", "saving"]
    assert np.allclose(np.sort(points), np.sort(wanted))
    assert f"{interval_text(saved.iloc[0], percent=True)}; 20 of 25 arrive" in [text.get_text() for text in axis.texts]


def test_the_better_side_of_no_difference_is_named() -> None:
    drawn = figures.gains(tidy_tables.gains(), ("loss", "ce_score")).figure
    for axis, above in zip(drawn.axes, (False, True, False, True), strict=True):
        (words,) = axis.texts
        assert words.get_text() == "transfer is better"
        assert (words.get_position()[1] > 0.5) == above
        low, high = axis.get_ylim()
        assert low < 0 < high


def test_points_stand_at_the_tables_heights() -> None:
    curves = tidy_tables.layer_curves()
    axis = figures.finals(curves).figure.axes[0]
    end = curves.query("arm == 'scratch' and metric == 'ce_score' and tokens == tokens.max()")
    bars = axis.containers[0]
    assert isinstance(bars, ErrorbarContainer)
    assert np.allclose(np.asarray(bars.lines[0].get_ydata(), float), 1 - end["mean"])
    assert axis.get_ylim()[0] == 0


def test_a_map_is_drawn_at_its_target_layer() -> None:
    maps = tidy_tables.maps(starts=("affine",))
    axis = figures.map_fit(maps, tidy_tables.layer_curves()).figure.axes[0]
    line = line_of(axis, arm_label("forward_affine"))
    wanted = maps[maps["source_layer"] < maps["act_layer"]].groupby("act_layer")["r2"].mean()
    assert list(line.get_xdata()) == list(wanted.index) and np.allclose(line.get_ydata(), wanted)


def test_the_papers_axis_counts_in_tokens_of_the_source() -> None:
    drawn = figures.paper_averages(both_schedules()).figure
    whole, half = (line_of(axis, arm_label("forward")).get_xdata() for axis in drawn.axes[:2])
    assert whole.max() == 1.0 and half.max() == 0.5


def test_arms_come_first_in_the_legend() -> None:
    (legend,) = main_figure().figure.legends
    arms = ["scratch", "forward", "backward", "forward_affine", "backward_affine"]
    assert [text.get_text() for text in legend.get_texts()][: len(arms)] == [arm_label(arm) for arm in arms]


def test_the_matrix_shows_each_score_where_it_belongs() -> None:
    matrices = {"paper": matrix(12), "this run": matrix(6)}
    for axis, shown in zip(figures.zero_shot_matrix(matrices).figure.axes, matrices.values(), strict=False):
        assert [text.get_text() for text in axis.texts] == [f"{value:.2f}" for value in shown.to_numpy().ravel()]


def test_the_chosen_lambda_is_marked() -> None:
    config = resolve_config(preset="smoke", l1_coefficient=3.0)
    axis = figures.choice_of_lambda(synthetic_trials(), config).figure.axes[0]
    bold = [text.get_text() for text in axis.texts if text.get_fontweight() == "bold"]
    assert bold == ["λ = 3"]
    assert len(axis.texts) == 3  # of the learning rate that is used
