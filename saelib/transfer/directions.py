"""Who starts from whom, as names: where the kit says which layer is whose source, and how an arm is named.

In: nothing. Out: a table of directions, and the names of arms. It stands alone, so that whoever reads tables need not
import what trains.
"""

from typing import TYPE_CHECKING, NamedTuple

from saelib.sae.starts import STARTS, Start

if TYPE_CHECKING:
    import pandas as pd

UNTRAINED = ("zero_shot", "source")
"""Arms of SAEs that are read at layers where they were not trained: finished scratch SAEs; an SAE from elsewhere that
all transfers start from, at its own layer too."""
DIRECTIONS = {"forward": -1, "backward": +1}
"""By name: from a transfer's place in the list of layers to that of its nearest source."""


class Arm(NamedTuple):
    """A group of transfers: from where, how far away, by which start."""

    direction: str
    start: Start = "copy"
    distance: int = 1

    @property
    def offset(self) -> int:
        """From a transfer's place in the list of layers to that of its source."""
        return DIRECTIONS[self.direction] * self.distance

    @property
    def name(self) -> str:
        """As tables and folders have it: "forward", "backward_affine", "forward_2", "forward_affine_2"."""
        parts = [self.direction]
        parts += [self.start] if self.start != "copy" else []
        parts += [str(self.distance)] if self.distance != 1 else []
        return "_".join(parts)


def arm_name(direction: str, start: Start = "copy", distance: int = 1) -> str:
    """The name of an arm of transfers: `Arm(...).name`."""
    return Arm(direction, start, distance).name


def parse_arm(name: str) -> Arm | None:
    """The arm of transfers that a name means; None for "scratch", "control" and those `UNTRAINED`."""
    direction, *rest = name.split("_")
    if direction not in DIRECTIONS:
        return None
    start = next((one for one in STARTS if rest[:1] == [one]), None)
    rest = rest[1:] if start else rest
    distance = int(rest.pop(0)) if rest and rest[0].isdecimal() else 1
    return Arm(direction, start or "copy", distance) if not rest else None


def transfer_arms(table: "pd.DataFrame") -> list[str]:
    """The arms of transfers in a table's column `arm`, by direction, then distance, then start."""
    arms = filter(None, map(parse_arm, table["arm"].unique()))
    return [arm.name for arm in sorted(arms, key=_place)]


def _place(arm: Arm) -> tuple[int, int, int]:
    return list(DIRECTIONS).index(arm.direction), arm.distance, STARTS.index(arm.start)
