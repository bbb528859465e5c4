"""Figures of the language model: what is drawn is what was handed in."""

import numpy as np
import pytest

from saelib.language import figures


def test_loss_is_drawn_between_zero_and_the_highest_baseline() -> None:
    drawn = figures.loss(5 - np.linspace(0, 1, 255), {"uniform": 8.3, "unigram": 6.1})
    axis = drawn.figure.axes[0]
    assert drawn.name == "loss_by_position"
    assert axis.get_ylim() == pytest.approx((0, 1.08 * 8.3))
    assert np.asarray(axis.lines[0].get_xydata())[0] == pytest.approx([1, 5])
    levels = [float(np.asarray(line.get_ydata())[0]) for line in axis.lines[1:]]
    assert dict(zip((text.get_text() for text in axis.texts), levels, strict=True)) == {"uniform": 8.3, "unigram": 6.1}


def test_norms_are_the_heights_of_the_bars() -> None:
    drawn = figures.norms(np.array([3.0, 5, 9]), [0, 2, 4])
    axis = drawn.figure.axes[0]
    assert drawn.name == "residual_norms"
    assert [bar.get_height() for bar in axis.containers[0]] == [3, 5, 9]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "2", "4"]


def test_angular_distances_stand_side_by_side_with_their_layers() -> None:
    published, ours = np.full((4, 4), 0.25), np.full((2, 2), 0.5)
    drawn = figures.angular_distances(published, "published", ours, "ours", [1, 3])
    left, right = drawn.figure.axes[:2]
    assert drawn.name == "angular_distance"
    assert (left.get_title(), right.get_title()) == ("published", "ours")
    assert [label.get_text() for label in left.get_yticklabels()] == ["0", "1", "2", "3"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["1", "3"]
    assert {text.get_text() for text in right.texts} == {"0.50"}
