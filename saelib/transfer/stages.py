"""The stages of an experiment that notebooks call: train a phase, score its SAEs, score sources at other layers.

In: an experiment. Out: files under `runs/<run>/`. A stage that is finished costs nothing when called again; one that
was interrupted goes on where it stopped. Layers, model and corpus are looked at before anything is written.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from saelib.language.corpus.rows import hash_tokens
from saelib.results.provenance import provenance, write_table
from saelib.run.lock import writing
from saelib.run.progress import progress
from saelib.sae.evaluation import Scores
from saelib.sae.starts import MAPPED
from saelib.sae.training.plan import check_sources
from saelib.sae.training.train import train
from saelib.transfer.directions import parse_arm
from saelib.transfer.experiment import Experiment
from saelib.transfer.maps import check_maps, fit_maps
from saelib.transfer.parts import EvaluationParts
from saelib.transfer.passes import Passes, note_passes, plan_passes
from saelib.transfer.scoring import Reading, row_table, sae_sha256, score_once, scored_before
from saelib.transfer.tables import Results, concatenate, table_of


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


def phase_state(experiment: Experiment, name: str) -> str:
    """One line: whether a phase's finished SAEs were found, or what will be trained now."""
    plans, tokens = experiment.plans(name), experiment.phase(name).tokens
    size = f"{len(plans)} SAEs of {tokens:,} tokens each"
    if _log(experiment, name).is_file():
        return f"Phase {name}: found {size}, finished."
    return f"Phase {name}: {size} are trained now."


def _log(experiment: Experiment, name: str) -> Path:
    return experiment.folder / "training" / f"{name}.parquet"


def train_phase(experiment: Experiment, name: str) -> pd.DataFrame:
    """Train all SAEs of phase "scratch" or "transfer", or finish them; returns the phase's training log.

    The logs of the phases together are `training.parquet`.

    Raises:
        ValueError: a layer is not in the model, its context is too short, or the text is; nothing was written.
        FileNotFoundError: the sources of the transfers are not trained yet.
        MemoryError: not even one SAE fits into the device's memory; nothing was written.
        RunInUseError: another process is at work on the run.
        FileExistsError: the folder holds a run with another config.
    """
    path = _log(experiment, name)
    experiment.check()
    if not path.is_file():
        plans, folders = experiment.plans(name), experiment.phase_folders(name)
        if not plans:
            raise ValueError(
                f"layers={list(experiment.layers)}: nothing to train in phase {name}; a transfer needs two "
                f"layers that are {' or '.join(map(str, experiment.config.distances))} apart in the list"
            )
        _ = experiment.corpus  # all errors come before the folder is claimed
        check_sources(plans, folders)
        check_maps(experiment, plans)
        passes = plan_passes(experiment.config, experiment.model, plans, experiment.phase(name), folders.resume)
        with writing(experiment):
            note_passes(passes, folders.resume)
            fit_maps(experiment, plans)
            write_table(_train(experiment, name, passes), path)
            write_table(concatenate(path.parent), experiment.folder / "training.parquet")
    return pd.read_parquet(path)


def _train(experiment: Experiment, name: str, passes: Passes) -> pd.DataFrame:
    config, folders = experiment.config, experiment.phase_folders(name)
    origin = {"model_name": config.language_model, "dataset_path": config.corpus}
    phase, rows = experiment.phase(name), []
    for number, plans in enumerate(passes.groups, start=1):
        resume = folders.resume if len(passes.groups) == 1 else folders.resume.with_name(f"{name}-{number}")
        mine, text = folders._replace(resume=resume), experiment.training_rows(plans[0].data_seed)
        rows += train(plans, phase, experiment.model, text, config, mine, origin, rows_per_pass=passes.rows_per_pass)
    return table_of(rows).assign(phase=name, **provenance(config))


def evaluate_phase(experiment: Experiment, name: str) -> pd.DataFrame:
    """Score every SAE of a phase at every checkpoint; returns the phase's rows of `evaluation.parquet`.

    The metrics of each held-out row are `evaluation_rows.parquet`, a line for each reading and row.
    """
    folders = experiment.phase_folders(name)
    return _evaluate_in_parts(
        experiment,
        {
            f"{name}-{tokens:012d}": [
                ScoredSae(
                    arm=plan.arm,
                    direction=arm.direction if (arm := parse_arm(plan.arm)) else None,
                    start=plan.start,
                    source_layer=plan.source_layer,
                    sae_layer=plan.sae_layer,
                    act_layer=plan.sae_layer,
                    seed=plan.seed,
                    data_seed=plan.data_seed,
                    tokens=tokens,
                    source_tokens=plan.source_tokens,
                    map_tokens=experiment.config.map_tokens if plan.start in MAPPED else 0,
                    folder=folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens),
                )
                for plan in experiment.plans(name)
            ]
            for tokens in experiment.phase(name).checkpoints
        },
    )


