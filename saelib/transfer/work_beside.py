"""What a run computes beside its two phases, counted before any of it is there: trials for lambda, and the study depth.

In: an experiment whose model is known by its sizes at least. Out: how much there is to train, to score and to keep.
"""

from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from saelib.sae.training.schedule import trained_tokens
from saelib.transfer.depth.plans import TRAININGS, asked_by_part, training, training_config, training_plans
from saelib.transfer.experiment import Experiment
from saelib.transfer.lambda_search import FIRST, ROUNDS
from saelib.transfer.trial_scores import TRIAL_ROWS
from saelib.transfer.trials import trial_config


class Work(NamedTuple):
    """Of one part of a run."""

    name: str
    sae_tokens: int
    """Tokens on which steps are taken, of all its SAEs together."""
    row_scores: int
    """Rows that are scored, of all its SAEs together."""
    kept_saes: int
    """Folders that it leaves on disk."""


def work_beside(experiment: Experiment) -> list[Work]:
    """What a run's config asks for beside its phases; trials at most, in as many rounds as there may be."""
    config = experiment.config
    trials = [] if config.target_l0 is None else [_trials(experiment)]
    return trials + ([] if config.depth_source is None else [_depth(experiment)])


def _trials(experiment: Experiment) -> Work:
    trial, saes = trial_config(experiment.settled), len(experiment.layers) * (len(FIRST) + ROUNDS - 1)
    scored = saes * TRIAL_ROWS * (len(trial.scratch.checkpoints) - 1)
    return Work("trials", saes * trained_tokens(trial.scratch, trial), scored, 0)


def _depth(experiment: Experiment) -> Work:
    config, any_number = experiment.config, dict.fromkeys(range(experiment.model.n_layers), 1.0)
    numbers = cast("Any", SimpleNamespace(l1_coefficients=any_number, activation_scales=any_number))
    tokens = kept = 0
    for name in TRAININGS:
        saes, phase = len(training_plans(experiment, name, numbers)), training(experiment, name)
        tokens += saes * trained_tokens(phase, training_config(experiment, name))
        kept += saes * len(phase.checkpoints)
    scored = sum(map(len, asked_by_part(experiment).values())) * (config.depth_rows or config.held_out_rows)
    return Work("distance", tokens, scored, kept)
