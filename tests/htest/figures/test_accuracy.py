"""Figures of accuracies show the tables' numbers."""

import numpy as np
import pytest

from saelib.htest import figures
from saelib.htest.scoring.accuracy import accuracy_table
from saelib.htest.tasks import TASKS
from tests.helpers.htest_tables import CONTROLS, MODELS, by_model, curve, of_models


def test_the_heat_maps_cells_are_the_tables_accuracies() -> None:
    table = by_model()
    axis = figures.accuracy_heat_map(table).figure.axes[0]
    shown = [text.get_text() for text in axis.texts]
    strict = table[table["reader"] == "strict"].set_index(["task", "model"])["accuracy"]
    names = [*MODELS, *(f"control:{name}" for name in CONTROLS)]
    wanted = [f"{strict[task, name]:.2f}" for task in TASKS for name in names]
    wanted += [f"{strict[:, name].mean():.2f}" for name in names]
    assert shown == wanted
    assert [label.get_text() for label in axis.get_xticklabels()][3:5] == ["rule", "always A"]


def test_the_thick_line_over_shots_is_the_mean_of_the_thin_ones() -> None:
    table = accuracy_table(of_models(), ["model", "k", "task"])
    axis = figures.shots(table).figure.axes[1]
    thin = np.array([line.get_ydata() for line in axis.lines if line.get_label() == "one task"])
    (thick,) = (line for line in axis.lines if str(line.get_label()).startswith("mean"))
    assert thin.shape == (10, 5)
    assert np.allclose(thick.get_ydata(), thin.mean(axis=0))


def test_every_column_of_learning_curves_has_ticks_at_its_foot() -> None:
    """With eleven panels the last column ends a row above the others."""
    figure = figures.learning_curves(curve()).figure
    figure.draw_without_rendering()
    panels = np.array(figure.axes).reshape(3, 4)
    for column, lowest in enumerate((2, 2, 2, 1)):
        assert any(label.get_visible() and label.get_text() for label in panels[lowest, column].get_xticklabels())


def test_the_auroc_of_a_family_stands_beside_its_accuracy_and_inside_the_axis() -> None:
    table = accuracy_table(of_models().query("k == 50"), ["model", "task"])
    axis = figures.family(table, "likelier").figure.axes[0]
    drawn = [float(container[0].get_ydata()[0]) for container in axis.containers]
    means = table[table["reader"] == "likelier"].groupby("model", sort=False)[["accuracy", "auroc"]].mean()
    assert drawn == pytest.approx(means.to_numpy().ravel())
    low, high = axis.get_ylim()
    assert low < min(drawn) and max(drawn) < high and high > 0.8
