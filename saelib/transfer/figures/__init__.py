"""Figures of paper 1, by short names: `figures.convergence(curves, needed, saved)`.

In: tidy tables of a run's statistics, computed once by whoever draws. Out: named figures, which
`saelib.results.notebook.show_figure` keeps and shows.
"""

from saelib.transfer.figures.curves import averages, finals, layers
from saelib.transfer.figures.distance import depth_frontier, map_against_scratch, map_distance
from saelib.transfer.figures.equal import frontier, gains
from saelib.transfer.figures.headline import convergence
from saelib.transfer.figures.paper import paper_averages, paper_normalised
from saelib.transfer.figures.saved import savings, savings_by_layer
from saelib.transfer.figures.scratch import choice_of_lambda, training, zero_shot_matrix
from saelib.transfer.figures.starts import distances, map_fit, schedules

__all__ = ["averages", "choice_of_lambda", "convergence", "depth_frontier", "distances", "finals", "frontier",
           "gains", "layers", "map_against_scratch", "map_distance", "map_fit", "paper_averages", "paper_normalised",
           "savings", "savings_by_layer", "schedules", "training", "zero_shot_matrix"]  # fmt: skip
