"""Which models are asked what, how often, and how: the config of an H-Test run, its presets, and families of models.

In: a preset's name and overrides. Out: an `HTestConfig`.
"""

from dataclasses import dataclass, field
from typing import Any, ClassVar

from saelib.htest.ablations.fine_tuning import FineTuning
from saelib.run.config import RunConfig, resolve

API = "api:"  # before a model's name in Inspect AI: "api:openai/gpt-4o"
CONTROL = "control:"  # before the name of a control
UNTRAINED = "untrained:"  # before a local model's name: the same architecture with random weights
PARSER = "parser"  # as a judge: no model, the strict parser reads the reply itself

# Lists of models by one name, small before large. The paper's own API models are mostly retired.
FAMILIES: dict[str, tuple[str, ...]] = {
    "pythia": tuple(f"EleutherAI/pythia-{size}-deduped" for size in ("70m", "160m", "410m", "1b", "1.4b", "2.8b")),
    "llama-2": ("meta-llama/Llama-2-7b-chat-hf", "meta-llama/Llama-2-13b-chat-hf", "meta-llama/Llama-2-70b-chat-hf"),
    "gpt": ("api:openai/gpt-3.5-turbo", "api:openai/gpt-4o-mini", "api:openai/gpt-4o"),
    "claude": ("api:anthropic/claude-3-haiku-20240307", "api:anthropic/claude-3-opus-20240229"),
    "command": ("api:openai-api/cohere/command-r-08-2024", "api:openai-api/cohere/command-r-plus-08-2024"),
    "tiny": ("untrained:embedded", "embedded"),
}


@dataclass(frozen=True, kw_only=True)
class HTestConfig(RunConfig):
    """Everything that decides the numbers of an H-Test run. Defaults are the paper's where it names a value.

    The seed is that of the fresh items, of shuffled shots, of sampling and of fine-tuning.
    """

    WITHOUT_EFFECT: ClassVar[tuple[str, ...]] = ("run", "device", "api_requests")

    official: str = "auto"
    """The released items: "auto" takes them from the cache or the authors' repository and goes on without them where
    neither is to be had; a folder takes them from there; "none" leaves them out."""
    models: tuple[str, ...]
    """Asked for the main table: "embedded", folders, hub names, "api:" and an Inspect name, or keys of `FAMILIES`."""
    shots: tuple[int, ...] = (4, 14, 28, 50)
    """Numbers of shots, k."""
    form: str = "auto"
    """ "chat", "completion", or "auto": chat for APIs and models with a chat template, completion for others."""
    test_items: int = 200
    """Test items asked of each task; also how many fresh ones are made."""
    temperature: float = 0.0
    """Of replies; the paper's is 0.7. Log-probabilities do not depend on it."""
    ablation_model: str = "embedded"
    """The model of the ablations: shots and their order, chain of thought, letter geometry."""
    ablation_shots: tuple[int, ...] = (0, 4, 14, 28, 50)
    """Numbers of shots in the ablation."""
    shuffles: int = 3
    """Draws and orders of the shots, beside the released one."""
    family: tuple[str, ...] = ("tiny",)
    """Models compared by size, small before large, or keys of `FAMILIES`."""
    chain_of_thought_items: int = 200
    """Items of each task that are asked for a chain of thought."""
    chain_of_thought_tokens: int = 512
    """Longest chain of thought."""
    judge: str = PARSER
    """Who reads a chain of thought: a model as in `models`, or "parser"."""
    fine_tuning_model: str = "embedded"
    """A folder or hub name; tuned on each task by itself."""
    fine_tuning: FineTuning = field(default_factory=FineTuning)
    """The recipe."""
    api_requests: int = 0
    """Requests to APIs that one notebook may send; where more are needed, it says how many and sends none."""
    api_log_probabilities: bool = False
    """Ask APIs for log-probabilities of the first token, which AUROC needs; not every API gives them."""
    device: str = "auto"
    """ "auto" (cuda, mps or cpu, whichever is there), or one of them."""

    def __post_init__(self) -> None:
        """Refuse contradictions.

        Raises:
            ValueError: with the field, its value and what would be right.
        """
        super().__post_init__()
        self._check_choices()
        for name in ("shots", "ablation_shots"):
            if wrong := [k for k in getattr(self, name) if k < 0 or k % 2]:
                raise ValueError(f"{name}={wrong}: shots come in pairs of A and B, so k is an even number")
        for name in ("models", "shots", "ablation_shots", "family"):
            if not getattr(self, name):
                raise ValueError(f"{name} is empty: name at least one")
        if self.chain_of_thought_tokens < 1:
            raise ValueError(f"chain_of_thought_tokens={self.chain_of_thought_tokens}: must be above 0")
        for name in ("test_items", "chain_of_thought_items"):
            if getattr(self, name) < 2 or getattr(self, name) % 2:
                raise ValueError(f"{name}={getattr(self, name)}: must be an even number above 0")
        if not 0 <= self.temperature < 10 or self.shuffles < 0 or self.api_requests < 0:
            raise ValueError(
                f"temperature={self.temperature}, shuffles={self.shuffles}, api_requests={self.api_requests}: "
                "must not be negative"
            )

    def _check_choices(self) -> None:
        if len([k for k in self.ablation_shots if k]) < 2:
            raise ValueError(f"ablation_shots={self.ablation_shots}: name two numbers above 0 to compare")
        if self.form not in ("auto", "chat", "completion"):
            raise ValueError(f"form={self.form!r}: choose auto, chat or completion")
        if self.fine_tuning.seed:
            raise ValueError(f"fine_tuning.seed={self.fine_tuning.seed}: the run's own seed decides; leave it out")


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
    """A preset of `PRESETS` with overrides, checked by `run_config.resolve`, whose arguments and errors these are."""
    return resolve(PRESETS, **parameters)


def expand(models: tuple[str, ...]) -> tuple[str, ...]:
    """Models by name, with each key of `FAMILIES` replaced by its members; none twice."""
    members = [member for model in models for member in FAMILIES.get(model, (model,))]
    return tuple(dict.fromkeys(members))
