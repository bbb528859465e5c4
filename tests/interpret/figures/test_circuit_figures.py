"""Figures of circuits: what each panel shows, read from the drawn lines."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from saelib.interpret.circuits.tables import attribution_curves, circuit_scores, patching_agreement
from saelib.interpret.figures import circuits
from saelib.results.figures import NamedFigure
from saelib.transfer.published import published_attribution, published_faithfulness
from tests.helpers.circuit_tables import made_attribution, made_circuits, made_patching

DRAWS = {"seed": 0, "resamples": 50}


def labels(drawn: NamedFigure) -> set[str]:
    return {text.get_text() for text in drawn.figure.legends[0].get_texts()}


def lines_of(axis: Axes, across: bool = False) -> dict[str, np.ndarray]:
    """What each line of a panel has on the upright axis, or across, by its label."""
    return {str(line.get_label()): np.asarray(line.get_xdata() if across else line.get_ydata(), float)
            for line in axis.lines}  # fmt: skip


@pytest.fixture(scope="module")
def curves() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return attribution_curves(made_attribution(lambda *key: random.exponential()), **DRAWS)


def test_attribution_has_a_row_for_each_direction_and_the_papers_beside(curves: pd.DataFrame) -> None:
    drawn = circuits.attribution(curves, published_attribution())
    own, paper, *_ = drawn.figure.axes
    assert len(drawn.figure.axes) == 4
    assert {"from scratch", "forward: copy", "backward: affine map", circuits.RANDOM} <= labels(drawn)
    lines = lines_of(own)
    scratch = curves[(curves["direction"] == "forward") & (curves["arm"] == "scratch")].sort_values("tokens")
    np.testing.assert_allclose(lines["from scratch"], scratch["mean"].to_numpy(float))
    np.testing.assert_allclose(lines[circuits.RANDOM], float(scratch["mean"].iloc[0]))
    assert lines_of(paper)["from scratch"][-1] == pytest.approx(0.6335, abs=1e-3)  # the paper's own mean
    for axis in drawn.figure.axes:
        top = max(values.max() for values in lines_of(axis).values())
        assert axis.get_ylim()[0] == 0 and axis.get_ylim()[1] > top


def test_scores_have_a_column_for_each_task_and_baselines_of_scratch() -> None:
    scores = circuit_scores(made_circuits(lambda arm, layer: [3.0, 2.0 + layer]), **DRAWS)
    drawn = circuits.circuit_scores(scores)
    assert len(drawn.figure.axes) == 2 * 4
    assert [axis.get_title() for axis in drawn.figure.axes[:2]] == ["repeated random words", "closing brackets"]
    assert {"from scratch: random", "source, not trained here", "forward: affine map"} <= labels(drawn)
    chosen = scores[(scores["direction"] == "forward") & (scores["measure"] == "faithfulness")
                    & (scores["task"] == "repeats") & (scores["arm"] == "forward")
                    & (scores["choice"] == "attribution")].sort_values("share")  # fmt: skip
    panel = drawn.figure.axes[0]
    np.testing.assert_allclose(lines_of(panel, across=True)["forward: copy"], np.array([0.02, 0.08]))
    np.testing.assert_allclose(lines_of(panel)["forward: copy"], chosen["mean"].to_numpy(float))


def test_the_papers_circuits_are_drawn_by_task_and_measure() -> None:
    drawn = circuits.published_circuits(published_faithfulness())
    assert [axis.get_title() for axis in drawn.figure.axes[:3]] == [
        "indirect objects", "greater than", "agreement across a clause"
    ]  # fmt: skip
    assert labels(drawn) == {"from scratch", "forward: copy", "backward: copy"}


def test_patching_has_a_point_for_each_effect_and_says_the_rank_correlation() -> None:
    table = made_patching()
    drawn = circuits.patching(table, patching_agreement(table))
    (axis,) = drawn.figure.axes
    assert axis.get_title() == "repeated random words\nrank correlation -1.00 to 1.00"
    assert lines_of(axis)["layer 1"].tolist() == [0, 2, 4, 6]
    assert lines_of(axis, across=True)["layer 2"].tolist() == [0, 1, 2, 3]


def test_figures_are_the_same_when_drawn_again(curves: pd.DataFrame) -> None:
    first, again = (circuits.attribution(curves, published_attribution())._repr_png_() for _ in range(2))
    assert first == again
