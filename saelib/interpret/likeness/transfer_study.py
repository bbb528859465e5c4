"""Feature transfer as a stage: what each feature of a source shares with others, one row a feature and comparison.

In: profiles of the SAEs that stand side by side, made here where they lack. Out: `feature_transfer.parquet`, a part for
each transfer; resumable. A feature of the source, reading its own layer, is compared with the transfer's feature of the
same index, reading its layer (paper 1); with the transfer's nearest row, whatever its index; with another feature of
the transfer at random, the null; and with the nearest row of the new layer's scratch SAE, which never saw the source.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from saelib.interpret.features.profiles import make_profiles, read_profile, source_sample
from saelib.interpret.interpretation import Interpretation, check_same_saes
from saelib.interpret.likeness.cosines import best_matches, by_index
from saelib.interpret.likeness.transferred import Meaning, meanings, shared
from saelib.interpret.subjects import Lineage, Subject
from saelib.run.lock import writing
from saelib.run.progress import progress
from saelib.transfer.directions import parse_arm

if TYPE_CHECKING:
    from saelib.results.parted import PartedTable

NAME = "feature_transfer"
NEEDED = ("arm", "act_layer", "comparison", "feature", "shared_top", "sae_sha256")
COMPARISONS = ("same_index", "best_match", "other_feature", "scratch_match")


class Pairs(NamedTuple):
    """Features that are compared with those of a source, one each."""

    subject: Subject
    """Whose features they are."""
    places: Int[np.ndarray, " sample"]
    cosines: Float[np.ndarray, " sample"]
    """Of their decoder rows with the source's."""


def feature_transfer_state(interpretation: Interpretation) -> str:
    """One line: what there is, and whether it was found or is made now."""
    if interpretation.config.stored:
        return "Feature transfer: stored results."
    lineages, table = interpretation.lineages(), _table(interpretation)
    missing = sum(not table.has(one.transferred.part) for one in lineages)
    found = f"{missing} of {len(lineages)} transfers are compared now" if missing else "found, finished"
    return f"Feature transfer: {found}."


def make_feature_transfer(interpretation: Interpretation) -> pd.DataFrame:
    """Make the table, or finish it, with the profiles that it needs.

    Returns:
        arm, direction, start, act_layer, source_layer, seed, comparison (`COMPARISONS`), feature (of the source), other
        (the one it is compared with), cosine, shared_top, shared_bottom, shared_maximal, shared_counted (tokens),
        out_of (the first three together), sae_sha256, and where the numbers come from.

    Raises:
        FileNotFoundError: an SAE is not trained yet.
        ValueError: an SAE has changed since its part was made.
        RunInUseError: another process is at work on the run.
        DamagedFileError: a part or an SAE is not what was written.
        FileExistsError: the folder holds results of another config.
    """
    interpretation.check()
    table = _table(interpretation)
    if interpretation.config.stored:
        return table.together()
    lineages = {one.transferred.part: one for one in interpretation.lineages()}
    for part, lineage in lineages.items():
        if table.has(part):
            check_same_saes(interpretation, table.read(part), table.place(part), *_read_for(lineage))
    if missing := {part: one for part, one in lineages.items() if not table.has(part)}:
        interpretation.experiment.load_inputs()
        with writing(interpretation):
            _make(interpretation, table, missing)
    whole = table.together(lineages)
    if not table.is_joined([*lineages]):
        with writing(interpretation):
            table.join([*lineages], whole)
    return whole


def _table(interpretation: Interpretation) -> "PartedTable":
    return interpretation.table(NAME, NEEDED)


def _read_for(lineage: Lineage) -> tuple[Subject, Subject, Subject]:
    return lineage.source, lineage.transferred, lineage.scratch


def _make(interpretation: Interpretation, table: "PartedTable", missing: Mapping[str, Lineage]) -> None:
    make_profiles(interpretation, dict.fromkeys(one for lineage in missing.values() for one in lineage))
    samples = {lineage.source: source_sample(interpretation, lineage.source) for lineage in missing.values()}
    pairs = {part: paired(interpretation, one, samples[one.source]) for part, one in missing.items()}
    _show(interpretation, (one for found in pairs.values() for one in found.values()))
    with progress(NAME, len(missing), unit="transfer") as advance:
        for part, lineage in missing.items():
            lines = _compared(interpretation, lineage, samples[lineage.source], pairs[part])
            sha256 = interpretation.sha256(*_read_for(lineage))
            table.write(
                part, _framed(interpretation, lineage, lines).assign(sae_sha256=sha256, **interpretation.origin())
            )
            advance(1)


