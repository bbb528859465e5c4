"""What stands above the panels of a figure stays inside it, however few panels there are."""

import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from saelib.interpret.circuits.tables import circuit_scores
from saelib.interpret.figures import circuits
from tests.helpers.circuit_tables import made_circuits


@pytest.mark.parametrize("tasks", [1, 2])
def test_the_note_of_a_narrow_figure_is_inside_it(tasks: int) -> None:
    scores = circuit_scores(made_circuits(lambda arm, layer: [3.0, 3.0]), seed=0, resamples=20)
    some = scores[scores["task"].isin(scores["task"].unique()[:tasks])]
    figure = circuits.circuit_scores(some).figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (text,) = figure.texts
    note = text.get_window_extent(canvas.get_renderer())
    assert note.x0 >= 0 and note.x1 <= figure.bbox.width
    assert note.y1 <= figure.bbox.height
    tops = [box.y1 for box in map(Axes.get_tightbbox, figure.axes) if box]
    assert max(tops) <= note.y0
