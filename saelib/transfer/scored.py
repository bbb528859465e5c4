"""The parts of an evaluation: which SAEs are in a part, and their rows.

In: SAEs of an experiment at a token count, each with the layer that it reads. Out: the parts that `parts` keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.language.corpus.rows import hash_tokens
from saelib.results.provenance import provenance
from saelib.run.progress import progress
from saelib.sae.evaluation import Scores
from saelib.sae.folder import sae_sha256
from saelib.transfer.parts import EvaluationParts
from saelib.transfer.scoring import Reading, row_table, score_once, scored_before
from saelib.transfer.tables import Results, table_of

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment


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


def score_parts(experiment: "Experiment", missing: Mapping[str, Sequence[ScoredSae]], parts: EvaluationParts) -> None:
    """Score the SAEs of each part that is missing, and keep it at once."""
    origin = {
        "eval_sha256": hash_tokens({"held_out": experiment.corpus.held_out}),
        "eval_tokens": len(experiment.corpus.held_out) * experiment.config.row_tokens,
        "corpus_sha256": experiment.corpus.sha256,
        **provenance(experiment.config, experiment.inputs),
    }
    known = scored_before(parts.scores, parts.rows, origin)
    with progress("evaluation", sum(map(len, missing.values())), unit="SAE") as advance:
        for part, asked in missing.items():
            results = _score(experiment, asked, known)
            parts.write(part, results._replace(evaluation=results.evaluation.assign(**origin)))
            advance(len(asked))


def check_unchanged(asked: Sequence[ScoredSae], path: Path) -> None:
    """Refuse to add to an evaluation whose SAEs have changed since; those that were deleted are taken as they were.

    To score those anew would be no remedy: what was trained from them and scored with them would stay.

    Raises:
        ValueError: one has; the message names its folder and the remedy.
    """
    table = pd.read_parquet(path).reindex(columns=["sae_sha256"])  # absent before SAEs were known by their files
    for one, known in zip(asked, table["sae_sha256"], strict=True):
        if one.folder.is_dir() and sae_sha256(one.folder) != known:
            raise ValueError(
                f"{path.name} has no score of {one.folder} as it is now, and transfers may have started from what it "
                "was; put the folder back as it was, or name another run"
            )


def _score(experiment: "Experiment", asked: Sequence[ScoredSae], known: dict[Reading, Scores]) -> Results:
    """Scores of a part, without where they come from; `known` grows by what is new."""
    config = experiment.config
    readings = [Reading(sae_sha256(one.folder), one.act_layer) for one in asked]
    scores = score_once(
        [(one.folder, reading) for one, reading in zip(asked, readings, strict=True)],
        experiment.model,
        experiment.corpus.held_out,
        config.evaluation_batch_rows,
        config.precision,
        known,
        config.skip_first,
    )
    by_reading = dict(zip(readings, scores, strict=True))
    known |= by_reading
    lines = []
    for one, reading in zip(asked, readings, strict=True):
        keys = {key: value for key, value in asdict(one).items() if key != "folder"}
        metrics = by_reading[reading].metrics()
        coefficient = experiment.l1_coefficients[one.act_layer]
        objective = {"l1_coefficient": coefficient, "loss": metrics["mse"] + coefficient * metrics["l1"]}
        lines.append(keys | reading._asdict() | metrics | objective)
    return Results(table_of(lines), row_table(by_reading))
