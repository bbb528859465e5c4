"""The stages of an experiment that notebooks call: train a phase, score its SAEs, score sources at other layers.

In: an experiment. Out: files under `runs/<run>/`. A stage that is finished costs nothing when called again; one that
was interrupted goes on where it stopped. Layers, model and corpus are looked at before anything is written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from saelib.results.provenance import provenance, write_table
from saelib.run.files import read_json
from saelib.run.identity import INPUTS, check_inputs
from saelib.run.lock import writing
from saelib.sae.folder import CONFIG, LINEAGE, WEIGHTS
from saelib.sae.starts import MAPPED
from saelib.sae.training.plan import PhaseFolders, SaePlan, check_sources, source_folder
from saelib.transfer.directions import parse_arm
from saelib.transfer.experiment import Experiment
from saelib.transfer.lambdas import is_chosen
from saelib.transfer.maps import check_maps, fit_maps
from saelib.transfer.parts import EvaluationParts
from saelib.transfer.passes import Passes, note_passes, plan_passes, train_passes
from saelib.transfer.scored import ScoredSae, check_unchanged, score_parts
from saelib.transfer.tables import concatenate, table_of
from saelib.transfer.trials import choose_lambda


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

    The logs of the phases together are `training.parquet`. What a later phase needs of the config is checked before the
    first one: another config is another run, and would have to train from the beginning.

    Raises:
        ValueError: a layer is not in the model, its context is too short, or the text is; or the maps of the transfers
            cannot be fitted so; nothing was written. Or no trial comes near `target_l0`.
        FileNotFoundError: the sources of the transfers are not trained yet.
        MemoryError: not even one SAE fits into the device's memory; nothing was written.
        RunInUseError: another process is at work on the run.
        FileExistsError: the folder holds a run with another config.
    """
    path, joined = _log(experiment, name), experiment.folder / "training.parquet"
    experiment.check()
    if not path.is_file():
        plans, folders = experiment.plans(name), experiment.phase_folders(name)
        if not plans:
            raise ValueError(
                f"layers={list(experiment.layers)}: nothing to train in phase {name}; a transfer needs two layers, or "
                "a source of another one"
            )
        experiment.load_inputs()  # all errors come before the folder is claimed
        _check_sources(experiment, plans, folders)
        _check_lineage(experiment, (source_folder(plan, folders) for plan in plans if plan.source_arm is not None))
        check_maps(experiment, experiment.plans("transfer"))
        passes = plan_passes(experiment.config, experiment.model, plans, experiment.phase(name), folders.resume)
        with writing(experiment):
            note_passes(passes, folders.resume)
            passes = _with_lambdas(experiment, passes)
            fit_maps(experiment, plans)
            log = _train(experiment, name, passes)
            joined.unlink(missing_ok=True)  # a process that is killed here leaves none that lacks this phase
            write_table(log, path)
    elif not (experiment.folder / "maps.parquet").is_file():
        fit_maps(experiment, experiment.plans(name))
    if not joined.is_file():
        with writing(experiment):
            write_table(concatenate(path.parent), joined)
    return pd.read_parquet(path)


def _train(experiment: Experiment, name: str, passes: Passes) -> pd.DataFrame:
    config, folders, phase = experiment.config, experiment.phase_folders(name), experiment.phase(name)
    rows = train_passes(experiment, passes, config, phase, folders)
    return table_of(rows).assign(phase=name, **provenance(config, experiment.inputs))


def _with_lambdas(experiment: Experiment, passes: Passes) -> Passes:
    """Plans that know their layer's lambda, where it is not the config's number."""
    coefficients = choose_lambda(experiment)
    if not is_chosen(experiment.config):
        return passes
    experiment.claim()  # what was chosen is an input now
    known = [[replace(plan, l1_coefficient=coefficients[plan.sae_layer]) for plan in plans] for plans in passes.groups]
    return passes._replace(groups=known)


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
    return _evaluate_in_parts(experiment, {"zero_shot": asked, "source": _of_source(experiment)})


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


def _evaluate_in_parts(experiment: Experiment, asked: dict[str, list[ScoredSae]]) -> pd.DataFrame:
    """Evaluate part by part, so that an interrupted evaluation loses one part; refresh the joined tables."""
    asked, parts = {part: ones for part, ones in asked.items() if ones}, EvaluationParts(experiment.folder)
    experiment.check()
    missing = {part: ones for part, ones in asked.items() if not parts.has(part)}
    if missing:
        experiment.load_inputs()  # all errors come before the folder is claimed
        _check_trained(experiment, [one for ones in missing.values() for one in ones])
        _check_lineage(experiment, (one.folder for ones in missing.values() for one in ones))
        for part in asked.keys() - missing:
            check_unchanged(asked[part], parts.scores / f"{part}.parquet")
    if asked and (missing or not parts.is_joined()):
        with writing(experiment):
            if missing:
                score_parts(experiment, missing, parts)
            parts.join()
    return parts.read(asked) if asked else pd.DataFrame()


def _check_trained(experiment: Experiment, asked: Iterable[ScoredSae]) -> None:
    for one in asked:
        if lacking := [name for name in (CONFIG, WEIGHTS) if not (one.folder / name).is_file()]:
            name = "scratch" if one.arm in ("scratch", "zero_shot") else "transfer"
            what = f": {lacking[0]}" if one.folder.is_dir() else ""
            remedy = _train_again(experiment, name) or "train the phase first, with `saelib.train_phase`"
            raise FileNotFoundError(f"{one.folder}{what} is not there: {remedy}")


def _check_lineage(experiment: Experiment, folders: Iterable[Path]) -> None:
    """Refuse SAEs of the run that were made from another model or text; those from elsewhere may be."""
    for folder in folders:
        if folder.is_relative_to(experiment.folder) and (folder / LINEAGE).is_file():
            check_inputs(f"{folder} was", read_json(folder / LINEAGE).get(INPUTS, {}), experiment.inputs)


def _train_again(experiment: Experiment, name: str) -> str | None:
    """How to have SAEs again that were lost after their phase was finished; None where it is not finished."""
    log, resume = _log(experiment, name), experiment.phase_folders(name).resume
    again = f"delete {log} and the folders {resume}*, and train the phase {name} again: it gives the same SAEs"
    return again if log.is_file() else None


def _check_sources(experiment: Experiment, plans: Sequence[SaePlan], folders: PhaseFolders) -> None:
    try:
        check_sources(plans, folders)
    except FileNotFoundError as error:
        if again := _train_again(experiment, "scratch"):
            raise FileNotFoundError(f"{error}: {again}") from None
        raise
