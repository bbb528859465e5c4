"""Figures of paper 1, by short names: `figures.convergence(evaluation)`.

In: result tables. Out: named figures, which `saelib.results.notebook.show_figure` keeps and shows.
"""

from saelib.transfer.figures.curves import average_figure as averages
from saelib.transfer.figures.curves import convergence_figure as convergence
from saelib.transfer.figures.curves import final_figure as finals
from saelib.transfer.figures.curves import gains_figure as gains
from saelib.transfer.figures.curves import layer_figure as layers
from saelib.transfer.figures.curves import savings_figure as savings
from saelib.transfer.figures.curves import zero_shot_figure as zero_shot_matrix
from saelib.transfer.figures.paper import averages_figure as paper_averages
from saelib.transfer.figures.paper import normalised_figure as paper_normalised
from saelib.transfer.figures.scratch import choice_of_lambda, training

__all__ = ["averages", "choice_of_lambda", "convergence", "finals", "gains", "layers", "paper_averages",
           "paper_normalised", "savings", "training", "zero_shot_matrix"]  # fmt: skip
