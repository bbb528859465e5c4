"""Which SAEs of a run are compared with which, and which comparisons make a part of the table.

In: a run that is looked at. Out: groups by the names of their parts, and for each SAE its references by name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Lineage, Subject

CONTROL = "control"  # scratch by the transfers' own schedule


@dataclass(frozen=True)
class Group:
    """What a part of the table is of: all replicates of an arm at a layer, or of the scratch SAEs there."""

    layer: int
    """In whose stream they are judged."""
    lineages: tuple[Lineage, ...] = ()
    """Of transfers."""
    scratch: tuple[Subject, ...] = ()
    """Finished scratch SAEs."""
    subjects: tuple[Subject, ...] = ()
    """All SAEs that are read."""

    @property
    def layers(self) -> set[int]:
        """Whose streams are read: the layer's, and for its distance that of the source."""
        return {self.layer, *(lineage.source.act_layer for lineage in self.lineages)}


def groups_of(interpretation: Interpretation) -> dict[str, Group]:
    """All transfers and all replicates of the run, by the names of parts; an arm of scratch for each layer."""
    found: dict[str, list[Lineage]] = {}
    for lineage in interpretation.all_lineages():
        found.setdefault(f"{lineage.arm}-L{lineage.act_layer}", []).append(lineage)
    groups = {part: _of_transfers(interpretation, ones) for part, ones in found.items()}
    for layer in sorted({one.layer for one in groups.values()}):
        if ones := _scratch_at(interpretation, layer):
            groups[f"scratch-L{layer}"] = Group(layer, scratch=ones, subjects=ones)
    return groups


def references(interpretation: Interpretation, of: Lineage | Subject) -> dict[str, Subject]:
    """What a transfer, or a scratch SAE, is compared with by the nearest rows; by name.

    "scratch_equal": scratch of its layer and replicate on as many tokens, where it was kept; "scratch_end": finished;
    "scratch_other": finished, of the next replicate; "control": by the transfers' schedule. What diverged is left out.
    """
    if isinstance(of, Subject):
        return _existing(interpretation, {"scratch_other": _next_replicate(interpretation, of)})
    control = replace(of.transferred, arm=CONTROL) if _has_control(interpretation) else None
    return _existing(interpretation, {"scratch_equal": of.equal, "scratch_end": of.scratch,
                                      "scratch_other": _next_replicate(interpretation, of.scratch),
                                      CONTROL: control})  # fmt: skip


def start_of(interpretation: Interpretation, lineage: Lineage) -> Subject:
    """The transfer before any training: its source, copied or carried over by a map."""
    return interpretation.at_checkpoints(lineage.transferred)[0]


def _existing(interpretation: Interpretation, named: Mapping[str, Subject | None]) -> dict[str, Subject]:
    return {name: one for name, one in named.items() if one is not None and not interpretation.has_diverged(one)}


def _next_replicate(interpretation: Interpretation, scratch: Subject) -> Subject | None:
    """The next one, behind the last the first; None where there is one alone.

    Of two replicates both pairs are the same one: `tables.mean_likeness` gives no bounds then.
    """
    seeds = interpretation.experiment.config.seeds
    following = seeds[(seeds.index(scratch.seed) + 1) % len(seeds)]
    return replace(scratch, seed=following) if following != scratch.seed else None


def _has_control(interpretation: Interpretation) -> bool:
    return any(plan.arm == CONTROL for plan in interpretation.experiment.plans("transfer"))


def _scratch_at(interpretation: Interpretation, layer: int) -> tuple[Subject, ...]:
    tokens = interpretation.experiment.phase("scratch").tokens
    ones = [Subject("scratch", layer, layer, seed, tokens) for seed in interpretation.experiment.config.seeds]
    return tuple(one for one in ones if not interpretation.has_diverged(one))


def _of_transfers(interpretation: Interpretation, lineages: list[Lineage]) -> Group:
    subjects = [
        one
        for lineage in lineages
        for one in (lineage.transferred, start_of(interpretation, lineage), lineage.source,
                    *references(interpretation, lineage).values())
    ]  # fmt: skip
    return Group(lineages[0].act_layer, tuple(lineages), subjects=tuple(sorted(set(subjects))))
