"""One frozen, validated config for a whole experiment, and the presets that fill it.

In: a preset's name and a few overrides, as a notebook's parameters give them. Out: an `ExperimentConfig`.
"""

import math
from dataclasses import dataclass
from typing import Any

from saelib.run.config import RunConfig, resolve

MATMUL_PRECISIONS = ("highest", "high", "medium")


@dataclass(frozen=True, kw_only=True)
class TrainingPhase:
    """What differs between the two training phases, `scratch` and `transfer`."""

    checkpoints: tuple[int, ...]
    """Token counts at which weights are kept; the first is 0 (the start), the last is the end of training."""
    learning_rate: float
    """Adam's, constant until the decay."""

    @property
    def tokens(self) -> int:
        """Training tokens that each SAE sees."""
        return self.checkpoints[-1]


@dataclass(frozen=True, kw_only=True)
class ExperimentConfig(RunConfig):
    """Everything that decides the numbers of a run. Defaults are the paper's where it names a value.

    The seed is that of the data order and of the first SAE; further SAE seeds count up from it.
    """

    language_model: str
    """ "embedded", a folder, or a Hugging Face name."""
    revision: str | None = None
    """Commit or tag of a hub model; None takes its main branch."""
    corpus: str
    """ "docstrings", the path of a .txt file, or a Hugging Face data set with a `tokens` column."""
    context_length: int
    """Tokens in a row."""
    layers: tuple[int, ...] | None = None
    """Layers whose residual stream gets an SAE; None takes all. Transfer goes between neighbours in this list."""
    expansion_factor: int = 8
    """d_sae / d_model."""
    sae_seeds: int
    """SAEs for each layer and arm, from different random starts, trained on the same batches."""
    batch_tokens: int = 4096
    """Tokens in an optimiser step."""
    chunk_rows: int
    """Rows whose activations are in memory at once, and within which they are shuffled."""
    l1_coefficient: float = 1.0
    """lambda, weight of the L1 penalty against the squared error summed over d_model."""
    l1_warm_up_share: float = 0.05
    """Share of the steps over which lambda grows from 0."""
    learning_rate_decay_share: float = 0.2
    """Share of the steps, at the end, over which the learning rate falls to 0."""
    adam_betas: tuple[float, float] = (0.0, 0.999)
    """Adam's decay rates."""
    gradient_clip: float = 1.0
    """Largest norm of one SAE's gradient."""
    matmul_precision: str = "highest"
    """Of the SAEs' matrix products, as in `torch.set_float32_matmul_precision`: "highest" is float32, as in the paper;
    "high" and "medium" let the hardware round to TF32 or bfloat16 inside a product, which is faster."""
    scratch: TrainingPhase
    """Phase 1: every layer from a random start."""
    transfer: TrainingPhase
    """Phase 2: forward and backward transfers, and their control from the random start."""
    control_learning_rate: float
    """Adam's for the control: what is right from a random start, not for a transfer."""
    held_out_rows: int
    """Rows on which every SAE is scored; never trained on."""
    evaluation_batch_rows: int
    """Rows in one forward pass of the evaluation; no result depends on it."""
    device: str = "auto"
    """ "auto" (cuda, mps or cpu, whichever is there), or one of them."""

    def __post_init__(self) -> None:
        """Refuse contradictions.

        Raises:
            ValueError: with the field, its value and what would be right.
        """
        super().__post_init__()
        positive = ("context_length", "expansion_factor", "sae_seeds", "batch_tokens", "chunk_rows", "held_out_rows",
                    "evaluation_batch_rows", "gradient_clip")  # fmt: skip
        for name in positive:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)!r}: must be above 0")
        if not 0 <= self.l1_coefficient < math.inf:
            raise ValueError(f"l1_coefficient={self.l1_coefficient}: must be finite and not negative")
        for name in ("l1_warm_up_share", "learning_rate_decay_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)!r}: is a share of the steps, between 0 and 1")
        if self.matmul_precision not in MATMUL_PRECISIONS:
            raise ValueError(
                f"matmul_precision={self.matmul_precision!r}: choose one of {', '.join(MATMUL_PRECISIONS)}"
            )
        if self.chunk_tokens % self.batch_tokens:
            raise ValueError(
                f"batch_tokens={self.batch_tokens} does not divide a chunk of chunk_rows={self.chunk_rows} x "
                f"context_length={self.context_length} = {self.chunk_tokens} tokens"
            )
        for name in ("scratch", "transfer"):
            self._check_checkpoints(name, getattr(self, name).checkpoints)

    def _check_checkpoints(self, name: str, checkpoints: tuple[int, ...]) -> None:
        if len(checkpoints) < 2 or checkpoints[0] != 0 or list(checkpoints) != sorted(set(checkpoints)):
            raise ValueError(f"{name}.checkpoints={checkpoints}: start at 0 and rise")
        if off := [tokens for tokens in checkpoints if tokens % self.chunk_tokens]:
            raise ValueError(f"{name}.checkpoints: {off} are no multiples of a chunk's {self.chunk_tokens} tokens")

    @property
    def chunk_tokens(self) -> int:
        """Tokens whose activations are in memory at once."""
        return self.chunk_rows * self.context_length

    @property
    def seeds(self) -> tuple[int, ...]:
        """The SAE seeds."""
        return tuple(range(self.seed, self.seed + self.sae_seeds))


