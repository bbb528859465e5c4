"""How lambda and the learning rate change while an SAE trains.

In: the number of a step. Out: what the step uses; a pure function, as SAELens 3.14 has it.
"""

from typing import NamedTuple

from saelib.sae.config import TrainingConfig


class Schedule(NamedTuple):
    """What changes from step to step."""

    l1_coefficient: float
    """lambda."""
    rate_factor: float
    """Of the learning rate."""


def schedule(step: int, steps: int, config: TrainingConfig) -> Schedule:
    """lambda and the factor of the learning rate at a step, counted from 0, of so many steps.

    lambda grows linearly over the first `l1_warm_up_share` of the steps; the learning rate is constant, and falls
    linearly to 0 over the last `learning_rate_decay_share`.
    """
    warm_up = int(config.l1_warm_up_share * steps)
    decay = int(config.learning_rate_decay_share * steps)
    rising = min(1.0, step / warm_up) if warm_up else 1.0
    falling = min(1.0, (steps - step) / decay) if decay else 1.0
    return Schedule(config.l1_coefficient * rising, falling)
