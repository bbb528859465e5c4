"""Which models are asked what, how often, and how: the config of an H-Test run, its presets, and families of models.

In: a preset's name and overrides. Out: an `HTestConfig`, which holds the recipe of fine-tuning (`FineTuning`).
"""

import math
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from saelib.htest.tasks import TASKS
from saelib.run.config import Config, Device, Name, RunConfig, Seed, resolve

API = "api:"  # before a model's name in Inspect AI: "api:openai/gpt-4o"
CONTROL = "control:"  # before the name of a control
TUNED = "tuned:"  # before the name of the model that was tuned; one name for its ten tuned copies
UNTRAINED = "untrained:"  # before a local model's name: the same architecture with random weights
PARSER = "parser"  # as a judge: no model, the strict parser reads the reply itself
MOST_ITEMS = 9_000  # of a task: some 9,500 pairs of words rhyme, and the other tasks have more
MOST_REPLY = 2**20  # tokens

# Lists of models by one name, small before large. The paper's own API models are mostly retired.
FAMILIES: dict[str, tuple[str, ...]] = {
    "pythia": tuple(f"EleutherAI/pythia-{size}-deduped" for size in ("70m", "160m", "410m", "1b", "1.4b", "2.8b")),
    "llama-2": ("meta-llama/Llama-2-7b-chat-hf", "meta-llama/Llama-2-13b-chat-hf", "meta-llama/Llama-2-70b-chat-hf"),
    "gpt": ("api:openai/gpt-3.5-turbo", "api:openai/gpt-4o-mini", "api:openai/gpt-4o"),
    "claude": ("api:anthropic/claude-3-haiku-20240307", "api:anthropic/claude-3-opus-20240229"),
    "command": ("api:openai-api/cohere/command-r-08-2024", "api:openai-api/cohere/command-r-plus-08-2024"),
    "tiny": ("untrained:embedded", "embedded"),
}


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("should be an even number, half of it for A and half for B")
    return number


def _named(entries: tuple[str, ...]) -> tuple[str, ...]:
    if not entries:
        raise ValueError("name at least one")
    return entries


def _some_shots(shots: tuple[int, ...]) -> tuple[int, ...]:
    if not shots:
        raise ValueError("name at least one number of shots")
    if len(set(shots)) < len(shots):
        raise ValueError(f"name each number of shots once: {list(dict.fromkeys(shots))}")
    return shots


def _two_to_compare(shots: tuple[int, ...]) -> tuple[int, ...]:
    if len({k for k in shots if k}) < 2:
        raise ValueError("name two numbers above 0 to compare")
    return _some_shots(shots)