def checkpoint_grid(chunk_tokens: int, first: int, even: int, steps: int) -> tuple[int, ...]:
    """Token counts: 0, doubling from `first` chunks up to `even`, then every `even` chunks, `steps` times."""
    doubling = [first * 2**power for power in range(20) if first * 2**power < even]
    return tuple(chunk_tokens * chunks for chunks in [0, *doubling, *(even * step for step in range(1, steps + 1))])


TINY_CHUNK, SMOKE_CHUNK, PYTHIA_CHUNK = 64 * 256, 16 * 64, 104 * 1024

PRESETS: dict[str, ExperimentConfig] = {
    # The default: minutes on two CPU cores. Notebook 02 says how its numbers were chosen.
    "tiny": ExperimentConfig(
        preset="tiny",
        run="tiny",
        seed=0,
        language_model="embedded",
        corpus="docstrings",
        context_length=256,
        sae_seeds=3,
        batch_tokens=1024,
        chunk_rows=64,
        l1_coefficient=10.0,
        scratch=TrainingPhase(checkpoints=checkpoint_grid(TINY_CHUNK, 1, 8, 4), learning_rate=3e-3),
        transfer=TrainingPhase(checkpoints=checkpoint_grid(TINY_CHUNK, 1, 8, 2), learning_rate=3e-3),
        control_learning_rate=3e-3,
        held_out_rows=32,
        evaluation_batch_rows=8,
    ),
    # For tests: the whole pipeline in seconds, with numbers that mean nothing.
    "smoke": ExperimentConfig(
        preset="smoke",
        run="smoke",
        seed=0,
        language_model="embedded",
        corpus="docstrings",
        context_length=64,
        expansion_factor=2,
        sae_seeds=2,
        batch_tokens=256,
        chunk_rows=16,
        scratch=TrainingPhase(checkpoints=checkpoint_grid(SMOKE_CHUNK, 1, 4, 2), learning_rate=2e-3),
        transfer=TrainingPhase(checkpoints=checkpoint_grid(SMOKE_CHUNK, 1, 2, 2), learning_rate=2e-3),
        control_learning_rate=2e-3,
        held_out_rows=8,
        evaluation_batch_rows=4,
    ),
    # The paper's own model and sizes. A chunk of 26 steps divides its 244,140 and 122,070 steps, and its grid
    # of 100M tokens (24,414 steps) too.
    "pythia-160m": ExperimentConfig(
        preset="pythia-160m",
        run="pythia-160m",
        seed=42,
        language_model="EleutherAI/pythia-160m-deduped",
        corpus="NeelNanda/pile-small-tokenized-2b",
        context_length=1024,
        sae_seeds=1,
        chunk_rows=104,
        scratch=TrainingPhase(checkpoints=checkpoint_grid(PYTHIA_CHUNK, 10, 939, 10), learning_rate=3e-5),
        transfer=TrainingPhase(checkpoints=checkpoint_grid(PYTHIA_CHUNK, 10, 939, 5), learning_rate=1e-5),
        control_learning_rate=3e-5,
        held_out_rows=1024,
        evaluation_batch_rows=8,
    ),
}


def resolve_config(**parameters: Any) -> ExperimentConfig:
    """A preset of `PRESETS` with overrides, checked by `run_config.resolve`, whose arguments and errors these are."""
    return resolve(PRESETS, **parameters)
