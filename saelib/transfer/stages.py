"""The stages of an experiment that notebooks call: train a phase, score its SAEs, score sources at other layers.

In: an experiment. Out: files under `runs/<run>/`. A stage that is finished costs nothing when called again; one that
was interrupted goes on where it stopped. Layers, model and corpus are looked at before anything is written.
"""

import errno
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pandas as pd

from saelib.results.parted import PartedTable
from saelib.results.provenance import check_origin, provenance
from saelib.run.lock import RunInUseError, writing
from saelib.sae.starts import MAPPED
from saelib.sae.training.divergence import check_streams
from saelib.transfer.checks import table_of
from saelib.transfer.directions import parse_arm
from saelib.transfer.experiment import Experiment
from saelib.transfer.fetched import fetch_phase
from saelib.transfer.finished import check_kept, check_own, check_present, check_starts, logs_of
from saelib.transfer.lambdas import is_chosen
from saelib.transfer.maps import check_maps, fit_maps
from saelib.transfer.parts import SOURCE, ZERO_SHOT, EvaluationParts, part_of
from saelib.transfer.passes import Passes, note_passes, plan_passes, train_passes
from saelib.transfer.released_config import PUBLISHED
from saelib.transfer.scored import (
    ScoredSae,
    check_asked,
    check_unchanged,
    score_parts,
    stored_scores,
)
from saelib.transfer.tables import read_results, read_training
from saelib.transfer.trials import choose_lambda


def phase_state(experiment: Experiment, name: str) -> str:
    """One line: whether a phase's finished SAEs were found, or what will be trained now."""
    plans, tokens = experiment.plans(name), experiment.phase(name).tokens
    size = f"{len(plans)} SAEs of {tokens:,} tokens each"
    if experiment.config.stored:
        return f"Phase {name}: stored results of {size}."
    if logs_of(experiment.folder).has(name):
        return f"Phase {name}: found {size}, finished."
    return f"Phase {name}: {size} are {'fetched' if experiment.config.saes == PUBLISHED else 'trained'} now."


def train_phase(experiment: Experiment, name: str) -> pd.DataFrame:
    """Train all SAEs of phase "scratch" or "transfer", or finish them; returns the phase's training log.

    With `saes="published"` they are fetched in place of that (`fetched`).

    The logs of the phases together are `training.parquet`. What a later phase needs of the config is checked before the
    first one: another config is another run, and would have to train from the beginning. Of stored results the log is
    returned as it is.

    Raises:
        ValueError: a layer is not in the model, or its residual stream is 0 or not finite; the context is too short, or
            the text is; or the maps of the transfers cannot be fitted so; nothing was written. Or no trial comes near
            `target_l0`.
        FileNotFoundError: the sources of the transfers are not trained yet.
        MemoryError: not even one SAE fits into the device's memory; nothing was written.
        RunInUseError: another process is at work on the run.
        FileExistsError: the folder holds a run with another config, or one of another model, text or library.
        DamagedFileError: the log, or a source, is not what was written.
    """
    experiment.check()
    if experiment.config.stored:
        return read_training(experiment).query("phase == @name").reset_index(drop=True)
    parts = logs_of(experiment.folder)
    if not parts.has(name):
        _train_now(experiment, name, parts)
    elif not (experiment.folder / "maps.parquet").is_file():
        fit_maps(experiment, experiment.plans(name))
    logs = parts.together()
    check_origin(logs, parts.path)
    if not parts.is_joined(parts.parts):
        refresh(experiment, lambda: parts.join(parts.parts, logs))
    return parts.read(name)


def refresh(experiment: Experiment, join: Callable[[], None]) -> None:
    """Make joined tables again, where the run may be written to: what is finished can be read without them."""
    try:
        with writing(experiment):
            join()
    except RunInUseError:  # whoever has it will
        pass
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise


