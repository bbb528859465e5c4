"""How lambda and the learning rate change while an SAE trains.

In: the number of a step. Out: what the step uses; a pure function, as SAELens 3.14 has it.
"""

from typing import NamedTuple

from saelib.sae.config import TrainingConfig, TrainingPhase


class Schedule(NamedTuple):
    """What changes from step to step."""

    l1_coefficient: float
    """lambda."""
    rate_factor: float
    """Of the learning rate."""


def schedule(
    step: int, steps: int, config: TrainingConfig, end: int | None = None, l1_coefficient: float | None = None
) -> Schedule:
    """lambda and the factor of the learning rate at a step, counted from 0, of so many steps.

    lambda grows linearly over the first `l1_warm_up_share` of the steps; the learning rate is constant, and falls
    linearly to 0 over the last `learning_rate_decay_share` of those up to `end`.

    Args:
        end: of a branch that stops earlier; `steps` if not given. lambda grows as on the way to `steps`.
        l1_coefficient: what lambda grows to; the config's if not given.
    """
    end = steps if end is None else end
    full = config.l1_coefficient if l1_coefficient is None else l1_coefficient
    warm_up, decay = int(config.l1_warm_up_share * steps), decay_steps(end, config)
    rising = min(1.0, step / warm_up) if warm_up else 1.0
    falling = min(1.0, (end - step) / decay)
    return Schedule(full * rising, falling)


def decay_steps(end: int, config: TrainingConfig) -> int:
    """Steps over which the learning rate falls in a training of `end` steps; a single one leaves it as it is."""
    return max(1, int(config.learning_rate_decay_share * end))


def share_of_as_many(share: float, of_steps: int, steps: int) -> float:
    """The share of `steps` in which lambda grows over as many steps as in a training of `of_steps` with `share`."""
    return (int(share * of_steps) + 1e-6) / steps  # of which the whole part is taken


def branch_ends(phase: TrainingPhase, config: TrainingConfig) -> tuple[int, ...]:
    """Steps at which a branch ends, by the schedule: the last checkpoint is the trunk's own."""
    if config.schedule == "paper":
        return ()
    return tuple(tokens // config.batch_tokens for tokens in phase.checkpoints[1:-1])


def trained_tokens(phase: TrainingPhase, config: TrainingConfig) -> int:
    """Tokens on which the steps of one SAE are taken in a phase, those of its branches included."""
    branches = sum(decay_steps(end, config) for end in branch_ends(phase, config))
    return phase.tokens + branches * config.batch_tokens


def most_branches(phase: TrainingPhase, config: TrainingConfig) -> int:
    """Branches of one SAE that are in memory at once: all that are under way in the same chunk."""
    chunk = config.chunk_tokens // config.batch_tokens
    spans = [((end - decay_steps(end, config)) // chunk, (end - 1) // chunk) for end in branch_ends(phase, config)]
    chunks = {chunk for first, last in spans for chunk in (first, last)}
    return max((sum(first <= chunk <= last for first, last in spans) for chunk in chunks), default=0)
