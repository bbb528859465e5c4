"""H-Test figures are drawn from tables alone, by the short names that notebooks use, and have captions."""

from collections.abc import Callable

import pytest

from saelib.htest import figures
from saelib.htest.scoring.accuracy import accuracy_table
from saelib.htest.scoring.readings import readings_of
from saelib.results.figures import NamedFigure
from tests.helpers.answers import noisy_replies
from tests.helpers.htest_tables import (
    against_fresh_of_two_sets,
    beneath_of_two_sets,
    by_model,
    curve,
    geometry,
    of_controls,
    of_models,
    one_condition,
    shortcuts,
    shot_orders,
)

DRAWINGS: dict[str, Callable[[], NamedFigure]] = {
    "htest_accuracy_heat_map": lambda: figures.accuracy_heat_map(by_model()),
    "htest_shots": lambda: figures.shots(accuracy_table(of_models(), ["model", "k", "task"])),
    "htest_letter_bias": lambda: figures.letter_bias(one_condition()),
    "htest_ranking": lambda: figures.accuracy_and_ranking(accuracy_table(one_condition(), ["task"])),
    "htest_family": lambda: figures.family(by_model(), "likelier"),
    "htest_fine_tuning": lambda: figures.learning_curves(curve()),
    "htest_shortcuts": lambda: figures.shortcuts(shortcuts()),
    "htest_letter_geometry": lambda: figures.letter_geometry(geometry()),
    "htest_fresh": lambda: figures.released_and_fresh(beneath_of_two_sets(), against_fresh_of_two_sets()),
    "htest_held_fixed": lambda: figures.held_fixed(beneath_of_two_sets()),
    "htest_shot_orders": lambda: figures.shot_orders(shot_orders(), "likelier"),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_drawn_and_has_a_name_and_a_caption(name: str) -> None:
    drawn = DRAWINGS[name]()
    assert drawn._repr_png_().startswith(b"\x89PNG")
    assert drawn.name == name
    assert len(drawn.caption) > 40 and not drawn.caption.endswith(".")


def test_every_short_name_is_drawn() -> None:
    assert len(figures.__all__) == len(DRAWINGS)


@pytest.mark.parametrize("draw", [figures.shots, figures.family, figures.accuracy_and_ranking])
def test_one_task_and_one_model_are_enough(draw: Callable[..., NamedFigure]) -> None:
    readings = readings_of(noisy_replies(1.0, 0.0, tasks=["rhyme"]))
    assert draw(accuracy_table(readings, ["model", "k", "task"]))._repr_png_()
    assert figures.letter_bias(readings)._repr_png_()


def test_a_figure_of_several_conditions_in_one_is_refused() -> None:
    table = accuracy_table(of_models(), ["model", "k", "task"])
    with pytest.raises(ValueError, match="'strict' has several rows for one task and model"):
        figures.accuracy_heat_map(table)
    with pytest.raises(ValueError, match="they differ in model, k"):
        figures.letter_bias(of_models())
    with pytest.raises(ValueError, match="no margins"):
        figures.letter_bias(of_controls())
    with pytest.raises(ValueError, match="'likelier' has no rows"):
        figures.family(accuracy_table(of_controls(), ["model", "task"]), "likelier")
