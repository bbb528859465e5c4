"""The profile of every SAE that is looked at: its features in numbers, and its best contexts; made once, then read.

In: an `Interpretation` whose SAEs are trained. Out: `interpret/features/<part>.parquet`, one row for each feature, and
`interpret/contexts/<part>.parquet`, one row for each context of the features that are shown; a part is called as its
subject. The text is read for some SAEs at a time (`rounds`), whose parts are then written: a process that is killed
leaves these, and only the others are made again.
"""

import warnings
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int

from saelib.interpret.features.chosen import check_shown, shown_features
from saelib.interpret.features.frames import (
    CONTEXT_COLUMNS,
    FEATURE_COLUMNS,
    Reading,
    context_frame,
    feature_frame,
)
from saelib.interpret.features.logit_tokens import check_logit_tokens
from saelib.interpret.features.rounds import rounds
from saelib.interpret.features.sampling import sampled_features
from saelib.interpret.features.survey import Survey, Width, survey
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.pieces import Pieces
from saelib.interpret.same_saes import check_same_saes
from saelib.interpret.subjects import Subject
from saelib.language.unembedding import unembedding
from saelib.run.lock import writing
from saelib.run.progress import progress

if TYPE_CHECKING:
    from torch import Tensor

    from saelib.results.parted import PartedTable
    from saelib.sae.autoencoder import SparseAutoencoder

Shown = Mapping[Subject, Int[np.ndarray, " shown"]]


@dataclass(frozen=True, eq=False, repr=False)
class Profile:
    """What is kept of one SAE at one layer; README.md of the room has the columns."""

    subject: Subject
    features: pd.DataFrame
    """One row for each feature of the SAE, by its index."""
    contexts: pd.DataFrame
    """One row for each context of the features that are shown."""

    def __repr__(self) -> str:
        """One line."""
        shown = int(self.features["shown"].sum())
        return f"Profile({self.subject}; {len(self.features):,} features, {shown:,} with contexts)"

    @cached_property
    def _groups(self) -> dict[int, pd.DataFrame]:
        return {int(feature): rows for feature, rows in self.contexts.groupby("feature")}

    def contexts_of(self, feature: int) -> pd.DataFrame:
        """The contexts of a feature, the strongest first; none where it is not shown, or never active."""
        return self._groups.get(int(feature), self.contexts.iloc[:0])


def make_profiles(
    interpretation: Interpretation, subjects: Iterable[Subject] | None = None, features: Shown | None = None
) -> None:
    """Make what is missing; of stored results nothing is.

    Args:
        interpretation: says which SAEs, which text and how many features.
        subjects: those of `interpretation.lineages()` if not given.
        features: whose contexts are kept; those of `shown_features` if not given. What an earlier call has shown is
            shown still.

    Raises:
        FileNotFoundError: an SAE is not trained yet; the message says how to have it.
        FileExistsError: the run was made from another model or text, or by another library.
        ValueError: a part was made of another SAE than is there now; the message names the remedy. Or a feature is
            asked for that an SAE has not, or more logit tokens than there are.
        RunInUseError: another process is at work on the run.
    """
    if interpretation.config.stored:
        return
    lineages = interpretation.lineages() if subjects is None or features is None else []
    asked = list(dict.fromkeys(one for lineage in lineages for one in lineage) if subjects is None else subjects)
    interpretation.experiment.load_inputs()  # by the library that trained the SAEs, or not at all
    check_logit_tokens(interpretation.config.logit_tokens, interpretation.model.vocabulary)
    check_shown(features or {}, interpretation.experiment.d_sae)
    with writing(interpretation):
        known = {one: _known(interpretation, one) for one in asked if has_profile(interpretation, one)}
        alive = {one: ~part["dead"].to_numpy() for one, part in known.items()}

        def is_alive(subject: Subject) -> Bool[np.ndarray, " d_sae"]:
            return alive[subject] if subject in alive else living_features(interpretation, subject)

        def wanted(ones: Collection[Subject]) -> Shown:
            chosen = shown_features(interpretation, lineages, is_alive, ones) if features is None else features
            return {one: _union(chosen.get(one), known.get(one)) for one in ones}

        left, waiting = [one for one in asked if one not in known], dict[Subject, Survey]()
        for group in rounds(left):
            found = _surveys(interpretation, group)
            alive |= {one: ~survey.statistics.dead for one, survey in found.items()}
            waiting |= found
            left = [one for one in left if one not in found]
            unread = {one for lineage in lineages if lineage.source in left for one in lineage}
            ready = {one: waiting.pop(one) for one in [*waiting] if one not in unread}
            _write(interpretation, ready, wanted(ready))
        # Of SAEs that were deleted since, what they show is in their parts.
        there = all(interpretation.folder_of(one).is_dir() for lineage in lineages for one in lineage)
        shown = wanted(known if there else ())
        for group in rounds(one for one in shown if len(shown[one]) > known[one]["shown"].sum()):
            _write(interpretation, _surveys(interpretation, group), shown)


