"""What the runs cost: floating-point operations and seconds, with and without the source's share.

In: a config, the model's sizes, and the wall times that training noted. Out: one row for each arm. A matrix product
of [a, b] and [b, c] counts 2abc; element-wise work, softmax and the optimiser are left out, being small beside it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from saelib.run.timing import read_intervals
from saelib.transfer.directions import DIRECTIONS

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

MATRIX_PRODUCTS_PER_STEP = 5  # two forward, three backward: the input needs no gradient


def sae_flops_per_token(d_model: int, d_sae: int) -> int:
    """Of one training step: five products of the token with a [d_model, d_sae] matrix."""
    return MATRIX_PRODUCTS_PER_STEP * 2 * d_model * d_sae


def language_model_flops_per_token(block_weights: int, blocks: int, d_model: int, context_length: int) -> int:
    """Of a forward pass through `blocks` blocks, without the unembedding.

    Args:
        block_weights: matrix weights in one block.
        context_length: tokens in a row; attention's two products see half of it on average.
    """
    return blocks * (2 * block_weights + 2 * 2 * d_model * context_length // 2)


def compute_ledger(experiment: "Experiment") -> pd.DataFrame:
    """FLOPs of each arm, summed over its SAEs, for each seed.

    The language-model pass is shared by all SAEs of a phase; `lm_flops_alone` is what one SAE of an arm would pay if it
    harvested alone up to its own layer, as the authors' scripts do, with one run for each SAE.

    Returns:
        arm, saes, tokens (each), sae_flops, lm_flops_shared, lm_flops_alone, source_flops (what it cost to train the
        scratch SAEs that the arm's transfers start from, each counted once, with their share of the shared pass),
        total_flops, total_with_source.
    """
    config, model = experiment.config, experiment.model
    per_sae_token = sae_flops_per_token(model.d_model, config.expansion_factor * model.d_model)

    def language_model(layer: int) -> int:
        return language_model_flops_per_token(model.block_weights, layer + 1, model.d_model, config.context_length)

    rows = []
    for name in ("scratch", "transfer"):
        plans = [plan for plan in experiment.plans(name) if plan.seed == config.seeds[0]]
        tokens = experiment.phase(name).tokens
        deepest = max(plan.sae_layer for plan in plans)
        for arm in dict.fromkeys(plan.arm for plan in plans):
            layers = [plan.sae_layer for plan in plans if plan.arm == arm]
            rows.append(
                {
                    "arm": arm,
                    "saes": len(layers),
                    "tokens": tokens,
                    "sae_flops": tokens * per_sae_token * len(layers),
                    "lm_flops_shared": tokens * language_model(deepest) * len(layers) // len(plans),
                    "lm_flops_alone": tokens * sum(language_model(layer) for layer in layers),
                }
            )
    table = pd.DataFrame(rows)
    table["total_flops"] = table["sae_flops"] + table["lm_flops_shared"]
    a_scratch_sae = table["total_flops"].iloc[0] // table["saes"].iloc[0]
    table["source_flops"] = a_scratch_sae * table["saes"].where(table["arm"].isin([*DIRECTIONS]), 0)
    return table.assign(total_with_source=table["total_flops"] + table["source_flops"])


def cost_table(ledger: pd.DataFrame) -> pd.DataFrame:
    """A ledger for readers: FLOPs in billions, and the whole as a multiple of scratch for the same number of SAEs.

    Args:
        ledger: what `compute_ledger` gave.

    Returns:
        arm, saes, tokens; SAEs, language model, total and with source (billions of FLOPs); total / scratch and
        with source / scratch.
    """
    scratch = ledger[ledger["arm"] == "scratch"].iloc[0]
    a_scratch_sae = scratch["total_flops"] / scratch["saes"]
    shown = {"SAEs": "sae_flops", "language model": "lm_flops_shared", "total": "total_flops",
             "with source": "total_with_source"}  # fmt: skip
    return ledger[["arm", "saes", "tokens"]].assign(
        **{name: ledger[column] / 1e9 for name, column in shown.items()},
        **{
            f"{name} / scratch": ledger[shown[name]] / ledger["saes"] / a_scratch_sae
            for name in ("total", "with source")
        },
    )


def wall_times(resume_points: Path) -> pd.DataFrame:
    """Seconds of each phase by the notes of its resume points, and SAE-tokens per second.

    Args:
        resume_points: the run's folder of that name.
    """
    intervals = read_intervals(resume_points)
    if not intervals:
        return pd.DataFrame(columns=["phase", "device", "seconds", "sae_tokens", "sae_tokens_per_second"])
    notes = pd.DataFrame(intervals)
    notes["phase"] = notes["phase"].str.replace(r"-\d+$", "", regex=True)  # one of several passes of a phase
    notes["sae_tokens"] = notes["saes"] * (notes["to_tokens"] - notes["from_tokens"])
    table = notes.groupby(["phase", "device"], as_index=False)[["seconds", "sae_tokens"]].sum()
    return table.assign(sae_tokens_per_second=table["sae_tokens"] / table["seconds"])
