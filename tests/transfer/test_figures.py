"""Figures of paper 1 need the tables alone, say what the tables say, and come out the same twice."""

import io
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from saelib.results.figures import NamedFigure, save_figure
from saelib.transfer import figures
from saelib.transfer.config import resolve_config
from saelib.transfer.convergence import average_curves, first_crossing, zero_shot_matrix
from saelib.transfer.figures.style import COLOURS, LABELS
from saelib.transfer.published import published_evaluation
from tests.helpers.small_run import SmallRun
from tests.helpers.transfer_tables import synthetic_evaluation, synthetic_training, synthetic_trials


def both() -> dict[str, pd.DataFrame]:
    return {"paper": published_evaluation(), "this run": synthetic_evaluation()}


def matrices() -> dict[str, pd.DataFrame]:
    return {title: zero_shot_matrix(evaluation) for title, evaluation in both().items()}


DRAWINGS: dict[str, tuple[str, Callable[[], NamedFigure]]] = {
    "choice_of_lambda": ("choice_of_lambda",
                         lambda: figures.choice_of_lambda(synthetic_trials(), resolve_config(preset="smoke"))),
    "training": ("training_curves", lambda: figures.training(synthetic_training())),
    "convergence": ("convergence", lambda: figures.convergence(synthetic_evaluation())),
    "averages": ("average_curves", lambda: figures.averages(synthetic_evaluation())),
    "layers": ("layer_curves", lambda: figures.layers(synthetic_evaluation())),
    "finals": ("final_by_layer", lambda: figures.finals(synthetic_evaluation())),
    "gains": ("equal_token_gains", lambda: figures.gains(synthetic_evaluation())),
    "savings": ("savings", lambda: figures.savings(synthetic_evaluation())),
    "zero_shot_matrix": ("zero_shot_matrix", lambda: figures.zero_shot_matrix(matrices())),
    "paper_averages": ("report_averages", lambda: figures.paper_averages(both())),
    "paper_normalised": ("report_normalised", lambda: figures.paper_normalised(both())),
}  # fmt: skip


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
    assert len(image.data) < 170_000  # all figures of a notebook stay below 700 kB
    assert image.alt == drawn.caption
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("name", ["convergence", "layers"])
def test_a_figure_drawn_again_is_the_same_byte_for_byte(name: str, tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        save_figure(SmallRun(tmp_path / "mine"), DRAWINGS[name][1]())
        contents.append([path.read_bytes() for path in sorted((tmp_path / "mine" / "figures").iterdir())])
    assert contents[0] == contents[1]


@pytest.mark.parametrize("draw", [
    figures.convergence, figures.averages, figures.layers, figures.finals, figures.gains, figures.savings,
])  # fmt: skip
def test_one_seed_and_one_pair_of_layers_are_enough(draw: Callable[[pd.DataFrame], NamedFigure]) -> None:
    draw(synthetic_evaluation(range(2), range(1))).figure.savefig(io.BytesIO(), dpi=20)


def test_the_main_figure_names_the_crossing_that_the_curves_have() -> None:
    evaluation = synthetic_evaluation()
    curves = average_curves(evaluation, ["ce_score"])
    for axis, direction in zip(figures.convergence(evaluation).figure.axes, ("forward", "backward"), strict=True):
        chosen = curves[curves["direction"] == direction]
        transfer = chosen[chosen["arm"] == direction].sort_values("tokens")
        scratch = chosen[chosen["arm"] == "scratch"].sort_values("tokens")["mean"].iloc[-1]
        crossing = first_crossing(transfer["tokens"].to_list(), transfer["mean"].to_list(), scratch, "rises")
        notes = " ".join(text.get_text() for text in axis.texts)
        assert "finished scratch: 768 thousand tokens" in notes
        assert np.isfinite(crossing)
        assert f"after\n{crossing / 1000:.3g} thousand new tokens" in notes


def test_the_main_figure_draws_the_mean_curves_in_the_colours_of_their_arms() -> None:
    evaluation = synthetic_evaluation()
    curves = average_curves(evaluation, ["ce_score"]).query("direction == 'forward'")
    axis = figures.convergence(evaluation).figure.axes[0]
    for arm in ("forward", "control"):
        (line,) = [line for line in axis.lines if line.get_label() == LABELS[arm]]
        wanted = curves[curves["arm"] == arm].sort_values("tokens")
        assert np.allclose(line.get_xydata(), wanted[["tokens", "mean"]].to_numpy(float))
        assert line.get_color() == COLOURS[arm]


def test_arms_come_first_in_the_legend() -> None:
    (legend,) = figures.convergence(synthetic_evaluation()).figure.legends
    assert [text.get_text() for text in legend.get_texts()] == list(LABELS.values())


def test_bars_are_drawn_from_zero_and_have_the_tables_heights() -> None:
    evaluation = synthetic_evaluation()
    axis = figures.finals(evaluation).figure.axes[0]
    end = evaluation[(evaluation["arm"] == "scratch") & (evaluation["tokens"] == 768_000)]
    wanted = 1 - end.groupby("act_layer")["ce_score"].mean()
    heights = [bar.get_height() for bar in axis.containers[1]]
    assert np.allclose(heights, wanted)
    assert axis.get_ylim()[0] == 0


def test_the_matrix_shows_each_score_where_it_belongs() -> None:
    drawn = figures.zero_shot_matrix(matrices())
    for axis, matrix in zip(drawn.figure.axes, matrices().values(), strict=False):
        shown = [text.get_text() for text in axis.texts]
        assert shown == [f"{value:.2f}" for value in matrix.to_numpy().ravel()]


def test_the_chosen_lambda_is_marked() -> None:
    config = resolve_config(preset="smoke", l1_coefficient=3.0)
    axis = figures.choice_of_lambda(synthetic_trials(), config).figure.axes[0]
    bold = [text.get_text() for text in axis.texts if text.get_fontweight() == "bold"]
    assert bold == ["λ = 3"]
    assert len(axis.texts) == 3  # of the learning rate that is used
