"""What a config may say where a run takes the SAEs that the paper's authors have released, and trains none.

In: a config. Out: nothing, or an error that names each field that says otherwise than these SAEs were made; and the
checkpoints that were released.
"""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from saelib.sae.releases.layout import published_tokens

PUBLISHED = "published"
CAVEAT = "the SAEs are those that the paper's authors have released, trained on the first rows of the data set too"
"""Of every figure: the paper held nothing out, and what this library holds out are the first rows."""
AS_RELEASED: dict[str, Any] = {
    "starts": ("copy",), "distances": (1,), "sae_seeds": 1, "source": None, "schedule": "paper", "l1_unit": "absolute",
    "activation_scale": "none", "target_l0": None, "depth_source": None,
}  # fmt: skip
"""Fields that have one right value: there is one SAE of each, none was carried over by a map, and none is trained."""
OF_PHASES = {"scratch": ("scratch",), "transfer": ("forward", "backward")}


def released_checkpoints(phase: str) -> tuple[int, ...]:
    """Token counts of a phase at which SAEs were released, and 0, where one starts."""
    return (0, *published_tokens(OF_PHASES[phase][0]))


def check_released(fields: Mapping[str, Any]) -> None:
    """Refuse what the released SAEs are not.

    Args:
        fields: of an `ExperimentConfig`.

    Raises:
        ValueError: names each field, its value, and what would be right.
    """
    wrong = {name: right for name, right in AS_RELEASED.items() if fields[name] != right}
    faults = [f"{name}={fields[name]!r}: set {right!r}" for name, right in wrong.items()]
    for name in OF_PHASES:
        asked, there = fields[name].checkpoints, released_checkpoints(name)
        if set(asked) - set(there) or asked[-1] != there[-1]:
            faults.append(f"{name}.checkpoints={list(asked)}: choose from {list(there)}, the last among them")
    layers = fields["layers"]
    if layers is not None and any(second - first != 1 for first, second in pairwise(layers)):
        faults.append(f"layers={list(layers)}: name layers without a gap, since sources are one layer away")
    if faults:
        raise ValueError("saes='published', and what was released is otherwise: " + "; ".join(faults))
