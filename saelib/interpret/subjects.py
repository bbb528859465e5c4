"""The SAEs that are looked at, as plain data: who each is, what it reads, and which stand side by side.

In: nothing. Out: `Subject`, `Lineage`; names of parts of tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

SCRATCH = "scratch"  # arm of the SAEs from a random start
OWN = "source"  # arm of an SAE from elsewhere that all transfers of a run start from


@dataclass(frozen=True, order=True)
class Subject:
    """An SAE of a run at one token count, and the layer whose stream it reads."""

    arm: str
    """ "scratch", "forward", "forward_affine", ...; `OWN` where the run's source comes from elsewhere."""
    sae_layer: int
    """Whose residual stream it learned."""
    act_layer: int
    """Whose residual stream it reads."""
    seed: int
    tokens: int

    @property
    def part(self) -> str:
        """Its name in files: "forward_affine-L3-seed0-524288-at3"."""
        return f"{self.arm}-L{self.sae_layer}-seed{self.seed}-{self.tokens}-at{self.act_layer}"

    @property
    def is_zero_shot(self) -> bool:
        """Whether it reads a layer that it did not learn."""
        return self.sae_layer != self.act_layer

    def at(self, act_layer: int) -> "Subject":
        """The same SAE, reading another layer."""
        return replace(self, act_layer=act_layer)

    def __str__(self) -> str:
        """As sentences have it."""
        reads = f", reading layer {self.act_layer}" if self.is_zero_shot else ""
        return f"{self.arm} L{self.sae_layer} seed {self.seed}, {self.tokens:,} tokens{reads}"


@dataclass(frozen=True)
class Lineage:
    """A transfer, and what stands beside it at the same feature index or layer."""

    source: Subject
    """What it started from, reading its own layer."""
    zero_shot: Subject
    """The same SAE, reading the new layer."""
    transferred: Subject
    """The finished transfer."""
    scratch: Subject
    """The new layer's own finished SAE from a random start."""
    equal: Subject | None
    """The new layer's scratch SAE that has seen as many tokens as the transfer; None where none was kept."""

    @property
    def arm(self) -> str:
        """Of the transfer."""
        return self.transferred.arm

    @property
    def act_layer(self) -> int:
        """The new layer."""
        return self.transferred.act_layer

    @property
    def seed(self) -> int:
        """Of the replicate."""
        return self.transferred.seed

    def __iter__(self) -> Iterator[Subject]:
        """Its different SAEs: source, zero-shot, transferred, scratch, and that of equal tokens if it is another."""
        found = (self.source, self.zero_shot, self.transferred, self.scratch, self.equal)
        yield from dict.fromkeys(one for one in found if one is not None)
