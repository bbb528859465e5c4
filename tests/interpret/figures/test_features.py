"""Figures of features: their lines are the tables' numbers."""

from typing import Any

import numpy as np
import pandas as pd

from saelib.interpret.features.statistics import BINS
from saelib.interpret.figures.features import activations, densities


def table(density: list[float], bins: list[int]) -> pd.DataFrame:
    histogram = [np.bincount([place], minlength=BINS) * 4 for place in bins]
    return pd.DataFrame({"density": density, "dead": [value == 0 for value in density], "histogram": histogram})


def heights(axis: Any, place: int = 0) -> np.ndarray:
    return np.asarray(axis.patches[place].get_data().values)


def test_densities_are_shares_of_all_features_and_the_dead_are_named() -> None:
    drawn = densities({"source": table([0.01, 0.01, 0.5, 0.0], [3, 3, 3, 3])}, dense_share=0.1).figure
    values = heights(drawn.axes[0])
    assert sorted(values[values > 0].tolist()) == [0.25, 0.5]
    assert [text.get_text() for text in drawn.legends[0].get_texts()] == ["source (25% dead)"]


def test_a_density_beneath_the_axis_is_drawn_at_its_edge() -> None:
    drawn = densities({"source": table([1e-9], [3])}).figure
    assert heights(drawn.axes[0])[0] == 1


def test_activations_are_summed_over_features_or_are_those_of_one() -> None:
    tables = {"source": table([0.1, 0.1], [20, 24]), "scratch": table([0.1, 0.1], [20, 20])}
    both = activations(tables).figure.axes[0]
    assert heights(both)[[20, 24]].tolist() == [0.5, 0.5]
    assert heights(both, 1)[20] == 1
    assert {line.get_linestyle() for line in both.patches} == {"-", "--"}
    one = activations(tables, feature=1).figure.axes[0]
    assert heights(one)[24] == 1
    assert one.get_xlim() == (1.0, 2.0 ** (5 / 2))  # bins 20 to 24: from 2^0 to 2^2.5


def test_a_feature_that_is_never_active_is_drawn_empty() -> None:
    silent = table([0.0], [3]).assign(histogram=[np.zeros(BINS, int)])
    assert heights(activations({"source": silent}).figure.axes[0]).sum() == 0