def _known_tasks(tasks: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [task for task in _named(tasks) if task not in TASKS]:
        raise ValueError(f"{unknown} unknown; choose among {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in tasks)


def _template_value(value: Any) -> Any:
    if not isinstance(value, str | int | float) or value in (math.inf, -math.inf) or value != value:
        raise ValueError("should be a text, a finite number, True or False")
    return value


def _for_templates(arguments: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    if reserved := arguments.keys() & {"messages", "tools", "documents", "tokenize", "add_generation_prompt",
                                       "continue_final_message", "chat_template", "conversation"}:  # fmt: skip
        raise ValueError(f"{', '.join(sorted(reserved))} cannot be given: the kit says it itself")
    return arguments


def _one_model(name: str) -> str:
    if name in FAMILIES:
        raise ValueError(f"is a family, and one model is wanted: {', '.join(FAMILIES[name])}")
    return name


def _on_this_machine(name: str) -> str:
    if name.startswith((API, CONTROL)):
        raise ValueError("cannot be tuned; should be 'embedded', a folder or a hub name")
    return name


Shots = Annotated[NonNegativeInt, Field(le=MOST_ITEMS), AfterValidator(_even)]
ItemCount = Annotated[PositiveInt, Field(le=MOST_ITEMS), AfterValidator(_even)]
ReplyTokens = Annotated[PositiveInt, Field(le=MOST_REPLY)]
OneModel = Annotated[Name, AfterValidator(_one_model)]
TemplateValue = Annotated[str | int | float | bool, BeforeValidator(_template_value)]
Models = Annotated[tuple[Name, ...], AfterValidator(_named)]
TemplateArguments = Annotated[dict[str, TemplateValue], AfterValidator(_for_templates)]
Tasks = Annotated[tuple[str, ...], AfterValidator(_known_tasks)]


class FineTuning(Config):
    """The recipe: AdamW, a learning rate that rises and falls linearly.

    Of the learning rates 3e-4, 1e-3, 3e-3 and batches of 16 and 32, tried with the embedded model on five tasks with
    items of another seed than the presets', the chosen pair was about as good as any; 3e-4 with 32 learnt too little.
    """

    items: Annotated[PositiveInt, Field(le=MOST_ITEMS)] = 1000
    """Training items of a task."""
    epochs: Annotated[PositiveInt, Field(le=10_000)] = 3
    """How often each is seen."""
    batch_size: Annotated[PositiveInt, Field(le=MOST_ITEMS)] = 32
    """Items in a step."""
    learning_rate: PositiveFloat = 1e-3
    """At its highest."""
    warm_up: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps in which the learning rate rises; it falls to 0 in the others."""
    weight_decay: NonNegativeFloat = 0.0
    """AdamW's, of all weights."""
    evaluations_per_epoch: Annotated[PositiveInt, Field(le=1000)] = 4
    """Points of the learning curve in each epoch."""
    seed: Seed = 0
    """Of the order of the items, and of dropout where a model has it."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in which every item stands once; the last may be smaller."""
        return math.ceil(self.items / self.batch_size)

    @property
    def evaluated_steps(self) -> list[int]:
        """Steps after which the probes are scored: 0, then evenly over each epoch up to its end."""
        points = range(self.epochs * self.evaluations_per_epoch + 1)
        return sorted({round(point / self.evaluations_per_epoch * self.steps_per_epoch) for point in points})


class HTestConfig(RunConfig):
    """Everything that decides the numbers of an H-Test run. Defaults are the paper's where it names a value."""

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = (
        *RunConfig.WITHOUT_EFFECT, "device_map", "api_requests", "ask_refused",
    )  # fmt: skip
    # Who is asked what, and how: each reply is kept by its condition, so what was asked before is found again.
    GROWS: ClassVar[tuple[str, ...]] = (
        "official", "models", "shots", "form", "test_items", "tasks", "temperature", "samples", "max_tokens", "system",
        "first_token", "template_arguments", "dtype", "ablation_model", "ablation_shots", "shuffles", "family",
        "chain_of_thought_items", "chain_of_thought_tokens", "judge", "fine_tuning_model", "fine_tuning",
    )  # fmt: skip
    ADDED: ClassVar[tuple[str, ...]] = (
        "tasks", "samples", "max_tokens", "system", "first_token", "template_arguments", "dtype", "revision",
    )  # fmt: skip

    seed: Seed
    """Of the fresh items, of shuffled shots, of sampling and of fine-tuning."""
    official: Name = "auto"
    """The released items: "auto" takes them from the cache or the authors' repository and goes on without them where
    neither can be read, as long as the run lives; "released" goes on only with them, and adds them to a run that was
    begun without; a folder takes them from there; "none" leaves them out."""
    models: Models
    """Asked for the main table: "embedded", folders, hub names, "api:" and an Inspect name, or keys of `FAMILIES`."""
    shots: Annotated[tuple[Shots, ...], AfterValidator(_some_shots)] = (4, 14, 28, 50)
    """Numbers of shots, k, each half A and half B."""
    form: Literal["auto", "chat", "completion"] = "auto"
    """ "chat", "completion", or "auto": chat for APIs and models with a chat template, completion for others."""
    test_items: ItemCount = 200
    """Test items asked of each task; also how many fresh ones are made."""
    tasks: Tasks = tuple(TASKS)
    """Tasks that are asked, each probed and tuned too; means are over these."""
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
    ablation_shots: Annotated[tuple[Shots, ...], AfterValidator(_two_to_compare)] = (0, 4, 14, 28, 50)
    """Numbers of shots in the ablation."""
    shuffles: Annotated[NonNegativeInt, Field(le=1000)] = 3
    """Draws and orders of the shots, beside the released one."""
    family: Models = ("tiny",)
    """Models compared by size, small before large, or keys of `FAMILIES`."""
    chain_of_thought_items: ItemCount = 200
    """Items of each task that are asked for a chain of thought."""
    chain_of_thought_tokens: ReplyTokens = 512
    """Longest chain of thought."""
    judge: OneModel = PARSER
    """Who reads a chain of thought: a model as in `models`, or "parser"."""
    fine_tuning_model: Annotated[OneModel, AfterValidator(_on_this_machine)] = "embedded"
    """A folder or hub name; tuned on each task by itself."""
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


PRESETS: dict[str, HTestConfig] = {
    # The default: minutes on two CPU cores, offline. A chain of thought says nothing in a model of this size: a few
    # items show that the way is there.
    "tiny": HTestConfig(
        preset="tiny",
        run="tiny",
        seed=0,
        models=("embedded",),
        chain_of_thought_items=20,
        chain_of_thought_tokens=32,
        fine_tuning=FineTuning(evaluations_per_epoch=2),
    ),
    # For tests: the whole pipeline in seconds, with numbers that mean nothing.
    "smoke": HTestConfig(
        preset="smoke",
        run="smoke",
        seed=0,
        official="none",
        models=("embedded",),
        shots=(4,),
        test_items=10,
        ablation_shots=(0, 2, 4),
        shuffles=1,
        chain_of_thought_items=2,
        chain_of_thought_tokens=4,
        fine_tuning=FineTuning(items=20, epochs=1),
    ),
    # The recipe of fine-tuning has not been tried on this model; the learning rate is a usual one for its size.
    "pythia-160m": HTestConfig(
        preset="pythia-160m",
        run="pythia-160m",
        seed=0,
        models=("EleutherAI/pythia-160m-deduped",),
        ablation_model="EleutherAI/pythia-160m-deduped",
        family=("pythia",),
        chain_of_thought_items=20,
        fine_tuning_model="EleutherAI/pythia-160m-deduped",
        fine_tuning=FineTuning(learning_rate=5e-5),
    ),
}


def resolve_htest_config(**parameters: Any) -> HTestConfig:
    """A preset of `PRESETS` with overrides, checked by `run.config.resolve`, whose arguments and errors these are."""
    return resolve(PRESETS, **parameters)


def expand(models: tuple[str, ...]) -> tuple[str, ...]:
    """Models by name, with each key of `FAMILIES` replaced by its members; none stands twice."""
    members = [member for model in models for member in FAMILIES.get(model, (model,))]
    return tuple(dict.fromkeys(members))
