"""Feature transfer as a stage: what each feature of a source shares with others, one row a feature and comparison.

In: profiles of the SAEs that stand side by side, made here where they lack. Out: `feature_transfer.parquet`, a part for
each transfer; resumable. A feature of the source, reading its own layer, is compared with the transfer's feature of the
same index, reading its layer (paper 1); with the transfer's nearest row, whatever its index; with another feature of
the transfer at random, the null; and with the nearest row of the new layer's scratch SAE, which never saw the source.
Nearest rows are those of features that fire on the text: a dead one has no tokens to share.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float, Int
from torch import Tensor

from saelib.interpret.features.neighbours import searched_rows
from saelib.interpret.features.profiles import living_features, make_profiles, read_profile, source_sample
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness.cosines import best_matches, by_index
from saelib.interpret.likeness.transferred import Meaning, meanings, shared
from saelib.interpret.parts import make_parts, parts_state
from saelib.interpret.subjects import Lineage, Subject
from saelib.transfer.directions import parse_arm

NAME = "feature_transfer"
WHO = ("arm", "direction", "start", "act_layer", "source_layer", "seed")
COUNTS = ("shared_top", "shared_bottom", "shared_maximal", "shared_counted", "out_of")
LINE = ("comparison", "feature", "other", "cosine", *COUNTS[:-1])
NEEDED = (*WHO, *LINE, "out_of")
COMPARISONS = ("same_index", "best_match", "other_feature", "scratch_match")
Sample = Int[np.ndarray, " sample"]


class Pairs(NamedTuple):
    """Features that are compared with those of a source, one each."""

    subject: Subject
    """Whose features they are."""
    places: Int[np.ndarray, " sample"]
    cosines: Float[np.ndarray, " sample"]
    """Of their decoder rows with the source's."""


def feature_transfer_state(interpretation: Interpretation) -> str:
    """One line: what there is, and whether it was found or is made now."""
    asked = [] if interpretation.config.stored else [one.transferred.part for one in interpretation.lineages()]
    return parts_state(interpretation, "Feature transfer", {NAME: asked})


def make_feature_transfer(interpretation: Interpretation) -> pd.DataFrame:
    """Make the table, or finish it, with the profiles that it needs.

    Returns:
        arm, direction, start, act_layer, source_layer, seed, comparison (`COMPARISONS`), feature (of the source), other
        (the one it is compared with), cosine, shared_top, shared_bottom, shared_maximal, shared_counted (tokens),
        out_of (what the first three could be together: contexts alone, where a model has no logit tokens), sae_sha256,
        and where the numbers come from.

    Raises:
        FileNotFoundError, ValueError, RunInUseError, DamagedFileError: as `parts.make_parts`.
        FileExistsError: the folder holds results of another config.
    """
    interpretation.check()
    of_run = [] if interpretation.config.stored else interpretation.lineages()
    lineages = {one.transferred.part: one for one in of_run}

    @cache
    def prepared() -> tuple[dict[Subject, Sample], dict[str, dict[str, Pairs]]]:
        return _prepared(interpretation, lineages)

    def make(part: str) -> pd.DataFrame:
        samples, pairs = prepared()
        lineage = lineages[part]
        return _framed(
            interpretation, lineage, _compared(interpretation, lineage, samples[lineage.source], pairs[part])
        )

    asked = {part: _read_for(lineage) for part, lineage in lineages.items()}
    return make_parts(interpretation, NAME, asked, make, NEEDED)


def _read_for(lineage: Lineage) -> tuple[Subject, Subject, Subject]:
    return lineage.source, lineage.transferred, lineage.scratch


def _prepared(
    interpretation: Interpretation, lineages: Mapping[str, Lineage]
) -> tuple[dict[Subject, Sample], dict[str, dict[str, Pairs]]]:
    """Profiles of all that is compared; the features of each source, and what they are compared with."""
    make_profiles(interpretation, dict.fromkeys(one for lineage in lineages.values() for one in lineage))
    samples = {one.source: source_sample(interpretation, one.source) for one in lineages.values()}
    pairs = {part: paired(interpretation, one, samples[one.source]) for part, one in lineages.items()}
    _show(interpretation, (one for found in pairs.values() for one in found.values()))
    return samples, pairs


def paired(interpretation: Interpretation, lineage: Lineage, sample: Sample) -> dict[str, Pairs]:
    """The features that those of a source are compared with, by the name of the comparison; profiles say which fire.

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
        places = searched_rows(len(decoder), living_features(interpretation, subject))
        found = best_matches(rows, decoder[places.tolist()])
        return Pairs(subject, places[found.places.cpu()].numpy(), found.cosines.cpu().numpy())

    found = {
        "same_index": indexed(sample),
        "best_match": nearest(lineage.transferred, transfer),
        "other_feature": indexed(others(sample, interpretation.config.seed)),
        "scratch_match": nearest(lineage.scratch, scratch),
    }
    return found if len(sample) > 1 else {name: one for name, one in found.items() if name != "other_feature"}


def others(sample: Sample, seed: int) -> Int[np.ndarray, " sample"]:
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
    interpretation: Interpretation, lineage: Lineage, sample: Sample, pairs: Mapping[str, Pairs]
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
    arm = parse_arm(lineage.arm)
    assert arm is not None  # lineages are of transfers
    who = (arm.name, arm.direction, arm.start, lineage.act_layer, lineage.source.sae_layer, lineage.seed)
    table = pd.DataFrame(lines, columns=list(LINE)).assign(out_of=_out_of(interpretation, lineage.source))
    table = table.astype(dict.fromkeys(COUNTS, "int16") | {"feature": "int32", "other": "int32", "cosine": "float32"})
    for place, (name, value) in enumerate(zip(WHO, who, strict=True)):
        table.insert(place, name, value)
    return table


def _out_of(interpretation: Interpretation, source: Subject) -> int:
    """Tokens that two features could share; of logits none, where the model's head is not one matrix."""
    config, profile = interpretation.config, read_profile(interpretation, source)
    has_logits = bool(profile.features["top_ids"].map(len).any())
    return 2 * config.logit_tokens * has_logits + config.top_contexts
