"""What may be asked of a run: its phases and the SAEs of its plans, or an error that names what it has.

In: the plans of a run, and what says which SAE. Out: the phase that trains it, and a token count.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from saelib.sae.training.plan import SaePlan

PHASES = ("scratch", "transfer")


def check_choice(name: str, value: object, choices: Iterable[object], arm: str = "") -> None:
    """Refuse a value that is none of the choices.

    Args:
        arm: whose SAEs have them; empty where the run has.

    Raises:
        ValueError: it is none; the message names them.
    """
    known = list(dict.fromkeys(choices))
    if type(value) not in map(type, known) or value not in known:
        whose = f"the SAEs of the arm {arm} have" if arm else "this run has"
        raise ValueError(f"{name}={value!r}: {whose} {name} {', '.join(map(str, known))}")


def choose_sae(
    plans: "Mapping[str, Sequence[SaePlan]]",
    checkpoints: Mapping[str, Sequence[int]],
    arm: str,
    layer: int,
    seed: int,
    tokens: int | None,
) -> tuple[str, int]:
    """The phase that trains an SAE, and its token count: the end of training where that is None.

    Args:
        plans: of each phase, by its name.
        checkpoints: as well.

    Raises:
        ValueError: no plan is of such an SAE; the message names what there is.
    """
    phases = {plan.arm: name for name, ones in plans.items() for plan in ones}
    check_choice("arm", arm, phases)
    name = phases[arm]
    own, tokens = [plan for plan in plans[name] if plan.arm == arm], checkpoints[name][-1] if tokens is None else tokens
    check_choice("layer", layer, (plan.sae_layer for plan in own), arm)
    check_choice("seed", seed, (plan.seed for plan in own), arm)
    check_choice("tokens", tokens, checkpoints[name], arm)
    return name, tokens
