"""Figures of what lies beneath an accuracy show it."""

from saelib.htest import figures
from saelib.htest.scoring.accuracy import accuracy_table
from tests.helpers.htest_tables import one_condition


def test_a_replier_that_ranks_well_but_prefers_b_shows_as_such() -> None:
    axis = figures.accuracy_and_ranking(accuracy_table(one_condition(), ["task"])).figure.axes[0]
    accuracy, balanced, auroc = (container[0].get_xdata()[-1] for container in axis.containers)
    assert accuracy < 0.6 < 0.7 < balanced < auroc
