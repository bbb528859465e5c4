"""What training an SAE reads: one frozen config, whichever experiment the SAE is for.

In: sizes, rates and counts. Out: a `TrainingConfig`, and the two things that differ between phases in `TrainingPhase`.
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PlainValidator,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from saelib.language.precision import Precision
from saelib.run.config import Config

Share = Annotated[float, Field(ge=0, le=1)]
ScheduleName = Literal["paper", "wsd"]
DecayRate = Annotated[float, Field(ge=0, lt=1)]
MOST_TOKENS = 10**13  # of a training: more than any text has
LARGEST_SCALE = 1e16  # longer residual vectors are refused


def _rise_from_0(checkpoints: tuple[int, ...]) -> tuple[int, ...]:
    if len(checkpoints) < 2 or checkpoints[0] != 0 or list(checkpoints) != sorted(set(checkpoints)):
        raise ValueError("must start at 0 and rise, with the end of training as the last")
    return checkpoints


def _scale(value: Any) -> str | float:
    if isinstance(value, str) and value in ("none", "norm"):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST_SCALE:
        raise ValueError(f"should be 'none', 'norm' or a number above 0, up to {LARGEST_SCALE:g}")
    return float(value)


Scale = Literal["none", "norm"] | float


class TrainingPhase(Config):
    """One training of several SAEs side by side: how long, how fast, and which weights are kept."""

    checkpoints: Annotated[tuple[Annotated[int, Field(le=MOST_TOKENS)], ...], AfterValidator(_rise_from_0)]
    """Token counts at which weights are kept; the first is 0 (the start), the last is the end of training. What is
    kept at the others `TrainingConfig.schedule` says."""
    learning_rate: PositiveFloat
    """Adam's, constant until the decay."""

    @property
    def tokens(self) -> int:
        """Training tokens that each SAE sees."""
        return self.checkpoints[-1]


class TrainingConfig(Config):
    """What the training of SAEs reads. Defaults are those of paper 1 where it names a value."""

    ADDED: ClassVar[tuple[str, ...]] = ("skip_first", "activation_scale")

    context_length: Annotated[PositiveInt, Field(le=2**24)]
    """Tokens in a row."""
    expansion_factor: Annotated[int, Field(ge=1, le=1024)] = 8
    """d_sae / d_model."""
    batch_tokens: Annotated[PositiveInt, Field(le=2**30)] = 4096
    """Tokens in an optimiser step."""
    chunk_rows: Annotated[PositiveInt, Field(le=2**20)]
    """Rows whose activations are in memory at once, and within which they are shuffled."""
    skip_first: NonNegativeInt = 0
    """Positions at the start of each row that no SAE is trained on or scored at, nor a map fitted on; in a splice they
    keep their own residual vectors. Many models have an attention sink there, whose norm would rule the squared error.
    A chunk then holds as many tokens as without, from a few rows more."""
    activation_scale: Annotated[Scale, PlainValidator(_scale, json_schema_input_type=Scale)] = "none"
    """What the residual streams are divided by while SAEs train on them: "none"; a number, the same at every layer; or
    "norm", a layer's mean norm / sqrt(d_model). Learning rate and lambda then mean the same whatever the stream's size.
    What is kept is an SAE of plain activations (its biases times the scale); tables are in the model's own units."""
    l1_coefficient: NonNegativeFloat = 1.0
    """lambda, weight of the L1 penalty against the squared error summed over d_model; with `activation_scale` of the
    divided streams, so that in tables, in the model's own units, it is that many times as large."""
    l1_warm_up_share: Share = 0.05
    """Share of the steps over which lambda grows from 0."""
    learning_rate_decay_share: Share = 0.2
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    schedule: ScheduleName = "paper"
    """When the learning rate falls. "paper": once, at the end of training; an SAE kept before has not seen it. "wsd"
    (warm-up, stable, decay): for every checkpoint, in a branch that leaves the constant rate for its last share of the
    steps; then what is kept at a checkpoint is what a training of that length would give, with as many steps of
    lambda's warm-up."""
    adam_betas: tuple[DecayRate, DecayRate] = (0.0, 0.999)
    """Adam's decay rates of the first and the second moment."""
    gradient_clip: PositiveFloat = 1.0
    """Largest norm of one SAE's gradient."""
    precision: Precision = "float32"
    """Of matrix products, in the language model, the SAEs' steps and the evaluation: "float32", as in the paper, or
    faster "tf32" (CUDA only) and "bfloat16", summed in float32. SAE steps on a CPU are float32 in any case."""

    @model_validator(mode="after")
    def _positions_are_left(self) -> Self:
        if self.skip_first and self.context_length - self.skip_first < 2:
            raise ValueError(
                f"skip_first={self.skip_first} leaves {max(self.context_length - self.skip_first, 0)} of "
                f"context_length={self.context_length} positions, and a loss needs two: choose "
                f"{self.context_length - 2} at most"
            )
        return self

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

    @property
    def skipped(self) -> int:
        """Positions at the start of each row that are left out; what everybody reads, for whatever reason they are."""
        return self.skip_first

    @property
    def row_tokens(self) -> int:
        """Tokens of a row that are trained on."""
        return self.context_length - self.skipped

    def rows_of(self, tokens: int) -> int:
        """Rows that hold so many tokens to train on."""
        return -(-tokens // self.row_tokens)

    def tokens_read(self, tokens: int) -> int:
        """Tokens that the language model reads, chunk by chunk, for so many to train on: skipped positions too."""
        return tokens // self.chunk_tokens * self.rows_of(self.chunk_tokens) * self.context_length

    def check_phases(self, **phases: TrainingPhase) -> None:
        """Refuse checkpoints at which weights cannot be kept.

        Args:
            phases: by the name that messages give them.

        Raises:
            ValueError: names those that are, phase by phase.
        """
        faults = [fault for name, phase in phases.items() for fault in self._faults(f"{name}.checkpoints", phase)]
        if faults:
            raise ValueError("\n".join(faults))

    def _faults(self, name: str, phase: TrainingPhase) -> list[str]:
        """Training goes from chunk to chunk, ends with one and keeps weights between them; branches end anywhere."""
        wsd = self.schedule == "wsd"
        within_chunks, at_ends = (phase.checkpoints[:-1], phase.checkpoints[-1:]) if wsd else ((), phase.checkpoints)
        faults = [
            f"{name}: {off} are no multiples of {whose}'s {unit} tokens; the nearest: {_nearest(off, unit)}"
            for tokens, unit, whose in ((within_chunks, self.batch_tokens, "a batch"),
                                        (at_ends, self.chunk_tokens, "a chunk"))
            if (off := [count for count in tokens if count % unit])
        ]  # fmt: skip
        first = phase.checkpoints[1]
        warm_up = int(self.l1_warm_up_share * phase.tokens)
        stable = first * (1 - self.learning_rate_decay_share)
        if wsd and stable < warm_up:
            most = math.floor(stable / phase.tokens * 1000) / 1000
            faults.append(
                f"{name}: the first, {first}, begins its decay before lambda has grown to its full size, at {warm_up} "
                f"tokens; leave it out, or set l1_warm_up_share to {most:g} at most"
            )
        return faults


def _nearest(counts: list[int], unit: int) -> list[int]:
    return [max(1, round(tokens / unit)) * unit for tokens in counts]


def _largest_divisor(number: int, most: int) -> int:
    return next(divisor for divisor in range(min(number, most), 0, -1) if number % divisor == 0)