def paired(interpretation: Interpretation, lineage: Lineage, sample: Int[np.ndarray, " sample"]) -> dict[str, Pairs]:
    """The features that those of a source are compared with, by the name of the comparison.

    Args:
        interpretation: where the SAEs are; its seed draws the null.
        lineage: of whose source.
        sample: indices in the source; one alone has no other feature, and no null.
    """
    source, transfer, scratch = (interpretation.sae(one).W_dec for one in _read_for(lineage))
    rows = source[sample.tolist()]

    def indexed(places: Int[np.ndarray, " sample"]) -> Pairs:
        return Pairs(lineage.transferred, places, by_index(rows, transfer[places.tolist()]).cpu().numpy())

    def nearest(subject: Subject, decoder: Float[Tensor, "d_sae d_model"]) -> Pairs:
        found = best_matches(rows, decoder)
        return Pairs(subject, found.places.cpu().numpy(), found.cosines.cpu().numpy())

    found = {
        "same_index": indexed(sample),
        "best_match": nearest(lineage.transferred, transfer),
        "other_feature": indexed(others(sample, interpretation.config.seed)),
        "scratch_match": nearest(lineage.scratch, scratch),
    }
    return found if len(sample) > 1 else {name: one for name, one in found.items() if name != "other_feature"}


def others(sample: Int[np.ndarray, " sample"], seed: int) -> Int[np.ndarray, " sample"]:
    """For each feature another one of the sample at random, each once."""
    order = np.random.default_rng(seed).permutation(len(sample))
    found = np.empty_like(sample)
    found[order] = sample[np.roll(order, 1)]  # the next one of a random order is never the feature itself
    return found


def _show(interpretation: Interpretation, pairs: Iterable[Pairs]) -> None:
    """Have contexts of all that is compared; where all are there already, no text is read."""
    wanted: dict[Subject, set[int]] = {}
    for one in pairs:
        wanted.setdefault(one.subject, set()).update(one.places.tolist())
    make_profiles(interpretation, wanted, {subject: np.array(sorted(ones)) for subject, ones in wanted.items()})


def _compared(
    interpretation: Interpretation, lineage: Lineage, sample: Int[np.ndarray, " sample"], pairs: Mapping[str, Pairs]
) -> list[dict[str, Any]]:
    mine = meanings(read_profile(interpretation, lineage.source), sample)
    theirs: dict[Subject, dict[int, Meaning]] = {}
    for subject in {one.subject for one in pairs.values()}:
        places = np.unique(np.concatenate([one.places for one in pairs.values() if one.subject == subject]))
        theirs[subject] = meanings(read_profile(interpretation, subject), places)
    return [
        {"comparison": name, "feature": feature, "other": other, "cosine": cosine}
        | shared(mine[feature], theirs[one.subject][other])._asdict()
        for name, one in pairs.items()
        for feature, other, cosine in zip(sample.tolist(), one.places.tolist(), one.cosines.tolist(), strict=True)
    ]


def _framed(interpretation: Interpretation, lineage: Lineage, lines: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows of a part, with whose they are."""
    arm, config = parse_arm(lineage.arm), interpretation.config
    assert arm is not None  # lineages are of transfers
    small = dict.fromkeys(("shared_top", "shared_bottom", "shared_maximal", "shared_counted", "out_of"), "int16")
    who = {"arm": arm.name, "direction": arm.direction, "start": arm.start, "act_layer": lineage.act_layer,
           "source_layer": lineage.source.sae_layer, "seed": lineage.seed}  # fmt: skip
    table = pd.DataFrame(lines).assign(out_of=2 * config.logit_tokens + config.top_contexts)
    table = table.astype(small | {"feature": "int32", "other": "int32", "cosine": "float32"})
    for place, (name, value) in enumerate(who.items()):
        table.insert(place, name, value)
    return table