def evaluate_zero_shot(experiment: Experiment) -> pd.DataFrame:
    """Score every finished scratch SAE on the activations of every other layer, untrained there."""
    folders, tokens = experiment.phase_folders("scratch"), experiment.config.scratch.tokens
    asked = [
        ScoredSae(
            arm="zero_shot",
            direction=None,
            start="copy",
            source_layer=plan.sae_layer,
            sae_layer=plan.sae_layer,
            act_layer=layer,
            seed=plan.seed,
            data_seed=plan.data_seed,
            tokens=0,
            source_tokens=tokens,
            map_tokens=0,
            folder=folders.sae("scratch", plan.sae_layer, plan.seed, tokens),
        )
        for plan in experiment.plans("scratch")
        for layer in experiment.layers
        if layer != plan.sae_layer
    ]
    return _evaluate_in_parts(experiment, {"zero_shot": asked})


def _evaluate_in_parts(experiment: Experiment, asked: dict[str, list[ScoredSae]]) -> pd.DataFrame:
    """Evaluate part by part, so that an interrupted evaluation loses one part; refresh the joined tables."""
    asked, parts = {part: ones for part, ones in asked.items() if ones}, EvaluationParts(experiment.folder)
    experiment.check()
    missing = {part: ones for part, ones in asked.items() if not parts.has(part)}
    if missing:
        _ = experiment.corpus  # all errors come before the folder is claimed
        _check_trained(one for ones in missing.values() for one in ones)
        for part in asked.keys() - missing:
            _check_unchanged(asked[part], parts.scores / f"{part}.parquet")
    if asked and (missing or not parts.is_joined()):
        with writing(experiment):
            if missing:
                _evaluate(experiment, missing, parts)
            parts.join()
    return parts.read(asked) if asked else pd.DataFrame()


def _evaluate(experiment: Experiment, missing: dict[str, list[ScoredSae]], parts: EvaluationParts) -> None:
    origin = {
        "eval_sha256": hash_tokens({"held_out": experiment.corpus.held_out}),
        "eval_tokens": experiment.corpus.held_out.size,
        "corpus_sha256": experiment.corpus.sha256,
        **provenance(experiment.config),
    }
    known = scored_before(parts.scores, parts.rows, origin)
    with progress("evaluation", sum(map(len, missing.values())), unit="SAE") as advance:
        for part, asked in missing.items():
            results = _score(experiment, asked, known)
            parts.write(part, results._replace(evaluation=results.evaluation.assign(**origin)))
            advance(len(asked))


def _check_trained(asked: Iterable[ScoredSae]) -> None:
    for one in asked:
        if not one.folder.is_dir():
            raise FileNotFoundError(f"{one.folder} is not there: train the phase first, with `saelib.train_phase`")


def _check_unchanged(asked: list[ScoredSae], path: Path) -> None:
    """Refuse to add to an evaluation whose SAEs have changed since; those that were deleted are taken as they were."""
    table = pd.read_parquet(path).reindex(columns=["sae_sha256"])  # absent before SAEs were known by their files
    for one, known in zip(asked, table["sae_sha256"], strict=True):
        if one.folder.is_dir() and sae_sha256(one.folder) != known:
            raise ValueError(
                f"{path.name} has no score of {one.folder} as it is now; "
                "delete the run's evaluation/ folder and evaluate again"
            )


def _score(experiment: Experiment, asked: list[ScoredSae], known: dict[Reading, Scores]) -> Results:
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
    )
    by_reading = dict(zip(readings, scores, strict=True))
    known |= by_reading
    lines = []
    for one, reading in zip(asked, readings, strict=True):
        keys = {key: value for key, value in asdict(one).items() if key != "folder"}
        metrics = by_reading[reading].metrics()
        loss = metrics["mse"] + config.l1_coefficient * metrics["l1"]
        lines.append(keys | reading._asdict() | metrics | {"loss": loss})
    return Results(table_of(lines), row_table(by_reading))
