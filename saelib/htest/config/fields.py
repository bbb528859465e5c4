"""Every field of the config of an H-Test run.

In: values. Out: an `HTestConfig`; what contradicts is refused. Defaults are the paper's where it names a value.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from saelib.htest.config.fine_tuning import FineTuning
from saelib.htest.config.kinds import (
    ComparedShots,
    Forms,
    ItemCount,
    MainShots,
    Models,
    OneModel,
    ReplyTokens,
    Shots,
    Tasks,
    TemplateArguments,
    TunedModel,
)
from saelib.htest.config.names import PARSER
from saelib.htest.tasks import TASKS
from saelib.run.config import Device, Name, RunConfig, Seed


class HTestConfig(RunConfig):
    """Everything that decides the numbers of an H-Test run. Defaults are the paper's where it names a value."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = (
        *RunConfig.WITHOUT_EFFECT, "device_map", "api_requests", "ask_refused",
    )  # fmt: skip
    # Who is asked what, and how: each reply is kept by its condition, so what was asked before is found again.
    GROWS: ClassVar[tuple[str, ...]] = (
        "official", "models", "shots", "form", "test_items", "tasks", "temperature", "samples", "max_tokens", "system",
        "first_token", "template_arguments", "dtype", "ablation_model", "ablation_shots", "shuffles", "family",
        "chain_of_thought_items", "chain_of_thought_tokens", "judge", "fine_tuning_model", "fine_tuning", "other_forms",
        "other_form_items", "calibration", "shuffled_shots", "fresh_shuffles", "fine_tuning_tasks",
    )  # fmt: skip
    ADDED: ClassVar[tuple[str, ...]] = (
        "tasks", "samples", "max_tokens", "system", "first_token", "template_arguments", "dtype", "revision",
        "other_forms", "other_form_items", "calibration", "shuffled_shots", "fresh_shuffles", "fine_tuning_tasks",
    )  # fmt: skip

    seed: Seed
    """Of the fresh items, of shuffled shots, of sampling and of fine-tuning."""
    official: Name = "auto"
    """The released items: "auto" takes them from the cache or the authors' repository and goes on without them where
    neither can be read, as long as the run lives; "released" goes on only with them, and adds them to a run that was
    begun without; a folder takes them from there; "none" leaves them out."""
    models: Models
    """Asked for the main table: "embedded", folders, hub names, "api:" and an Inspect name, or keys of `FAMILIES`."""
    shots: MainShots = (4, 14, 28, 50)
    """Numbers of shots, k, each half A and half B."""
    form: Literal["auto", "chat", "completion"] = "auto"
    """ "chat", "completion", or "auto": chat for APIs and models with a chat template, completion for others."""
    other_forms: Forms = ()
    """Forms in which `models` are asked for the main table beside that one."""
    other_form_items: ItemCount | None = None
    """Only the first test items of each task in those forms; None asks `test_items` in them too."""
    calibration: bool = False
    """Ask, behind the same shots, inputs that say nothing too ("N/A", none, "[MASK]"): what a model makes of them is
    taken off its answers (contextual calibration, Zhao et al. 2021). It needs log-probabilities."""
    test_items: ItemCount = 200
    """Test items asked of each task; also how many fresh ones are made."""
    tasks: Tasks = tuple(TASKS)
    """Tasks that are asked; means are over these."""
    temperature: Annotated[float, Field(ge=0, lt=10)] = 0.0
    """Of replies; the paper's is 0.7. Log-probabilities do not depend on it."""
    samples: Annotated[PositiveInt, Field(le=1000)] = 1
    """Replies to each item; more than one needs a temperature above 0."""
    max_tokens: ReplyTokens | None = None
    """Longest reply in tokens; None takes 5 for chat models, as the paper does, and 1 for base models."""
    system: str = ""
    """System message of chat models; empty sends none."""
    first_token: Name = "auto"
    """The special token before the prompts of local models that have no chat template: "auto" takes the one that the
    tokenizer puts before a text, "none" leaves it out, or the token's text, like "<s>"."""
    template_arguments: TemplateArguments = {}  # noqa: RUF012 (pydantic copies it)
    """Passed to the chat templates of local models, like {"enable_thinking": False}."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of local models' weights; the two short ones halve the memory, and round."""
    revision: Name | None = None
    """Branch, tag or commit of hub models; None takes the main one. A model named like "name@revision" has its own."""
    ablation_model: OneModel = "embedded"
    """The model of the ablations: shots and their order, chain of thought, letter geometry."""
    ablation_shots: ComparedShots = (0, 4, 14, 28, 50)
    """Numbers of shots in the ablation."""
    shuffles: Annotated[NonNegativeInt, Field(le=1000)] = 3
    """Draws and orders of the shots, beside the released one."""
    shuffled_shots: Shots | None = None
    """How many shots those have; None takes the most of `ablation_shots`."""
    fresh_shuffles: NonNegativeInt = 0
    """How many of those are asked on fresh items too, to say what the draw of shots does to a fall between the sets."""
    family: Models = ("tiny",)
    """Models compared by size, small before large, or keys of `FAMILIES`."""
    chain_of_thought_items: ItemCount = 200
    """Items of each task that are asked for a chain of thought."""
    chain_of_thought_tokens: ReplyTokens = 512
    """Longest chain of thought."""
    judge: OneModel = PARSER
    """Who reads a chain of thought: a model as in `models`, or "parser"."""
    fine_tuning_model: TunedModel = "embedded"
    """A folder or hub name; tuned on each task by itself."""
    fine_tuning_tasks: Tasks = tuple(TASKS)
    """Tasks that it is tuned on, where they are among `tasks`."""
    fine_tuning: FineTuning = FineTuning()
    """The recipe."""
    api_requests: NonNegativeInt = 0
    """Requests to APIs that the run may send, over all its notebooks, with those that fail and are sent again; a
    notebook that needs more than are left says how many and sends none."""
    api_log_probabilities: bool = False
    """Ask APIs for log-probabilities of the first token, which AUROC needs; not every API gives them."""
    ask_refused: bool = False
    """Ask again what a server refused or filtered before."""
    device: Device = "auto"
    """ "auto" (cuda, mps or cpu, whichever is there), or one of them."""
    device_map: Literal["auto", "balanced", "sequential"] | None = None
    """How a local model that one device cannot hold is spread over all of them; needs the package accelerate."""

    @property
    def ordered_shots(self) -> int:
        """How many shots are asked in one order and another."""
        return max(self.ablation_shots) if self.shuffled_shots is None else self.shuffled_shots

    @property
    def shuffle_seeds(self) -> range:
        """One for each draw and order of the shots, beside the released one."""
        return range(self.seed, self.seed + self.shuffles)

    @property
    def fresh_seeds(self) -> range:
        """Those of them that are asked on every set of items."""
        return self.shuffle_seeds[: self.fresh_shuffles]

    @model_validator(mode="after")
    def _fresh_shuffles_are_shuffles(self) -> Self:
        if self.fresh_shuffles > self.shuffles:
            raise ValueError(f"fresh_shuffles={self.fresh_shuffles}: should be at most shuffles={self.shuffles}")
        return self

    @model_validator(mode="after")
    def _one_seed_for_all(self) -> Self:
        if self.fine_tuning.seed:
            raise ValueError(f"fine_tuning.seed={self.fine_tuning.seed}: the run's own seed decides; leave it out")
        return self

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.temperature:
            raise ValueError(
                f"samples={self.samples}: at temperature 0 they would all be the same; raise it, as to 0.7"
            )
        return self
