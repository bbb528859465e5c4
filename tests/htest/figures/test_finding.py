"""Figures of what a margin knows show its numbers."""

import pytest

from saelib.htest import figures
from tests.helpers.htest_tables import against_fresh_of_two_sets, beneath_of_two_sets


def test_both_sets_and_their_difference_are_drawn() -> None:
    table, comparison = beneath_of_two_sets(), against_fresh_of_two_sets()
    axis = figures.released_and_fresh(table, comparison).figure.axes[0]
    released, fresh = (container[0].get_xdata() for container in axis.containers)
    assert released[:-1] == pytest.approx(comparison["first"]) and fresh[:-1] == pytest.approx(comparison["second"])
    assert released[-1] == pytest.approx(comparison["first"].mean())
    stars = [text.get_text().endswith("*") for text in axis.texts[:10]]
    assert stars == (comparison["p_holm"] < 0.05).tolist() and any(stars) and not all(stars)


def test_a_shortcut_has_a_panel_for_each_set_on_one_scale() -> None:
    table = beneath_of_two_sets()
    panels = figures.held_fixed(table).figure.axes
    assert [axis.get_title() for axis in panels] == ["released items", "fresh items"]
    assert panels[0].get_xlim() == panels[1].get_xlim()
    values = [container[0].get_xdata()[:-1] for container in panels[0].containers]
    rows = table[table["item_set"] == "official-4787987"]
    for drawn, value in zip(values, ("auroc", "held_fixed", "shortcut_auroc", "learnt_auroc"), strict=True):
        assert drawn == pytest.approx(rows[value].to_numpy(float), nan_ok=True)
