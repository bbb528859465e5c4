"""Figures of shots show accuracy and, where there are margins, AUROC."""

import numpy as np

from saelib.htest import figures
from saelib.htest.scoring.accuracy import accuracy_table
from tests.helpers.htest_tables import MODELS, of_controls, of_models, shot_orders


def test_accuracy_and_auroc_have_a_row_of_panels_each() -> None:
    table = accuracy_table(of_models(), ["model", "k", "task"])
    panels = figures.shots(table, "likelier").figure.axes
    assert len(panels) == 2 * len(MODELS)
    assert [panels[0].get_ylabel(), panels[3].get_ylabel()] == ["accuracy", "AUROC of the margin"]
    one = table[(table["reader"] == "likelier") & (table["model"] == MODELS[2])]
    thick = [np.asarray(max(panels[place].get_lines(), key=lambda line: line.get_linewidth()).get_ydata())
             for place in (2, 5)]  # fmt: skip
    for drawn, value in zip(thick, ("accuracy", "auroc"), strict=True):
        np.testing.assert_allclose(drawn, one.groupby("k")[value].mean())


def test_without_margins_accuracy_stands_alone() -> None:
    table = accuracy_table(of_controls(), ["model", "k", "task"])
    panels = figures.shots(table[table["model"] == "control:coin"], "strict").figure.axes
    assert [axis.get_ylabel() for axis in panels] == ["accuracy"]


def test_every_order_is_a_mark_and_the_released_one_a_ring() -> None:
    drawn = figures.shot_orders(shot_orders(), "likelier").figure
    accuracy, auroc = drawn.axes
    marks = [line.get_marker() for line in auroc.get_lines() if len(np.asarray(line.get_xdata())) == 11]
    assert marks == ["|", "|", "|", "o"]
    table = shot_orders().query("reader == 'likelier'")
    released = table[table["shuffle_seed"].isna()]
    (ring,) = [line for line in accuracy.get_lines() if line.get_marker() == "o"]
    assert np.asarray(ring.get_xdata())[-1] == released["accuracy"].mean()


def test_the_released_order_alone_can_be_drawn() -> None:
    assert figures.shot_orders(shot_orders((None,)), "likelier")._repr_png_()
