"""Figures of paper 1, by short names: `figures.convergence(evaluation)`.

In: result tables. Out: named figures, which `saelib.results.notebook.show_figure` keeps and shows.
"""

from saelib.transfer.figures.curves import averages, convergence, finals, gains, layers, savings, zero_shot_matrix
from saelib.transfer.figures.paper import paper_averages, paper_normalised
from saelib.transfer.figures.scratch import choice_of_lambda, training

__all__ = ["averages", "choice_of_lambda", "convergence", "finals", "gains", "layers", "paper_averages",
           "paper_normalised", "savings", "training", "zero_shot_matrix"]  # fmt: skip
