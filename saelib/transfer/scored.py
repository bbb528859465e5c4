"""The parts of an evaluation: which SAEs are in a part, and their rows.

In: SAEs of an experiment at a token count, each with the layer that it reads. Out: the parts that `parts` keeps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Int32

from saelib.language.corpus.rows import hash_tokens
from saelib.results.parted import PartedTable
from saelib.results.provenance import provenance
from saelib.run.progress import progress
from saelib.run.reading import DamagedFileError
from saelib.sae.evaluation import Scorer
from saelib.sae.folder import sae_sha256
from saelib.sae.scores import Scores
from saelib.sae.training.divergence import diverged_at
from saelib.transfer.checks import DIVERGED, Results, table_of
from saelib.transfer.parts import EvaluationParts
from saelib.transfer.scoring import Reading, row_table, score_once, scored_before

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

NUMBERS = tuple(metric.name for metric in fields(Scores) if metric.name != "rows")


@dataclass(frozen=True)
class ScoredSae:
    """One SAE at one token count, and the layer whose activations it reads: the keys of an evaluation row."""

    arm: str
    direction: str | None
    start: str
    source_layer: int | None
    sae_layer: int
    act_layer: int
    seed: int
    data_seed: int
    tokens: int
    source_tokens: int
    map_tokens: int
    folder: Path

    @cached_property
    def diverged_at_step(self) -> int | None:
        """Where its training ended before this token count, its loss being no number: then there is no folder."""
        return diverged_at(self.folder)


def score_parts(experiment: "Experiment", missing: Mapping[str, Sequence[ScoredSae]], parts: EvaluationParts) -> None:
    """Score the SAEs of each part that is missing, and keep it at once."""
    origin = {
        "eval_sha256": hash_tokens({"held_out": experiment.corpus.held_out}),
        "eval_tokens": len(experiment.corpus.held_out) * experiment.settled.row_tokens,
        "corpus_sha256": experiment.corpus.sha256,
        **provenance(experiment.config, experiment.inputs),
    }
    known, scorer = scored_before(parts, origin), scorer_of(experiment, experiment.corpus.held_out)
    with progress("evaluation", sum(map(len, missing.values())), unit="SAE") as advance:
        for part, asked in missing.items():
            results = _score(experiment, asked, scorer, known)
            parts.write(part, results._replace(evaluation=results.evaluation.assign(**origin)))
            advance(len(asked))


def check_asked(asked: Sequence[ScoredSae], scores: PartedTable, part: str) -> None:
    """Refuse a part whose rows are of other SAEs than those that belong in it, by its name.

    Raises:
        DamagedFileError: they are; or the file is not what was written.
    """
    wanted, found = keys_of(asked), scores.read(part)
    if differing := [name for name in wanted if name in found and not _same(found[name], wanted[name])]:
        raise DamagedFileError(
            f"{scores.place(part)} holds rows of other SAEs than its name says ({', '.join(differing)}); put the right "
            "file back, or delete it to have it made again"
        )


def _same(found: pd.Series, wanted: pd.Series) -> bool:
    """Whether two columns agree; what is missing in both does."""
    known, right = (column.astype(object).where(column.notna(), None).tolist() for column in (found, wanted))
    return bool(known == right)


def stored_scores(evaluation: pd.DataFrame, asked: Mapping[str, Sequence[ScoredSae]]) -> pd.DataFrame:
    """The rows of these SAEs, of a table that has them all."""
    wanted = pd.concat([keys_of(ones) for ones in asked.values() if ones], ignore_index=True)
    keys = ["arm", "sae_layer", "act_layer", "seed", "tokens"]
    return wanted[keys].merge(evaluation, on=keys, how="left")[[*evaluation]]


def check_unchanged(asked: Sequence[ScoredSae], scores: PartedTable, part: str) -> None:
    """Refuse to add to an evaluation whose SAEs have changed since; those that were deleted are taken as they were.

    To score those anew would be no remedy: what was trained from them and scored with them would stay.

    Raises:
        ValueError: one has; the message names its folder and the remedy.
    """
    table = scores.read(part).reindex(columns=["sae_sha256"])  # absent before SAEs were known by their files
    for one, known in zip(asked, table["sae_sha256"], strict=True):
        if one.folder.is_dir() and sae_sha256(one.folder) != known:
            raise ValueError(
                f"{part}.parquet has no score of {one.folder} as it is now, and transfers may have started from what "
                "it was; put the folder back as it was, or name another run"
            )


def keys_of(asked: Sequence[ScoredSae]) -> pd.DataFrame:
    """What says of each row which SAE it is of."""
    return table_of([{name: value for name, value in asdict(one).items() if name != "folder"} for one in asked])


def scorer_of(experiment: "Experiment", rows: Int32[np.ndarray, "rows context"]) -> Scorer:
    """What scores SAEs on these rows as the config says."""
    config = experiment.settled
    return Scorer(experiment.model, rows, config.evaluation_batch_rows, config.precision, config.skipped)


def _score(
    experiment: "Experiment", asked: Sequence[ScoredSae], scorer: Scorer, known: dict[Reading, Scores]
) -> Results:
    """Scores of a part, without where they come from; `known` grows by what is new."""
    readings = [_reading(one) for one in asked]
    there = [(one.folder, reading) for one, reading in zip(asked, readings, strict=True) if reading is not None]
    scores = score_once(there, scorer, known)
    by_reading = {reading: score for (_, reading), score in zip(there, scores, strict=True)}
    known |= by_reading
    coefficients = [experiment.l1_coefficients[one.act_layer] for one in asked]
    lines = [score_line(*pair, by_reading) for pair in zip(readings, coefficients, strict=True)]
    table = pd.concat([keys_of(asked), pd.DataFrame(lines)], axis="columns")
    if len(there) < len(asked):
        table[DIVERGED] = pd.array([one.diverged_at_step for one in asked], dtype="Int64")
    return Results(table, row_table(by_reading))


def _reading(one: ScoredSae) -> Reading | None:
    """None where it has diverged."""
    return None if one.diverged_at_step is not None else Reading(sae_sha256(one.folder), one.act_layer)


def score_line(reading: Reading | None, coefficient: float, scores: Mapping[Reading, Scores]) -> dict[str, Any]:
    """What a row has beside its keys: what was read, its metrics, and what training minimised."""
    metrics = scores[reading].metrics() if reading else dict.fromkeys(NUMBERS, math.nan)
    objective = {"l1_coefficient": coefficient, "loss": metrics["mse"] + coefficient * metrics["l1"]}
    return {"sae_sha256": reading.sae_sha256 if reading else None, **metrics, **objective}
