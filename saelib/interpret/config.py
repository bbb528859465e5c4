"""The config of what is looked at in a run's SAEs: which of them, how many features, which circuits.

In: a preset's name and overrides. Out: an `InterpretConfig`. Defaults are those of `tiny`.
"""

from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field, NonNegativeInt, PositiveInt

from saelib.run.config import RunConfig, Seed, resolve
from saelib.transfer.directions import parse_arm
from saelib.transfer.fields import rising

Task = Literal["ioi", "greater_than", "agreement", "repeats", "brackets", "docstring"]
Baseline = Literal["random", "top_activation"]
TASKS: tuple[Task, ...] = ("ioi", "greater_than", "agreement", "repeats", "brackets", "docstring")
"""The first three are the paper's; the others a small model can do."""
BASELINES: tuple[Baseline, ...] = ("random", "top_activation")
MOST = 10**6
Value = TypeVar("Value")


def _transfers(arms: tuple[str, ...]) -> tuple[str, ...]:
    if wrong := [arm for arm in arms if parse_arm(arm) is None]:
        raise ValueError(f"{wrong} are no arms of transfers; name some such as forward or backward_affine")
    return _once(arms)


def _once(values: tuple[Value, ...]) -> tuple[Value, ...]:
    if not values or len(set(values)) != len(values):
        raise ValueError("name at least one, and each once")
    return values


def _below_all(shares: tuple[float, ...]) -> tuple[float, ...]:
    if any(not 0 < share < 1 for share in shares):
        raise ValueError("shares of the features lie above 0 and below 1")
    return shares


Layers = Annotated[tuple[NonNegativeInt, ...], rising("layer", "None takes all")]
Shares = Annotated[tuple[float, ...], rising("share", "the paper has four"), AfterValidator(_below_all)]
Count = Annotated[PositiveInt, Field(le=MOST)]


class InterpretConfig(RunConfig):
    """Everything that decides what is said of the SAEs of a run, beside the run's own config."""

    # Which SAEs and tasks: each has a part of its own in the tables, so what is there already is found again.
    GROWS: ClassVar[tuple[str, ...]] = ("feature_layers", "feature_arms", "feature_seeds", "circuit_layers",
                                        "circuit_tasks", "circuit_seeds")  # fmt: skip

    seed: Seed
    """Of the features that are drawn, of null comparisons, prompts and baselines."""
    feature_layers: Layers | None = None
    """Layers at which transfers are looked into, feature by feature, and attribution is measured; None takes all that
    have one."""
    feature_arms: Annotated[tuple[str, ...], AfterValidator(_transfers)] | None = None
    """Arms of transfers that are looked at, features and circuits alike; None takes those from a neighbour, by every
    start."""
    feature_seeds: Count = 1
    """Replicates whose features and attributions are looked at: those where fewest transfers diverged, the first of
    equal ones."""
    features: Count | None = 256
    """Features of each SAE that get contexts and a card, drawn among those that are alive in the source; None: all."""
    text_rows: Annotated[NonNegativeInt, Field(le=MOST)] = 224
    """Rows of the training text that are read for contexts beside the held-out ones, each once. No score is of them."""
    top_contexts: Annotated[PositiveInt, Field(le=1000)] = 10
    """Contexts of a feature that are kept: those where it is strongest, one of a row at most."""
    context_tokens: Annotated[PositiveInt, Field(le=1000)] = 12
    """Tokens before the strongest one that a context shows; a third as many behind it."""
    logit_tokens: Annotated[PositiveInt, Field(le=1000)] = 10
    """Tokens whose logits a feature raises most, and as many that it lowers most."""
    neighbours: Annotated[PositiveInt, Field(le=1000)] = 5
    """Features of the same SAE that are named as nearest by their decoder rows."""
    dense_share: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Share of the tokens above which a feature that fires counts as dense."""
    circuit_layers: Layers | None = None
    """Layers at which circuits are looked for; None takes all that have a transfer."""
    circuit_tasks: Annotated[tuple[Task, ...], AfterValidator(_once)] = TASKS
    """Tasks whose circuits are looked for, where the model can do them."""
    circuit_prompts: Count = 256
    """Prompts of a task for effects and means, and as many others for the scores."""
    circuit_seeds: Count = 1
    """Replicates whose circuits are looked for, chosen alike."""
    faithfulness_shares: Shares = (0.02, 0.04, 0.06, 0.08)
    """Shares of an SAE's features that a circuit keeps at each position."""
    completeness_shares: Shares = (0.0007, 0.006, 0.011, 0.016)
    """Shares that are taken away; the paper's 4, 36, 68 and 100 of 6144 features."""
    ablation: Literal["mean", "patch"] = "mean"
    """What a feature outside the circuit is set to: "mean", its mean at that position over clean prompts; "patch", what
    it is in the patched prompt."""
    signed: bool = True
    """Whether features that oppose the answer are left out, as in the paper; False takes the largest effects of either
    sign."""
    summed: bool = False
    """Whether a feature is in the circuit at all positions or at none, by its effects summed over them; False chooses
    at each position, as in the paper."""
    integrated_steps: Annotated[PositiveInt, Field(le=1000)] = 1
    """1: difference times gradient, as in the paper; more: the gradient is averaged over so many steps on the way from
    clean to patched (integrated gradients)."""
    baselines: Annotated[tuple[Baseline, ...], AfterValidator(_once)] = BASELINES
    """Circuits that are drawn beside: features at random, and those that are most active."""
    facts: Count = 64
    """Prompts of the attribution over checkpoints."""
    patching_features: Count = 48
    """Features whose effect is measured by exact patching too, beside its estimate."""