def has_profile(interpretation: Interpretation, subject: Subject) -> bool:
    """Whether the profile of an SAE is there; the repository keeps none of its stored runs."""
    return all(interpretation.table(name).has(subject.part) for name in ("features", "contexts"))


def read_profile(interpretation: Interpretation, subject: Subject) -> Profile:
    """The profile of an SAE.

    Raises:
        FileNotFoundError: it is not made yet, or these are stored results; the message says how to have it.
        ValueError: it was made of another SAE than is there now.
        DamagedFileError: it is not what was written.
    """
    if not has_profile(interpretation, subject):
        remedy = "leave out stored=True, and call" if interpretation.config.stored else "call"
        raise FileNotFoundError(
            f"{_features(interpretation).place(subject.part)}: no profile of {subject} is there; {remedy} "
            "make_profiles(interpretation)"
        )
    features = _known(interpretation, subject).set_index("feature")
    return Profile(subject, features, _contexts(interpretation).read(subject.part))


def source_sample(interpretation: Interpretation, source: Subject) -> Int[np.ndarray, " sample"]:
    """The features that are drawn among those that are alive in a source: the indices that its transfers show.

    Raises:
        FileNotFoundError: as `read_profile`.
    """
    config = interpretation.config
    return sampled_features(living_features(interpretation, source), config.features, config.seed)


def living_features(interpretation: Interpretation, subject: Subject) -> Bool[np.ndarray, " d_sae"]:
    """Which features of an SAE are active on the text, by its profile.

    Raises:
        FileNotFoundError: as `read_profile`.
    """
    return ~read_profile(interpretation, subject).features["dead"].to_numpy()


def reading_of(interpretation: Interpretation) -> Reading:
    """What the tables of a run share: its text, its tokenizer, its unembedding, how much is kept."""
    config = interpretation.config
    return Reading(
        rows=interpretation.rows(),
        held_out=interpretation.held_out_count,
        width=Width(config.top_contexts, config.context_tokens, config.context_tokens // 3),
        pieces=Pieces(interpretation.model.tokenizer),
        unembedding=_unembedding(interpretation),
        logit_tokens=config.logit_tokens,
        neighbours=config.neighbours,
        dense_share=config.dense_share,
    )


def _unembedding(interpretation: Interpretation) -> "Tensor | None":
    try:
        return unembedding(interpretation.model)
    except ValueError as error:
        warnings.warn(str(error), stacklevel=2)
        return None


def _surveys(interpretation: Interpretation, subjects: Sequence[Subject]) -> dict[Subject, Survey]:
    if not subjects:
        return {}
    config, own = interpretation.experiment.settled, interpretation.config
    saes: dict[Subject, SparseAutoencoder] = {}
    for one in subjects:  # an SAE that reads two layers is loaded once
        saes.setdefault(one.at(one.sae_layer), interpretation.sae(one))
    found = survey(
        interpretation.model,
        [(saes[one.at(one.sae_layer)], one.act_layer) for one in subjects],
        interpretation.rows(),
        Width(own.top_contexts, own.context_tokens, own.context_tokens // 3),
        config.evaluation_batch_rows,
        config.precision,
        interpretation.skipped,
    )
    return dict(zip(subjects, found, strict=True))


def _write(interpretation: Interpretation, found: Mapping[Subject, Survey], wanted: Shown) -> None:
    """The parts of some SAEs; that of the features last, as it says which of them are shown."""
    if not found:
        return
    reading, origin = reading_of(interpretation), interpretation.origin()
    with progress("profiles", len(found), unit="SAE") as advance:
        for subject, one in found.items():
            decoder, columns = (
                interpretation.sae(subject).W_dec,
                {"sae_sha256": interpretation.sha256(subject), **origin},
            )
            contexts = context_frame(one, wanted[subject], reading)
            _contexts(interpretation).write(subject.part, contexts.assign(**columns))
            features = feature_frame(one, decoder, wanted[subject], reading)
            _features(interpretation).write(subject.part, features.assign(**columns))
            advance(1)


def _union(chosen: Int[np.ndarray, " shown"] | None, known: pd.DataFrame | None) -> Int[np.ndarray, " shown"]:
    shown = [] if known is None else known.loc[known["shown"], "feature"].tolist()
    return np.union1d(np.array([] if chosen is None else chosen, np.int64), np.array(shown, np.int64))


def _known(interpretation: Interpretation, subject: Subject) -> pd.DataFrame:
    table = _features(interpretation)
    part = table.read(subject.part)
    check_same_saes(interpretation, part, table.place(subject.part), subject)
    return part


def _features(interpretation: Interpretation) -> "PartedTable":
    return interpretation.table("features", FEATURE_COLUMNS)


def _contexts(interpretation: Interpretation) -> "PartedTable":
    return interpretation.table("contexts", CONTEXT_COLUMNS)
