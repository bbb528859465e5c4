"""Figures of what lies beneath an accuracy show it."""

from saelib.htest import figures
from saelib.htest.scoring.accuracy import accuracy_table
from tests.helpers.htest_tables import geometry, one_condition


def test_a_replier_that_ranks_well_but_prefers_b_shows_as_such() -> None:
    axis = figures.accuracy_and_ranking(accuracy_table(one_condition(), ["task"])).figure.axes[0]
    accuracy, balanced, auroc = (container[0].get_xdata()[-1] for container in axis.containers)
    assert accuracy < 0.6 < 0.7 < balanced < auroc


def test_margins_have_labelled_axes() -> None:
    panels = figures.letter_bias(one_condition()).figure.axes
    assert [axis.get_ylabel() for axis in panels[::5]] == ["items", "items"]
    assert {axis.get_xlabel() for axis in panels[5:]} == {"log p(A) - log p(B), nats"}


def test_constant_repliers_to_four_symbols_are_called_by_symbols() -> None:
    table = geometry()
    table = table.assign(model=table["model"].replace("control:shortcut", "control:constant_a"))
    axis = figures.letter_geometry(table).figure.axes[0]
    assert "always the first symbol" in [label.get_text() for label in axis.get_yticklabels()]
