"""lambda and the learning rate change as the paper says."""

import pytest

from saelib.sae.config import TrainingConfig
from saelib.sae.training.schedule import schedule

CONFIG = TrainingConfig(context_length=16, chunk_rows=4, batch_tokens=16, l1_coefficient=0.1)


def test_schedule_is_the_papers() -> None:
    """100 steps: 5 of them warm-up of lambda, the last 20 decay of the learning rate."""
    assert schedule(0, 100, CONFIG) == (0.0, 1.0)
    assert schedule(1, 100, CONFIG).l1_coefficient == pytest.approx(0.1 / 5)
    assert [schedule(step, 100, CONFIG).l1_coefficient for step in (5, 50, 99)] == [0.1] * 3
    factors = [schedule(step, 100, CONFIG).rate_factor for step in (79, 80, 81, 99)]
    assert factors == pytest.approx([1.0, 1.0, 0.95, 0.05])


def test_no_step_is_of_no_use() -> None:
    """The last step still moves; the first one has no penalty only where there is a warm-up."""
    values = [schedule(step, 1000, CONFIG) for step in range(1000)]
    assert all(0 < value.rate_factor <= 1 for value in values)
    assert sorted(value.l1_coefficient for value in values) == [value.l1_coefficient for value in values]
    assert sorted((value.rate_factor for value in values), reverse=True) == [value.rate_factor for value in values]


def test_either_part_may_be_left_out() -> None:
    steady = CONFIG.replace(l1_warm_up_share=0.0, learning_rate_decay_share=0.0)
    assert {schedule(step, 10, steady) for step in range(10)} == {(0.1, 1.0)}
    assert {schedule(step, 4, CONFIG) for step in range(4)} == {(0.1, 1.0)}  # a twentieth of 4 steps is none


def test_either_part_may_be_the_whole() -> None:
    always = CONFIG.replace(l1_warm_up_share=1.0, learning_rate_decay_share=1.0)
    assert [schedule(step, 4, always) for step in range(4)] == [
        pytest.approx(pair) for pair in ((0, 1), (0.025, 0.75), (0.05, 0.5), (0.075, 0.25))
    ]
