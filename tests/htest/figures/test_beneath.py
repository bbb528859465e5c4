"""Figures of what lies beneath an accuracy show it."""

from saelib.htest import figures
from saelib.htest.scoring.accuracy import accuracy_table
from saelib.htest.scoring.names import shown_task
from saelib.htest.tasks import TASKS
from tests.helpers.htest_tables import geometry, of_two_sets, one_condition


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


def test_margins_on_two_sets_stand_one_above_the_other() -> None:
    panels = figures.letter_bias(of_two_sets()).figure.axes
    assert [axis.get_ylabel() for axis in panels[::5]] == ["released items", "fresh items"] * 2
    titles = [axis.get_title().strip() for axis in panels]
    assert titles == [*map(shown_task, list(TASKS)[:5]), *[""] * 5, *map(shown_task, list(TASKS)[5:]), *[""] * 5]


def test_a_task_that_one_set_lacks_leaves_its_panel_empty() -> None:
    readings = of_two_sets()
    some = readings[(readings["item_set"] == "fresh-2") | readings["task"].isin(["rhyme", "uppercase", "end_ly"])]
    panels = figures.letter_bias(some).figure.axes
    assert sum(axis.get_visible() for axis in panels) == 13 and len(panels) == 20


def test_hills_are_told_apart_without_colour() -> None:
    axis = figures.letter_bias(one_condition()).figure.axes[0]
    filled = [patch.get_fill() for patch in axis.patches]
    assert filled == [True, False]


def test_calibrated_readings_are_drawn_by_their_margins() -> None:
    readings = one_condition().assign(content_free=1.0)
    plain, calibrated = (figures.letter_bias(rows).figure.axes[0].texts[0].get_text()
                         for rows in (one_condition(), readings))  # fmt: skip
    assert plain == calibrated
