"""How the short trainings of a search for lambda are scored: by the L0 that each will have at the end of scratch.

In: trials that were trained. Out: a row for each, scored on training rows; one that diverged has its step, and no
numbers.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.sae.evaluation import evaluate
from saelib.sae.folder import load_sae
from saelib.sae.scores import Scores
from saelib.sae.training.divergence import STEP, diverged_at
from saelib.sae.training.plan import PhaseFolders, SaePlan

if TYPE_CHECKING:
    from saelib.transfer.config import ExperimentConfig
    from saelib.transfer.experiment import Experiment

TRIAL_ROWS = 32
"""Training rows on which trials are scored: held-out ones choose nothing."""
METRICS = ("ce_score", "mse", "explained_variance", "dead_latents")
NUMBERS = ("l0_half", "l0", "l0_expected", *METRICS)


def score_trials(
    experiment: "Experiment", plans: Sequence[SaePlan], config: "ExperimentConfig", folders: PhaseFolders
) -> list[dict[str, Any]]:
    """A row for each trial, scored at its budgets; without numbers where it diverged before the last.

    Args:
        config: by which they were trained (`trials.trial_config`).
        folders: where they lie.
    """
    budgets = config.scratch.checkpoints[1:]
    folders_of = {
        plan: [folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens) for tokens in budgets] for plan in plans
    }
    diverged = {plan: diverged_at(mine[-1]) for plan, mine in folders_of.items()}
    sound = {plan: mine for plan, mine in folders_of.items() if diverged[plan] is None}
    scores = _scores(experiment, sound, config, folders)
    rows = []
    for plan in plans:
        row: dict[str, Any] = {"layer": plan.sae_layer, "l1_coefficient": plan.l1_coefficient, "tokens": budgets[-1]}
        if plan in scores:
            rows.append(row | _numbers(scores[plan], budgets, experiment.config.scratch.tokens))
        else:
            rows.append(row | dict.fromkeys(NUMBERS, math.nan) | {STEP: diverged[plan]})
    return rows


def _scores(
    experiment: "Experiment", saes: dict[SaePlan, list[Path]], config: "ExperimentConfig", folders: PhaseFolders
) -> dict[SaePlan, list[Scores]]:
    """Of each trial, budget by budget."""
    rows = experiment.training_rows(config.data_seeds[0]).take(0, TRIAL_ROWS)
    loaded = [
        (load_sae(folder, experiment.model.device, folders.expected(folder)), plan.sae_layer)
        for plan, mine in saes.items()
        for folder in mine
    ]
    scores = iter(
        evaluate(loaded, experiment.model, rows, config.evaluation_batch_rows, config.precision, config.skipped)
    )
    return {plan: [next(scores) for _ in mine] for plan, mine in saes.items()}


def _numbers(at: Sequence[Scores], budgets: Sequence[int], tokens: int) -> dict[str, float]:
    """L0 at both budgets and, over the logarithm of tokens, at the end of scratch; `METRICS` at the last."""
    first, last = at[0].l0, at[-1].l0
    doublings, ahead = math.log2(budgets[-1] / budgets[0]), math.log2(tokens / budgets[-1])
    growth = (last / first) ** (1 / doublings) if doublings and first > 0 else 1.0
    found = {"l0_half": first, "l0": last, "l0_expected": last * growth**ahead}
    return found | {name: getattr(at[-1], name) for name in METRICS}