PRESETS: dict[str, InterpretConfig] = {
    "tiny": InterpretConfig(preset="tiny", run="tiny", seed=0),
    # For tests: seconds, with numbers that mean nothing.
    "smoke": InterpretConfig(
        preset="smoke",
        run="smoke",
        seed=0,
        feature_layers=(2,),
        features=12,
        text_rows=8,
        top_contexts=4,
        circuit_layers=(2,),
        circuit_tasks=("agreement", "repeats", "brackets"),
        circuit_prompts=16,
        faithfulness_shares=(0.04, 0.08),
        completeness_shares=(0.006, 0.016),
        facts=8,
        patching_features=6,
    ),
    # The paper's tasks, which this model does; two layers of the run's four: ten minutes on two cores.
    "smollm2": InterpretConfig(
        preset="smollm2",
        run="smollm2",
        seed=0,
        circuit_layers=(12, 13),
        circuit_tasks=("ioi", "greater_than", "agreement"),
        circuit_prompts=48,
        patching_features=32,
    ),
    # The paper's counts. Its contexts come from held-out rows alone: there are a million tokens of them. Its layers 1
    # to 10 are those of the source for feature transfer: transfers of every layer are looked at.
    "pythia-160m": InterpretConfig(
        preset="pythia-160m",
        run="pythia-160m",
        seed=42,
        features=488,
        text_rows=0,
        circuit_layers=tuple(range(1, 11)),
        circuit_tasks=("ioi", "greater_than", "agreement"),
        circuit_prompts=1024,
        faithfulness_shares=tuple(k / 6144 for k in (123, 246, 368, 492)),
        completeness_shares=tuple(k / 6144 for k in (4, 36, 68, 100)),
    ),
}
PRESETS["smollm2-long"] = PRESETS["smollm2"].replace(preset="smollm2-long", run="smollm2-long")


def resolve_interpret_config(**parameters: Any) -> InterpretConfig:
    """A preset of `PRESETS` with overrides, checked by `run.config.resolve`, whose arguments and errors these are."""
    return resolve(PRESETS, **parameters)