def _train_now(experiment: Experiment, name: str, parts: PartedTable) -> None:
    """Train a phase that is not finished, and keep its log."""
    plans, folders = experiment.plans(name), experiment.phase_folders(name)
    if not plans:
        raise ValueError(
            f"layers={list(experiment.layers)}: nothing to train in phase {name}; a transfer needs two layers, or "
            "a source of another one"
        )
    experiment.load_inputs()  # all errors come before the folder is claimed
    rows = experiment.training_rows(experiment.config.data_seeds[0])
    check_streams(experiment.model, rows, experiment.layers, experiment.settled)
    check_starts(plans, folders, experiment.phase_folders("scratch"), experiment.inputs)
    if experiment.config.saes == PUBLISHED:
        with writing(experiment):
            parts.write(name, _log(experiment, name, fetch_phase(experiment, name)))
        return
    check_maps(experiment, experiment.plans("transfer"))
    passes = plan_passes(experiment.settled, experiment.model, plans, experiment.phase(name), folders.resume)
    with writing(experiment):
        note_passes(passes, folders.resume)
        passes = _with_lambdas(experiment, passes)
        fit_maps(experiment, plans)
        parts.write(name, _train(experiment, name, passes))


def _train(experiment: Experiment, name: str, passes: Passes) -> pd.DataFrame:
    folders, phase = experiment.phase_folders(name), experiment.phase(name)
    return _log(experiment, name, train_passes(experiment, passes, experiment.settled, phase, folders))


def _log(experiment: Experiment, name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    return table_of(rows).assign(phase=name, **provenance(experiment.config, experiment.inputs))


def _with_lambdas(experiment: Experiment, passes: Passes) -> Passes:
    """Plans that know their layer's lambda and scale, where these are not the config's numbers."""
    coefficients = choose_lambda(experiment)
    groups = [experiment.with_scales(plans) for plans in passes.groups]
    if is_chosen(experiment.config):
        experiment.claim()  # what was chosen is an input now
        groups = [[replace(plan, l1_coefficient=coefficients[plan.sae_layer]) for plan in plans] for plans in groups]
    return passes._replace(groups=groups)


def evaluate_phase(experiment: Experiment, name: str) -> pd.DataFrame:
    """Score every SAE of a phase at every checkpoint; returns the phase's rows of `evaluation.parquet`.

    The metrics of each held-out row are `evaluation_rows.parquet`, a line for each reading and row.
    """
    folders = experiment.phase_folders(name)
    return _evaluate_in_parts(
        experiment,
        name,
        {
            part_of(name, tokens): [
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
    """Score every finished scratch SAE on the activations of every other layer, untrained there.

    And where the config names a source of its own, that one at every layer, its own too: the arm "source".
    """
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
    return _evaluate_in_parts(experiment, "scratch", {ZERO_SHOT: asked, SOURCE: _of_source(experiment)})


def _of_source(experiment: Experiment) -> list[ScoredSae]:
    """The run's own source at every layer, once for each replicate: where the scores of its transfers begin."""
    source = experiment.source
    if source is None:
        return []
    return [
        ScoredSae(
            "source", None, "copy", source.layer, source.layer, layer, *replicate, 0, source.tokens, 0, source.folder
        )
        for layer in experiment.layers
        for replicate in experiment.config.replicates
    ]


def _evaluate_in_parts(experiment: Experiment, phase: str, asked: dict[str, list[ScoredSae]]) -> pd.DataFrame:
    """Evaluate part by part, so that an interrupted evaluation loses one part; refresh the joined tables."""
    experiment.check()
    if experiment.config.stored:
        return stored_scores(read_results(experiment).evaluation, asked)
    asked, parts = {part: ones for part, ones in asked.items() if ones}, EvaluationParts(experiment.folder)
    if not asked:
        return pd.DataFrame()
    for part in filter(parts.has, asked):
        check_asked(asked[part], parts.scores, part)
    if missing := {part: ones for part, ones in asked.items() if not parts.has(part)}:
        experiment.load_inputs()  # all errors come before the folder is claimed
        _check_trained(experiment, phase, [one for ones in missing.values() for one in ones])
        for part in asked.keys() - missing:
            check_kept((one.folder for one in asked[part]), phase, experiment.phase_folders(phase))
            check_unchanged(asked[part], parts.scores, part)
        with writing(experiment):
            score_parts(experiment, missing, parts)
    check_origin(parts.together().evaluation, parts.scores.path)
    if not parts.is_joined():
        refresh(experiment, parts.join)
    return parts.read(asked)


def _check_trained(experiment: Experiment, phase: str, asked: Iterable[ScoredSae]) -> None:
    folders = experiment.phase_folders(phase)
    for one in asked:
        if one.diverged_at_step is None:
            check_present(one.folder, phase, folders)
            check_own(one.folder, phase, folders, experiment.inputs)
