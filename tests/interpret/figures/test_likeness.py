"""Figures of likeness say what their tables say, and need these alone."""

import functools
import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer, ErrorbarContainer

from saelib.interpret.figures import likeness as figures
from saelib.interpret.likeness.gains import gain_by_pair, gains, published_gains
from saelib.interpret.likeness.tables import likeness_by_layer, transfer_by_layer
from saelib.results.figures import NamedFigure
from saelib.transfer.figures.style import look
from saelib.transfer.published import published_feature_transfer, published_mmcs
from saelib.transfer.wording import arm_label
from tests.helpers.made_runs import made_results
from tests.helpers.tidy_likeness import likeness_table, transfer_table

FEW = 29
ARMS = ("forward", "forward_affine", "backward", "backward_affine")


@functools.cache
def by_layer() -> pd.DataFrame:
    return likeness_by_layer(likeness_table(ARMS), resamples=FEW)


@functools.cache
def pairs() -> tuple[pd.DataFrame, pd.DataFrame]:
    ours = gains(made_results(layers=4, replicates=2, rows=2).evaluation, likeness_table(layers=(1, 2)))
    return gain_by_pair(ours, resamples=FEW), gain_by_pair(published_gains(), resamples=FEW)


def mmcs() -> NamedFigure:
    return figures.mmcs_by_layer(by_layer(), published_mmcs())


def feature_transfer() -> NamedFigure:
    table = transfer_by_layer(transfer_table(arms=ARMS), resamples=FEW)
    return figures.feature_transfer_by_layer(table, published_feature_transfer())


def moved() -> NamedFigure:
    return figures.moved(by_layer())


def distance_and_gain() -> NamedFigure:
    return figures.distance_and_gain(*pairs())


DRAWINGS = {"mmcs_by_layer": mmcs, "feature_transfer_by_layer": feature_transfer, "features_moved": moved,
            "distance_and_gain": distance_and_gain}  # fmt: skip


def bars_of(axis: Axes) -> list[ErrorbarContainer]:
    return [one for one in axis.containers if isinstance(one, ErrorbarContainer)]


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_comes_out_the_same_twice(name: str) -> None:
    rendered = []
    for _ in range(2):
        drawn = DRAWINGS[name]()
        assert drawn.name == name and not drawn.caption.endswith(".")
        stream = io.BytesIO()
        drawn.figure.savefig(stream, format="png", dpi=60)
        rendered.append(stream.getvalue())
    assert rendered[0] == rendered[1]


def test_similarities_stand_at_their_layers_beside_the_papers() -> None:
    panels = mmcs().figure.axes
    chosen = by_layer().query("arm == 'backward_affine' and reference == 'scratch_equal' and features == 'all'")
    for axis, measure in zip(panels[3:5], ("mmcs", "one_to_one"), strict=True):
        (line,) = [line for line in axis.lines if line.get_label() == arm_label("backward_affine")]
        assert np.asarray(line.get_xdata()).tolist() == [1, 2, 3]
        wanted = chosen.loc[chosen["measure"] == measure, "mean"].tolist()
        assert np.asarray(line.get_ydata()).tolist() == wanted
    theirs = bars_of(panels[5])[0].lines[0]
    assert np.asarray(theirs.get_ydata()).tolist() == published_mmcs().query("arm == 'backward'")["mmcs"].tolist()


def test_each_comparison_has_its_line() -> None:
    axis, theirs = feature_transfer().figure.axes[:2]
    mine = [line for line in axis.lines if line.get_label() == arm_label("forward_affine")]
    told = {line.get_label(): line.get_linestyle() for line in axis.lines}
    assert [line.get_linestyle() for line in mine] == [told[words] for _, words in reversed(figures.COMPARED.values())]
    assert figures.NULL_LABEL in told
    paper = published_feature_transfer().query("arm == 'forward'")
    assert np.asarray(theirs.lines[0].get_ydata()).tolist() == paper["share"].tolist()


def test_shares_are_stacked_to_1() -> None:
    drawn = moved().figure
    assert len(drawn.axes) == len(ARMS)
    for axis in drawn.axes:
        bars = [one for one in axis.containers if isinstance(one, BarContainer)]
        tops = sum(np.array([patch.get_height() for patch in one]) for one in bars)
        assert np.asarray(tops).tolist() == pytest.approx([1, 1, 1])
        assert len({patch.get_hatch() for one in bars for patch in one}) == 3  # for whoever sees no colours


def test_every_pair_of_layers_is_a_point() -> None:
    first, _, paper = map(bars_of, distance_and_gain().figure.axes)
    assert sum(np.size(one.lines[0].get_xdata()) for one in first) == 4 * 3
    assert {one.lines[0].get_marker() for one in first} == {look(arm)["marker"] for arm in ARMS}
    assert sum(np.size(one.lines[0].get_xdata()) for one in paper) == 22


def test_where_there_is_nothing_nothing_is_drawn() -> None:
    alone = likeness_by_layer(likeness_table(("forward",), replicates=1), resamples=FEW)
    assert len(figures.mmcs_by_layer(alone, published_mmcs()).figure.axes) == 6
    assert len(figures.moved(alone).figure.axes) == 1
    nothing = figures.moved(alone[alone["arm"] == "scratch"]).figure
    assert not nothing.axes[0].containers
