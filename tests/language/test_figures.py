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


def test_norms_by_position_are_drawn_without_and_with_a_sink_token() -> None:
    without, behind = np.array([[90.0, 2, 3], [80, 3, 4]]), np.array([[91.0, 2, 2, 3], [81, 3, 3, 4]])
    (alone,) = figures.norms_by_position(without, [1, 4]).figure.axes
    assert alone.get_title() == ""
    drawn = figures.norms_by_position(without, [1, 4], behind, "<|$_|>")
    left, right = drawn.figure.axes
    assert drawn.name == "norms_by_position"
    assert (left.get_title(), right.get_title()) == ("text alone", "behind <|$_|>")
    for axis, wanted in ((alone, without), (left, without), (right, behind)):
        assert [np.asarray(line.get_ydata()).tolist() for line in axis.lines] == wanted.tolist()
    assert right.get_legend_handles_labels()[1] == ["layer 1", "layer 4"]


def test_angular_distances_stand_side_by_side_with_their_layers() -> None:
    published, ours = np.full((4, 4), 0.25), np.full((2, 2), 0.5)
    drawn = figures.angular_distances(published, "published", ours, "ours", [1, 3])
    left, right = drawn.figure.axes[:2]
    assert drawn.name == "angular_distance"
    assert (left.get_title(), right.get_title()) == ("published", "ours")
    assert [label.get_text() for label in left.get_yticklabels()] == ["0", "1", "2", "3"]
    assert [label.get_text() for label in right.get_yticklabels()] == ["1", "3"]
    assert {text.get_text() for text in right.texts} == {"0.50"}
