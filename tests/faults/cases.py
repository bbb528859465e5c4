"""What is tried: stages, and how much of everything in `make test` and in `make test-faults`.

In: how many there are, and how many may be tried. Out: which ones, evenly.
"""

from collections.abc import Sequence
from typing import TypeVar

import pytest

from tests.faults.stages import STAGES

One = TypeVar("One")
THOROUGH = pytest.mark.faults
EVERY = 10_000  # more than there are of anything
of_stages = pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name.replace(" ", "-"))


def how_many(quick: int, thorough: int) -> pytest.MarkDecorator:
    """The parameter `most` of a test."""
    return pytest.mark.parametrize("most", [quick, pytest.param(thorough, marks=THOROUGH)], ids=["quick", "thorough"])


def spread(points: int, most: int) -> Sequence[int]:
    """At most so many of the numbers 1 to `points`: the first and the last among them, or the one in the middle."""
    if points <= most:
        return range(1, points + 1)
    if most == 1:
        return [(points + 1) // 2]
    return sorted({1 + round(step * (points - 1) / (most - 1)) for step in range(most)})


def some(things: Sequence[One], most: int) -> list[One]:
    """At most so many of some things."""
    return [things[number - 1] for number in spread(len(things), most)]
