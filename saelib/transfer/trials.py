"""Find each layer's lambda for a target L0, by short trainings side by side.

In: an experiment that has no lambdas yet. Out: its `lambda.json`, and `lambda_trials.parquet`, one row for each
training. A round trains SAEs of every layer that is not there yet in one pass over the text, at the lambdas that
`lambda_search` asks for. Sparsity still grows after a short training; over the logarithm of tokens nearly on a line,
so that two budgets of each trial say what the run's own will bring. A round that is finished is kept, an interrupted
one goes on where it stopped. A trial that diverges is passed over, and its row says at which step.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.results.provenance import provenance, write_table
from saelib.run.lock import writing
from saelib.run.reading import DamagedFileError, read_table
from saelib.sae.config import TrainingPhase
from saelib.sae.training.divergence import STEP
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.schedule import share_of_as_many
from saelib.transfer.lambda_search import ROUNDS, asked_lambdas, nearest_lambdas
from saelib.transfer.lambdas import (
    NORM_ROWS,
    SCALE,
    is_chosen,
    lambda_path,
    norm_units,
    rounded,
    write_lambdas,
    write_scales,
)
from saelib.transfer.passes import note_passes, plan_passes, train_passes
from saelib.transfer.trial_scores import score_trials

if TYPE_CHECKING:
    from saelib.transfer.config import ExperimentConfig
    from saelib.transfer.experiment import Experiment

TRIAL_SHARE = 1 / 4  # of scratch's tokens
AGAIN = "delete it, and the trials are made again"


def choose_lambda(experiment: "Experiment") -> dict[int, float]:
    """The lambda of each layer: the config's, or by its norm, or found by trials; kept under the run once chosen.

    So is what the layer's residual stream is divided by in training, where that is to be measured.

    Raises:
        ValueError: no trial of some layer comes near `target_l0`; names what came nearest. Or a layer's residual stream
            is 0 or not finite.
        FloatingPointError: every trial of some layer diverges.
        RunInUseError: another process is at work on the run.
        FileExistsError: the folder holds a run with another config, or other lambdas or scales.
    """
    config = experiment.config
    scale_path, path = SCALE.path(experiment.folder), lambda_path(experiment.folder)
    needs_scales = config.activation_scale == "norm" and not scale_path.is_file()
    if is_chosen(config) and (needs_scales or not path.is_file()):
        experiment.load_inputs()
        _check_target(experiment)
        with writing(experiment):
            rows = experiment.training_rows(config.data_seeds[0]).take(0, NORM_ROWS)
            units = norm_units(experiment.model, rows, experiment.layers, experiment.settled)
            if needs_scales:
                write_scales(scale_path, {layer: rounded(unit) for layer, unit in units.items()})
            if not path.is_file():
                write_lambdas(path, units, _found(experiment, units))
    return experiment.l1_coefficients


def _found(experiment: "Experiment", units: Mapping[int, float]) -> dict[int, float]:
    """Lambdas in the model's own units: of a stream divided by s, s times the config's number."""
    config = experiment.config
    if config.target_l0 is not None:
        return _search(experiment, units, config.target_l0)
    factors = units if config.l1_unit == "norm" else experiment.activation_scales
    return {layer: rounded(config.l1_coefficient * factors[layer]) for layer in experiment.layers}


def _check_target(experiment: "Experiment") -> None:
    d_sae, target = experiment.d_sae, experiment.config.target_l0
    if target is not None and target > d_sae / 2:
        raise ValueError(f"target_l0={target:g}: of {d_sae} features no more than half may be active; choose fewer")


def read_trials(experiment: "Experiment") -> pd.DataFrame:
    """The trials of a run, as far as they are made; empty where there are none.

    Returns:
        round, layer, l1_coefficient, tokens; l0_half (after half of the tokens), l0, l0_expected (at the end of
        scratch); `trial_scores.METRICS` on `TRIAL_ROWS` training rows; is_chosen; provenance. Where a trial diverged
        also diverged_at_step, and its numbers are NaN; no such column where none did.

    Raises:
        DamagedFileError: the table cannot be read, or is of another config.
    """
    trials = _kept(experiment)
    known = experiment.l1_coefficients if lambda_path(experiment.folder).is_file() else {}
    return trials.assign(is_chosen=trials["l1_coefficient"] == trials["layer"].map(known))


def _table(experiment: "Experiment") -> Path:
    return experiment.folder / "lambda_trials.parquet"


def _kept(experiment: "Experiment") -> pd.DataFrame:
    """The trials on disk; those of another config would choose its lambdas."""
    path = _table(experiment)
    if not path.is_file():
        return pd.DataFrame(columns=["round", "layer", "l1_coefficient", "tokens", "l0", "l0_expected"])
    trials = read_table(path, remedy=AGAIN)
    if set(trials.get("config_sha256", ())) != {experiment.config.sha256()}:
        raise DamagedFileError(f"{path} has trials of another config; {AGAIN}")
    return trials


def _search(experiment: "Experiment", units: Mapping[int, float], target: float) -> dict[int, float]:
    path = _table(experiment)
    trials = _kept(experiment)
    for number in range(ROUNDS):
        if number in set(trials["round"]):
            continue
        asked = asked_lambdas(trials, units, target)
        if not asked:
            break
        made = _train_round(experiment, number, asked)
        trials = pd.concat([trials, made], ignore_index=True) if len(trials) else made
        write_table(trials, path)
    shutil.rmtree(_folder(experiment), ignore_errors=True)  # what they scored is in the table
    return nearest_lambdas(trials, units, target)


def _folder(experiment: "Experiment") -> Path:
    return experiment.folder / "lambda_trials"


def trial_config(config: "ExperimentConfig") -> "ExperimentConfig":
    """What trials train by: scratch's, shorter, with a decay after half of the tokens and at the end.

    Half of the tokens is a budget of its own where it holds a batch at least. lambda grows over as many steps as in
    scratch, where so many come before the first decay.
    """
    chunks = max(1, round(config.scratch.tokens * TRIAL_SHARE / config.chunk_tokens))
    tokens = config.trial_tokens or min(chunks * config.chunk_tokens, config.scratch.tokens)
    half = tokens // 2 // config.batch_tokens * config.batch_tokens
    checkpoints = (0, half, tokens) if half else (0, tokens)
    phase = TrainingPhase(checkpoints=checkpoints, learning_rate=config.scratch.learning_rate)
    stable = (half or tokens) * (1 - config.learning_rate_decay_share) / tokens
    of_run, own = (count // config.batch_tokens for count in (config.scratch.tokens, tokens))
    return config.replace(
        schedule="wsd",
        scratch=phase,
        transfer=phase,
        l1_warm_up_share=min(share_of_as_many(config.l1_warm_up_share, of_run, own), stable),
        target_l0=None,
        trial_tokens=None,
        source=None,
        depth_source=None,
    )


def _train_round(experiment: "Experiment", number: int, asked: Mapping[int, Sequence[float]]) -> pd.DataFrame:
    config = trial_config(experiment.settled)
    base, (seed, data_seed) = _folder(experiment), config.replicates[0]
    folders = PhaseFolders(base / "saes", base / f"round-{number}")
    plans = [
        SaePlan(f"round-{number}-{place}", layer, seed, data_seed, config.scratch.learning_rate, l1_coefficient=value)
        for layer, values in asked.items()
        for place, value in enumerate(values)
    ]
    plans = experiment.with_scales(plans)
    passes = plan_passes(config, experiment.model, plans, config.scratch, folders.resume)
    note_passes(passes, folders.resume)
    train_passes(experiment, passes, config, config.scratch, folders)
    made = pd.DataFrame(score_trials(experiment, plans, config, folders))
    made = made.astype({STEP: "Int64"} if STEP in made else {})
    return made.assign(round=number, **provenance(experiment.config, experiment.inputs))
