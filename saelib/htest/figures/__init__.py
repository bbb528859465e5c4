"""Figures of H-Test, by short names: `figures.shots(accuracies)`.

Which picture belongs to a number? In: accuracy tables, readings, learning curves, shortcut tables. Out: named figures,
which `saelib.results.notebook.show_figure` keeps and shows. `accuracy` has those of accuracies, `beneath` those of what
lies beneath them; `style` is what they share.
"""

from saelib.htest.figures.accuracy import accuracy_heat_map, family, learning_curves, shots
from saelib.htest.figures.beneath import accuracy_and_ranking, letter_bias, letter_geometry, shortcuts

__all__ = ["accuracy_and_ranking", "accuracy_heat_map", "family", "learning_curves", "letter_bias", "letter_geometry",
           "shortcuts", "shots"]  # fmt: skip
