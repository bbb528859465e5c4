"""How alike the decoders of a run are, as a stage: MMCS, one to one, and what moved how far, of all replicates.

In: a run whose SAEs are trained. Out: `likeness.parquet`, a part for each arm and layer; what is finished costs nothing
when called again, an interrupted call loses a part at most. Transfers are compared with scratch SAEs of their layer: of
as many tokens (paper 1), finished, of another replicate, the control; and by index with what they came from. Beside
them stand scratch SAEs of two replicates, and directions drawn at random.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness.compare import Decoder, Line, against, against_source
from saelib.interpret.likeness.moved import covariance, random_directions
from saelib.interpret.likeness.partners import Group, groups_of, references, start_of
from saelib.interpret.likeness.streams import HeldStreams, alive_features, layer_distances, tokens_read
from saelib.interpret.parts import make_parts, parts_state
from saelib.interpret.subjects import Lineage, Subject
from saelib.transfer.directions import parse_arm

NAME, LAYERS = "likeness", "layers"  # of the table; of the part with the distances of layers
NEEDED = ("arm", "act_layer", "reference", "measure", "value")


def likeness_state(interpretation: Interpretation) -> str:
    """One line: what there is, and whether it was found or is made now."""
    groups = {} if interpretation.config.stored else groups_of(interpretation)
    return parts_state(interpretation, "Likeness of decoders", {NAME: [LAYERS, *groups]})


def make_likeness(interpretation: Interpretation) -> pd.DataFrame:
    """Make the table, or finish it.

    Returns:
        arm, direction, start, act_layer, source_layer, seed, tokens, reference, features, measure, value, n,
        sae_sha256, and where the numbers come from: README of `saelib.interpret` says what each means.

    Raises:
        FileNotFoundError, ValueError, RunInUseError, DamagedFileError: as `parts.make_parts`.
        FileExistsError: the folder holds results of another config.
    """
    interpretation.check()
    groups = {} if interpretation.config.stored else groups_of(interpretation)
    streams = HeldStreams(interpretation, {group.layer for group in groups.values()})

    def make(part: str) -> pd.DataFrame:
        if part == LAYERS:
            return _framed(_distances(interpretation, groups.values()))
        group = groups[part]
        return _framed(_Judge(interpretation, streams.of(group.layer), group).lines())

    asked = {LAYERS: (), **{part: group.subjects for part, group in groups.items()}}
    return make_parts(interpretation, NAME, asked, make, NEEDED)


def _distances(interpretation: Interpretation, groups: Iterable[Group]) -> list[Line]:
    """Angular distances, in both orders: whoever looks up a transfer has its layer and that of its source."""
    read = {layer for group in groups for layer in group.layers}
    found = layer_distances(interpretation, read.union(interpretation.experiment.layers))
    pairs = [*found.items(), *(((other, one), value) for (one, other), value in found.items())]
    n = tokens_read(interpretation)
    return [
        {"arm": LAYERS, "act_layer": act, "source_layer": source, "reference": LAYERS, "features": "all",
         "measure": "angular_distance", "value": value, "n": n}
        for (source, act), value in sorted(pairs)
    ]  # fmt: skip


def _framed(lines: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = ("arm", "direction", "start", "act_layer", "source_layer", "seed", "tokens", "reference", "features",
             "measure", "value", "n")  # fmt: skip
    whole = dict.fromkeys(("act_layer", "source_layer", "seed", "tokens", "n"), "Int64")
    return pd.DataFrame(lines, columns=list(names)).astype(whole | {"value": float})


@dataclass
class _Judge:
    """Reads the SAEs of a group once, and compares them."""

    interpretation: Interpretation
    stream: Float[Tensor, "tokens d_model"]
    """Of the group's layer."""
    group: Group

    def __post_init__(self) -> None:
        # Not a method of its own: a judge that holds itself, and with it the stream, waits for the garbage collector.
        self.decoder: Callable[[Subject], Decoder] = cache(partial(_decoder, self.interpretation, self.stream))
        self.spread: Float[Tensor, "d_model d_model"] = covariance(self.stream)

    def lines(self) -> list[Line]:
        """All of the group."""
        of_transfers = [line for lineage in self.group.lineages for line in self._of_transfer(lineage)]
        return of_transfers + [line for one in self.group.scratch for line in self._of_scratch(one)]

    def _of_transfer(self, lineage: Lineage) -> list[Line]:
        """At its end against all that it is compared with; its start against finished scratch."""
        end, start, seed = lineage.transferred, start_of(self.interpretation, lineage), self.interpretation.config.seed
        lines = self._against(end, references(self.interpretation, lineage), lineage)
        lines += self._against(start, {"scratch_end": lineage.scratch}, lineage)
        origins = {"source": self.interpretation.sae(lineage.source).W_dec, "start": self.decoder(start).rows}
        for name, rows in origins.items():
            told = against_source(self.decoder(end), rows, self.spread, seed)
            lines += [self._who(end, lineage) | {"reference": name} | line for line in told]
        return lines

    def _of_scratch(self, one: Subject) -> list[Line]:
        """Against another replicate; and random directions against it."""
        generator = torch.Generator().manual_seed(self.interpretation.config.seed)
        rows = self.decoder(one).rows
        drawn = random_directions(self.spread, len(rows), generator).to(rows.device)
        everything = torch.ones(len(rows), dtype=torch.bool, device=rows.device)
        told = against(Decoder(drawn, everything), Decoder(rows, everything))
        random = {"arm": "random", "act_layer": one.act_layer, "seed": one.seed, "tokens": one.tokens,
                  "reference": "scratch_end"}  # fmt: skip
        return self._against(one, references(self.interpretation, one)) + [
            random | line for line in told if line["features"] == "all"
        ]

    def _against(self, one: Subject, others: Mapping[str, Subject], lineage: Lineage | None = None) -> list[Line]:
        """Each pair once, whatever names it has."""
        told = {other: against(self.decoder(one), self.decoder(other)) for other in set(others.values())}
        return [
            self._who(one, lineage) | {"reference": name} | line
            for name, other in others.items()
            for line in told[other]
        ]

    @staticmethod
    def _who(one: Subject, lineage: Lineage | None) -> dict[str, Any]:
        arm = parse_arm(one.arm)
        return {
            "arm": one.arm,
            "direction": arm.direction if arm else None,
            "start": arm.start if arm else "random",
            "act_layer": one.act_layer,
            "source_layer": lineage.source.sae_layer if lineage else None,
            "seed": one.seed,
            "tokens": one.tokens,
        }


def _decoder(interpretation: Interpretation, stream: Float[Tensor, "tokens d_model"], subject: Subject) -> Decoder:
    sae = interpretation.sae(subject)
    return Decoder(sae.W_dec, alive_features(sae, stream))
