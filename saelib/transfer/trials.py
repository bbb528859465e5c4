"""Find each layer's lambda for a target L0, by short trainings side by side.

In: an experiment that has no lambdas yet. Out: its `lambda.json`, and `lambda_trials.parquet`, one row for each
training. A round trains SAEs of every layer that is not there yet in one pass over the text: first at `FIRST` norm
units, then where a straight line through the two nearest trials, log L0 over log lambda, meets the target. Sparsity
still grows after a short training; over the logarithm of tokens nearly on a line, so that two budgets of each trial
say what the run's own will bring. A round that is finished is kept, an interrupted one goes on where it stopped. A
trial that diverges is passed over, and its row says at which step.
"""

import math
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
from saelib.transfer.lambdas import (
    NORM_ROWS,
    is_chosen,
    lambda_path,
    norm_units,
    rounded,
    write_lambdas,
)
from saelib.transfer.passes import note_passes, plan_passes, train_passes
from saelib.transfer.trial_scores import score_trials

if TYPE_CHECKING:
    from saelib.transfer.config import ExperimentConfig
    from saelib.transfer.experiment import Experiment

FIRST = (0.25, 1.0, 4.0)
"""Lambdas of the first round, in norm units."""
ROUNDS = 4
TOLERANCE = 0.1
"""A trial within this share of the target is near enough."""
FARTHEST = 8.0  # times the last lambda, where the target lies outside of what was tried
TRIAL_SHARE = 1 / 4  # of scratch's tokens
AGAIN = "delete it, and the trials are made again"


def choose_lambda(experiment: "Experiment") -> dict[int, float]:
    """The lambda of each layer: the config's, or by its norm, or found by trials; kept under the run once chosen.

    Raises:
        ValueError: no trial of some layer comes near `target_l0`; names what came nearest. Or a layer's residual stream
            is 0 or not finite.
        FloatingPointError: every trial of some layer diverges.
        RunInUseError: another process is at work on the run.
        FileExistsError: the folder holds a run with another config, or other lambdas.
    """
    config, path = experiment.config, lambda_path(experiment.folder)
    if is_chosen(config) and not path.is_file():
        experiment.load_inputs()
        _check_target(experiment)
        with writing(experiment):
            rows = experiment.training_rows(config.data_seeds[0]).take(0, NORM_ROWS)
            units = norm_units(experiment.model, rows, experiment.layers, config)
            if config.target_l0 is None:
                found = {layer: rounded(config.l1_coefficient * unit) for layer, unit in units.items()}
            else:
                found = _search(experiment, units, config.target_l0)
            write_lambdas(path, units, found)
    return experiment.l1_coefficients


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
        asked = _asked(trials, units, target)
        if not asked:
            break
        made = _train_round(experiment, number, asked)
        trials = pd.concat([trials, made], ignore_index=True) if len(trials) else made
        write_table(trials, path)
    shutil.rmtree(_folder(experiment), ignore_errors=True)  # what they scored is in the table
    return _nearest(trials, units, target)


def _folder(experiment: "Experiment") -> Path:
    return experiment.folder / "lambda_trials"


def _asked(trials: pd.DataFrame, units: Mapping[int, float], target: float) -> dict[int, list[float]]:
    """The lambdas of the next round, by layer; none of a layer with a trial that is near enough."""
    if trials.empty:
        return {layer: [rounded(factor * unit) for factor in FIRST] for layer, unit in units.items()}
    asked = {}
    for layer in units:
        mine = _sound(trials, layer)
        if (_distance(mine["l0_expected"], target) > math.log1p(TOLERANCE)).all():
            asked[layer] = [rounded(next_lambda(mine["l1_coefficient"].tolist(), mine["l0_expected"].tolist(), target))]
    return asked


def _sound(trials: pd.DataFrame, layer: int) -> pd.DataFrame:
    """The trials of a layer that did not diverge.

    Raises:
        FloatingPointError: all did.
    """
    mine = trials[trials["layer"] == layer]
    sound = mine[mine["l0_expected"].notna()]
    if sound.empty:
        raise FloatingPointError(
            f"each of the {len(mine)} trials of layer {layer} diverged, at lambda "
            f"{', '.join(f'{value:g}' for value in mine['l1_coefficient'])}: in a run of another name, lower "
            "scratch.learning_rate"
        )
    return sound


