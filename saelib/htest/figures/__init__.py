"""Figures of H-Test, by short names: `figures.shots(accuracies)`.

Which picture belongs to a number? In: accuracy tables, readings, learning curves, shortcut tables. Out: named figures,
which `saelib.results.notebook.show_figure` keeps and shows. `accuracy` has those of accuracies, `shots` those of shots
and their order, `beneath` those of what lies beneath an accuracy, `finding` those of what a margin knows on fresh items
and at a fixed number; `style` is what they share.
"""

from saelib.htest.figures.accuracy import accuracy_heat_map, family, learning_curves
from saelib.htest.figures.beneath import accuracy_and_ranking, letter_bias, letter_geometry, shortcuts
from saelib.htest.figures.finding import held_fixed, released_and_fresh
from saelib.htest.figures.shots import shot_orders, shots

__all__ = ["accuracy_and_ranking", "accuracy_heat_map", "family", "held_fixed", "learning_curves", "letter_bias",
           "letter_geometry", "released_and_fresh", "shortcuts", "shot_orders", "shots"]  # fmt: skip
