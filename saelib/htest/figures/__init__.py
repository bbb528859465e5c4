"""Figures of H-Test, by short names: `figures.shots(accuracies)`.

Which picture belongs to a number? In: accuracy tables, readings, learning curves, shortcut tables. Out: named figures,
which `saelib.results.notebook.show_figure` keeps and shows. `accuracy` has those of accuracies, `beneath` those of what
lies beneath them; `style` is what they share.
"""

from saelib.htest.figures.accuracy import accuracy_heat_map
from saelib.htest.figures.accuracy import family_figure as family
from saelib.htest.figures.accuracy import learning_curve_figure as learning_curves
from saelib.htest.figures.accuracy import shots_figure as shots
from saelib.htest.figures.beneath import accuracy_and_ranking_figure as accuracy_and_ranking
from saelib.htest.figures.beneath import geometry_figure as letter_geometry
from saelib.htest.figures.beneath import letter_bias_figure as letter_bias
from saelib.htest.figures.beneath import shortcut_figure as shortcuts

__all__ = ["accuracy_and_ranking", "accuracy_heat_map", "family", "learning_curves", "letter_bias", "letter_geometry",
           "shortcuts", "shots"]  # fmt: skip