def _distance(l0: pd.Series, target: float) -> pd.Series:
    return l0.map(lambda value: abs(math.log(value / target)) if value > 0 else math.inf)


def next_lambda(coefficients: Sequence[float], l0: Sequence[float], target: float) -> float:
    """Where a line through two trials, log L0 over log lambda, meets the target.

    The two are those on either side of it, or the two outermost towards it, from which it goes on `FARTHEST` times at
    most. Where neither has more active features at the lower lambda, or there is one alone, a step that far is taken.
    """
    known = sorted((math.log(one), math.log(max(other, 1e-3))) for one, other in zip(coefficients, l0, strict=True))
    goal, most = math.log(target), math.log(FARTHEST)
    above = [point for point in known if point[1] > goal]  # too dense: lambda was too small
    if not above:
        (x, y), (x2, y2) = known[0], known[min(1, len(known) - 1)]
        low, high = x - most, x
    elif len(above) == len(known):
        (x, y), (x2, y2) = known[max(0, len(known) - 2)], known[-1]
        low, high = x2, x2 + most
    else:
        (x, y), (x2, y2) = above[-1], min(point for point in known if point[1] <= goal)
        low, high = min(x, x2), max(x, x2)
    slope = (y2 - y) / (x2 - x) if x2 != x else 0.0
    wanted = x + (goal - y) / slope if slope < 0 else (low if not above else high)
    return math.exp(min(max(wanted, low), high))


def _nearest(trials: pd.DataFrame, units: Mapping[int, float], target: float) -> dict[int, float]:
    found, far = {}, []
    for layer in units:
        mine = _sound(trials, layer)
        distance = _distance(mine["l0_expected"], target)
        best = mine.loc[distance.idxmin()]
        found[layer] = float(best["l1_coefficient"])
        if distance.min() > math.log1p(TOLERANCE):
            far.append(f"layer {layer}: L0 {best['l0_expected']:.3g} at lambda {best['l1_coefficient']:g}")
    if far:
        raise ValueError(
            f"target_l0={target:g} was not reached within {TOLERANCE:.0%} by {ROUNDS} rounds of trials of "
            f"{trials['tokens'].iloc[0]:,} tokens; nearest: {'; '.join(far)}. In a run of another name, give more "
            "trial_tokens, another target_l0, or l1_coefficient (with l1_unit='norm')"
        )
    return found


def trial_config(config: "ExperimentConfig") -> "ExperimentConfig":
    """What trials train by: scratch's, shorter, with a decay after half of the tokens and at the end.

    Half of the tokens is a budget of its own where it holds a batch at least.
    """
    chunks = max(1, round(config.scratch.tokens * TRIAL_SHARE / config.chunk_tokens))
    tokens = config.trial_tokens or min(chunks * config.chunk_tokens, config.scratch.tokens)
    half = tokens // 2 // config.batch_tokens * config.batch_tokens
    checkpoints = (0, half, tokens) if half else (0, tokens)
    phase = TrainingPhase(checkpoints=checkpoints, learning_rate=config.scratch.learning_rate)
    stable = (half or tokens) * (1 - config.learning_rate_decay_share) / tokens
    return config.replace(
        schedule="wsd",
        scratch=phase,
        transfer=phase,
        l1_warm_up_share=min(config.l1_warm_up_share, stable),
        target_l0=None,
        trial_tokens=None,
        source=None,
    )


def _train_round(experiment: "Experiment", number: int, asked: Mapping[int, Sequence[float]]) -> pd.DataFrame:
    config = trial_config(experiment.config)
    base, (seed, data_seed) = _folder(experiment), config.replicates[0]
    folders = PhaseFolders(base / "saes", base / f"round-{number}")
    plans = [
        SaePlan(f"round-{number}-{place}", layer, seed, data_seed, config.scratch.learning_rate, l1_coefficient=value)
        for layer, values in asked.items()
        for place, value in enumerate(values)
    ]
    passes = plan_passes(config, experiment.model, plans, config.scratch, folders.resume)
    note_passes(passes, folders.resume)
    train_passes(experiment, passes, config, config.scratch, folders)
    made = pd.DataFrame(score_trials(experiment, plans, config, folders))
    made = made.astype({STEP: "Int64"} if STEP in made else {})
    return made.assign(round=number, **provenance(experiment.config, experiment.inputs))
