"""What makes a resume point one of this training: the same config, the same phase, the same SAEs.

In: plans, a phase and a config; what a resume point noted of its own. Out: a text that is the same for the same
training, and where it is not, what changed.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.training.plan import SaePlan

Fields = Mapping[str, Any]


def fingerprint(plans: Sequence[SaePlan], phase: TrainingPhase, config: TrainingConfig) -> str:
    """The same text for the same training, as a resume point keeps it."""
    return json.dumps([config.sha256(), phase.as_dict(), [plan.described() for plan in plans]], sort_keys=True)


def deciding(config: TrainingConfig) -> dict[str, Any]:
    """The fields that decide numbers, as a resume point keeps them to say which of them changed."""
    return {name: value for name, value in config.as_dict().items() if name not in config.WITHOUT_EFFECT}


def changes(was: str, now: str, config_was: Fields, config_now: Fields) -> str:
    """What differs between two fingerprints, in words; empty where nothing does.

    Args:
        config_was: what `deciding` gave then; empty in a resume point of an earlier release.
        config_now: what it gives.
    """
    if was == now:
        return ""
    found: list[str] = []
    with suppress(ValueError, TypeError, LookupError, AttributeError):  # a fingerprint of another form
        (sha256, phase, plans), (sha256_now, phase_now, plans_now) = json.loads(was), json.loads(now)
        if sha256 != sha256_now:
            found += _changed("", config_was, config_now) if config_was else ["the config"]
        found += _changed("phase: ", phase, phase_now)
        found += _changed_plans(*({_name(plan): plan for plan in side} for side in (plans, plans_now)))
    return "; ".join(found) or "another saelib made it, or the SAEs stood in another order"


def _name(plan: Fields) -> str:
    return SaePlan.called(plan["arm"], plan["sae_layer"], plan["seed"])


def _changed(whose: str, was: Fields, now: Fields) -> Iterator[str]:
    for name in {**was, **now}:
        if was.get(name) != now.get(name):
            yield f"{whose}{name} was {was.get(name)!r}, is {now.get(name)!r}"


def _changed_plans(was: Mapping[str, Fields], now: Mapping[str, Fields]) -> Iterator[str]:
    if gone := [name for name in was if name not in now]:
        yield f"without {', '.join(gone)}"
    if new := [name for name in now if name not in was]:
        yield f"with {', '.join(new)} anew"
    for name in now:
        yield from _changed(f"{name}: ", was.get(name, now[name]), now[name])
