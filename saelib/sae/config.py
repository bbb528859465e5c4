"""What training an SAE reads: one frozen config, whichever experiment the SAE is for.

In: sizes, rates and counts. Out: a `TrainingConfig`, and the two things that differ between phases in `TrainingPhase`.
"""

from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from saelib.language.precision import Precision
from saelib.run.config import Config, Seed

Share = Annotated[float, Field(ge=0, le=1)]
DecayRate = Annotated[float, Field(ge=0, lt=1)]


def _rise_from_0(checkpoints: tuple[int, ...]) -> tuple[int, ...]:
    if len(checkpoints) < 2 or checkpoints[0] != 0 or list(checkpoints) != sorted(set(checkpoints)):
        raise ValueError("must start at 0 and rise, with the end of training as the last")
    return checkpoints


class TrainingPhase(Config):
    """One training of several SAEs side by side: how long, how fast, and which weights are kept."""

    checkpoints: Annotated[tuple[int, ...], AfterValidator(_rise_from_0)]
    """Token counts at which weights are kept; the first is 0 (the start), the last is the end of training."""
    learning_rate: PositiveFloat
    """Adam's, constant until the decay."""

    @property
    def tokens(self) -> int:
        """Training tokens that each SAE sees."""
        return self.checkpoints[-1]


class TrainingConfig(Config):
    """What the training of SAEs reads. Defaults are those of paper 1 where it names a value."""

    seed: Seed
    """Of the order of the data."""
    context_length: PositiveInt
    """Tokens in a row."""
    expansion_factor: Annotated[int, Field(ge=1, le=1024)] = 8
    """d_sae / d_model."""
    batch_tokens: PositiveInt = 4096
    """Tokens in an optimiser step."""
    chunk_rows: PositiveInt
    """Rows whose activations are in memory at once, and within which they are shuffled."""
    l1_coefficient: NonNegativeFloat = 1.0
    """lambda, weight of the L1 penalty against the squared error summed over d_model."""
    l1_warm_up_share: Share = 0.05
    """Share of the steps over which lambda grows from 0."""
    learning_rate_decay_share: Share = 0.2
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    adam_betas: tuple[DecayRate, DecayRate] = (0.0, 0.999)
    """Adam's decay rates of the first and the second moment."""
    gradient_clip: PositiveFloat = 1.0
    """Largest norm of one SAE's gradient."""
    precision: Precision = "float32"
    """Of matrix products, in the language model, the SAEs' steps and the evaluation: "float32", as in the paper, or
    faster "tf32" (CUDA only) and "bfloat16", summed in float32. SAE steps on a CPU are float32 in any case."""

    @model_validator(mode="after")
    def _batches_fill_a_chunk(self) -> Self:
        if self.chunk_tokens % self.batch_tokens:
            raise ValueError(
                f"batch_tokens={self.batch_tokens} does not divide a chunk of chunk_rows={self.chunk_rows} x "
                f"context_length={self.context_length} = {self.chunk_tokens} tokens; "
                f"{_largest_divisor(self.chunk_tokens, self.batch_tokens)} does"
            )
        return self

    @property
    def chunk_tokens(self) -> int:
        """Tokens whose activations are in memory at once."""
        return self.chunk_rows * self.context_length

    def check_phases(self, **phases: TrainingPhase) -> None:
        """Refuse checkpoints inside a chunk: training keeps weights between chunks only.

        Args:
            phases: by the name that messages give them.

        Raises:
            ValueError: names those that are, phase by phase.
        """
        faults = [
            f"{name}.checkpoints: {off} are no multiples of a chunk's {self.chunk_tokens} tokens; the nearest: "
            f"{[max(1, round(tokens / self.chunk_tokens)) * self.chunk_tokens for tokens in off]}"
            for name, phase in phases.items()
            if (off := [tokens for tokens in phase.checkpoints if tokens % self.chunk_tokens])
        ]
        if faults:
            raise ValueError("\n".join(faults))


def _largest_divisor(number: int, most: int) -> int:
    return next(divisor for divisor in range(min(number, most), 0, -1) if number % divisor == 0)
