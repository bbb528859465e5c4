"""One frozen, checked config for a whole layer-transfer experiment, and the presets that fill it.

In: a preset's name and a few overrides, as a notebook's parameters give them. Out: an `ExperimentConfig`.
"""

from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from saelib.run.config import Device, Name, RunConfig, Seed, resolve, usable_name
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.starts import Start


def _rise(layers: tuple[int, ...]) -> tuple[int, ...]:
    if not layers:
        raise ValueError("name at least one layer; None takes all")
    if any(first >= second for first, second in pairwise(layers)):
        raise ValueError(f"name each layer once, from the first to the last: {sorted(set(layers))}")
    return layers


Value = TypeVar("Value")


def _once(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values or len(set(values)) != len(values):
        raise ValueError("name at least one, and each once")
    return values


def _with_the_neighbour(distances: tuple[int, ...]) -> tuple[int, ...]:
    if 1 not in distances:
        raise ValueError(f"name 1 too, {sorted([1, *distances])}: farther sources are shown beside the nearest")
    return distances


def _own(source: str | None) -> str | None:
    return None if source in (None, "scratch") else usable_name(source)


class ExperimentConfig(TrainingConfig, RunConfig):
    """Everything that decides the numbers of a run. Defaults are the paper's where it names a value."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = RunConfig.WITHOUT_EFFECT
    ADDED: ClassVar[tuple[str, ...]] = (
        *TrainingConfig.ADDED,
        *("prepend_bos", "source", "l1_unit", "target_l0", "trial_tokens"),
    )

    seed: Seed
    """Of the first random start; further ones count up from it."""
    data_seed: Seed | None = None
    """Of the first order of the data; further ones count up from it. None takes `seed`."""
    language_model: Name
    """ "embedded", a folder, or a Hugging Face name."""
    revision: Name | None = None
    """Commit or tag of a hub model; None takes its main branch."""
    corpus: Name
    """ "docstrings"; the path of a text, of a .jsonl or .parquet file with a column `text` (or file.jsonl:column), each
    gzipped or not, or of a folder of such files; or a Hugging Face data set with a column `tokens`."""
    prepend_bos: bool | None = None
    """Does every row begin with the beginning-of-sequence token? None: as the tokenizer does when it encodes a text;
    the rows of a hub data set stay as they are unless this is True."""
    layers: Annotated[tuple[NonNegativeInt, ...], AfterValidator(_rise)] | None = None
    """Layers whose residual stream gets an SAE; None takes all. Transfer goes between neighbours in this list."""
    sae_seeds: Annotated[PositiveInt, Field(le=1000)]
    """Replicates: SAEs for each layer and arm, each from a random start and with an order of the data of its own."""
    starts: Annotated[tuple[Start, ...], AfterValidator(_once)] = ("copy",)
    """How a transfer starts from its source: "copy", as in the paper, or carried over by a map, "affine" or
    "procrustes"; an arm for each."""
    distances: Annotated[tuple[PositiveInt, ...], AfterValidator(_once), AfterValidator(_with_the_neighbour)] = (1,)
    """Places in the list of layers between a transfer and its source; an arm for each. 1 is always among them."""
    source: Annotated[str | None, AfterValidator(_own)] = None
    """What transfers start from. None, or "scratch": the run's own finished SAEs. A folder: the SAE in it, yours or
    somebody else's (SAELens), at every other layer of the list, however far away; forward to deeper ones."""
    map_tokens: Annotated[PositiveInt, Field(le=10**9)] = 16384
    """Training tokens from which a map between two layers is fitted."""
    l1_unit: Literal["absolute", "norm"] = "absolute"
    """What l1_coefficient is a number of. "absolute": lambda itself, at every layer. "norm": a layer's lambda is
    l1_coefficient times the mean norm of its residual stream / sqrt(d_model): the same trade of error against
    sparsity whatever the stream's size."""
    target_l0: PositiveFloat | None = None
    """Active features per token that every layer's SAEs shall have at the end of scratch: lambda is then found for each
    layer by short trainings (`trials`), and l1_coefficient and l1_unit are not used. None: they are."""
    trial_tokens: PositiveInt | None = None
    """Tokens of each of these trainings, whole chunks; None takes a quarter of scratch's."""
    scratch: TrainingPhase
    """Phase 1: every layer from a random start."""
    transfer: TrainingPhase
    """Phase 2: forward and backward transfers; by the schedule "paper" their control from the random start too."""
    control_learning_rate: PositiveFloat
    """Adam's for the control: what is right from a random start, not for a transfer. By the schedule "wsd" there is no
    control: a scratch SAE at a checkpoint has seen as many tokens, and a decay of its own."""
    held_out_rows: Annotated[PositiveInt, Field(le=10**7)]
    """Rows on which every SAE is scored; never trained on."""
    evaluation_batch_rows: Annotated[PositiveInt, Field(le=10**7)]
    """Rows in one forward pass of the evaluation; no result depends on it."""
    device: Device = "auto"
    """ "auto" (cuda, mps or cpu, whichever is there), or one of them."""

    @model_validator(mode="after")
    def _one_source_has_no_neighbours(self) -> Self:
        if self.source is not None and self.distances != (1,):
            raise ValueError(
                f"distances={list(self.distances)}: with source={self.source!r} every other layer starts from that one "
                "SAE, however far away; leave distances out"
            )
        return self

    @model_validator(mode="after")
    def _trials_end_chunks(self) -> Self:
        chunk = self.chunk_tokens
        if self.trial_tokens is not None and (self.trial_tokens % chunk or self.trial_tokens > self.scratch.tokens):
            nearest = max(1, round(min(self.trial_tokens, self.scratch.tokens) / chunk)) * chunk
            raise ValueError(
                f"trial_tokens={self.trial_tokens}: trial trainings have whole chunks of {chunk} tokens, and no more "
                f"than scratch's {self.scratch.tokens}; {nearest} is right"
            )
        return self

    @model_validator(mode="after")
    def _checkpoints_end_chunks(self) -> Self:
        self.check_phases(scratch=self.scratch, transfer=self.transfer)
        alone = sorted(set(self.transfer.checkpoints) - set(self.scratch.checkpoints))
        if self.schedule == "wsd" and alone:
            raise ValueError(
                f"transfer.checkpoints: {alone} are none of scratch's; by the schedule wsd a scratch SAE of as many "
                f"tokens is what a transfer is compared with: choose from {list(self.scratch.checkpoints)}, or give "
                "both phases the same"
            )
        return self

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the random starts, one for each replicate."""
        return tuple(range(self.seed, self.seed + self.sae_seeds))

    @property
    def data_seeds(self) -> tuple[int, ...]:
        """Of the orders of the data, one for each replicate."""
        first = self.seed if self.data_seed is None else self.data_seed
        return tuple(range(first, first + self.sae_seeds))

    @property
    def replicates(self) -> tuple[tuple[int, int], ...]:
        """Seed of the start and seed of the data, the same pairs in all arms."""
        return tuple(zip(self.seeds, self.data_seeds, strict=True))


def checkpoint_grid(chunk_tokens: int, first: int, even: int, steps: int) -> tuple[int, ...]:
    """Token counts: 0, doubling from `first` chunks up to `even`, then every `even` chunks, `steps` times."""
    doubling = [first * 2**power for power in range(20) if first * 2**power < even]
    return tuple(chunk_tokens * chunks for chunks in [0, *doubling, *(even * step for step in range(1, steps + 1))])


def budget_grid(first: int, doublings: int) -> tuple[int, ...]:
    """Token counts: 0, then `first` doubled so often, and half-way between two of them: no two 1.5 times apart."""
    powers = [first * 2**power for power in range(doublings + 1)]
    return (0, *sorted([*powers, *(power * 3 // 2 for power in powers[:-1])]))


SMOKE_CHUNK, PYTHIA_CHUNK = 16 * 64, 104 * 1024
TINY_BUDGETS, SMOKE_BUDGETS = budget_grid(16_384, 5), (0, 2048, 3072, 4096)

PRESETS: dict[str, ExperimentConfig] = {
    # The default: minutes on two CPU cores. 11_scratch_saes says how its numbers were chosen.
    "tiny": ExperimentConfig(
        preset="tiny",
        run="tiny",
        seed=0,
        language_model="embedded",
        corpus="docstrings",
        context_length=256,
        sae_seeds=5,
        starts=("copy", "affine"),
        batch_tokens=1024,
        chunk_rows=64,
        l1_coefficient=10.0,
        l1_warm_up_share=0.02,  # over when the first budget's decay begins
        schedule="wsd",
        scratch=TrainingPhase(checkpoints=TINY_BUDGETS, learning_rate=3e-3),
        transfer=TrainingPhase(checkpoints=TINY_BUDGETS, learning_rate=3e-3),
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
        starts=("copy", "affine"),
        map_tokens=2048,
        batch_tokens=256,
        chunk_rows=16,
        schedule="wsd",
        scratch=TrainingPhase(checkpoints=SMOKE_BUDGETS, learning_rate=2e-3),
        transfer=TrainingPhase(checkpoints=SMOKE_BUDGETS, learning_rate=2e-3),
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
    """A preset of `PRESETS` with overrides, checked by `run.config.resolve`, whose arguments and errors these are."""
    return resolve(PRESETS, **parameters)
