"""What the runs cost: floating-point operations and seconds, with and without the source's share; when they pay off.

In: a config, the model's sizes, the maps that were fitted, and the wall times that training noted. Out: one row for
each arm. A matrix product of [a, b] and [b, c] counts 2abc; element-wise work, softmax and the optimiser are left out,
being small beside it.
"""

import math
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.run.timing import read_intervals
from saelib.sae.training.schedule import trained_tokens
from saelib.transfer.directions import transfer_arms
from saelib.transfer.targets import TARGET_NAMES

if TYPE_CHECKING:
    from saelib.sae.training.plan import SaePlan
    from saelib.transfer.experiment import Experiment

MATRIX_PRODUCTS_PER_STEP = 5  # two forward, three backward: the input needs no gradient


def sae_flops_per_token(d_model: int, d_sae: int) -> int:
    """Of one training step: five products of the token with a [d_model, d_sae] matrix."""
    return MATRIX_PRODUCTS_PER_STEP * 2 * d_model * d_sae


def language_model_flops_per_token(block_weights: int, blocks: int, d_model: int, context_length: int) -> int:
    """Of a forward pass through `blocks` blocks, without the unembedding.

    Args:
        block_weights: matrix weights in one block that a token is multiplied with.
        context_length: tokens in a row; attention's two products see half of it on average.
    """
    return blocks * (2 * block_weights + 2 * 2 * d_model * context_length // 2)


def compute_ledger(experiment: "Experiment", maps: pd.DataFrame | None = None) -> pd.DataFrame:
    """FLOPs of each arm, summed over its SAEs, for one replicate.

    Whoever wants one SAE trains it once, with one decay: that is what all columns but two count. A run that compares
    budgets decays a branch for each of them too: `tokens_for_all_budgets`, `flops_for_all_budgets`. Branches read the
    batches of their trunk, so the language model reads nothing for them.

    The language-model pass is shared by all SAEs of a phase; `lm_flops_alone` is what one SAE of an arm would pay if it
    harvested alone up to its own layer, as the authors' scripts do, with one run for each SAE.

    Args:
        maps: what `fit_maps` gave; None for a run without maps.

    Returns:
        arm, saes, tokens (of one finished SAE), tokens_for_all_budgets, sae_flops, lm_flops_shared, lm_flops_alone,
        map_tokens (of one map), map_flops (each map fitted alone), total_flops (shared pass), total_flops_alone,
        source_flops (what it cost to train the scratch SAEs that the arm's transfers start from, each counted once for
        each of them, with their share of the shared pass; 0 for a source from elsewhere, which was there before the
        run), total_with_source, flops_for_all_budgets.
    """
    config, model = experiment.config, experiment.model
    per_sae_token = sae_flops_per_token(model.d_model, experiment.d_sae)

    def language_model(layer: int) -> int:
        weights, context = model.active_block_weights, config.context_length
        return language_model_flops_per_token(weights, layer + 1, model.d_model, context)

    rows = []
    for name in ("scratch", "transfer"):
        plans = [plan for plan in experiment.plans(name) if (plan.seed, plan.data_seed) == config.replicates[0]]
        phase = experiment.phase(name)
        read = experiment.settled.tokens_read(phase.tokens)
        trained, deepest = trained_tokens(phase, config), max(plan.sae_layer for plan in plans)
        for arm in dict.fromkeys(plan.arm for plan in plans):
            members = [plan for plan in plans if plan.arm == arm]
            saes = len(members)
            rows.append(
                {
                    "arm": arm,
                    "saes": saes,
                    "tokens": phase.tokens,
                    "tokens_for_all_budgets": trained,
                    "sae_flops": phase.tokens * per_sae_token * saes,
                    "lm_flops_shared": read * language_model(deepest) * saes // len(plans),
                    "lm_flops_alone": read * sum(language_model(plan.sae_layer) for plan in members),
                    **_map_costs(members, maps),
                    "source_flops": 0,
                    "branch_flops": (trained - phase.tokens) * per_sae_token * saes,
                }
            )
    table = pd.DataFrame(rows)
    table["total_flops"] = table[["sae_flops", "lm_flops_shared", "map_flops"]].sum(axis=1)
    table["total_flops_alone"] = table[["sae_flops", "lm_flops_alone", "map_flops"]].sum(axis=1)
    a_scratch_sae = table["total_flops"].iloc[0] // table["saes"].iloc[0]
    from_scratch = transfer_arms(table) if config.source is None else []
    table["source_flops"] = a_scratch_sae * table["saes"].where(table["arm"].isin(from_scratch), 0)
    table["total_with_source"] = table["total_flops"] + table["source_flops"]
    table["flops_for_all_budgets"] = table["total_flops"] + table.pop("branch_flops")
    return table


def _map_costs(plans: "list[SaePlan]", maps: pd.DataFrame | None) -> dict[str, int]:
    """Tokens of one map and FLOPs of all that an arm's plans start by.

    Raises:
        ValueError: the table of maps lacks one.
    """
    mapped = [plan for plan in plans if plan.start not in ("random", "copy")]
    if not mapped:
        return {"map_tokens": 0, "map_flops": 0}
    keys = ["start", "source_layer", "act_layer", "data_seed"]
    wanted = [(plan.start, plan.source_layer, plan.sae_layer, plan.data_seed) for plan in mapped]
    table = pd.DataFrame(columns=[*keys, "tokens", "flops"]) if maps is None else maps
    own = table.set_index(keys)[["tokens", "flops"]].reindex(wanted)
    if own.isna().to_numpy().any():
        raise ValueError(f"the table of maps has not all of {wanted}; pass what `maps.parquet` has")
    return {"map_tokens": int(own["tokens"].iloc[0]), "map_flops": int(own["flops"].sum())}


def break_even(ledger: pd.DataFrame, savings: pd.DataFrame) -> pd.DataFrame:
    r"""How many transfers from one finished source it takes to pay for that source too.

    A finished scratch SAE costs S. A transfer that is level with one costs (1 - saving) S and its map M. Had the source
    been wanted anyway, each transfer would be worth S - (1 - saving) S - M = saving S - M. If it was trained for
    nothing else, n transfers and the source cost no more than n scratch SAEs from n = S / (saving S - M) on; a source
    from elsewhere is counted as if it had cost as much. Both share the pass with as many others, or neither does: for
    copies it does not matter who pays it.

    Args:
        ledger: what `compute_ledger` gave.
        savings: what `savings.savings` gave; the mean saving of an arm counts, with its bounds.

    Returns:
        arm, target; language_model: who pays the pass, "shared" by all SAEs of a phase or "alone" by each SAE;
        scratch_flops (S, of one SAE), transfer_flops (of one, until level, with its map); transfers (the fewest that
        pay, infinity where none do), transfers_low and transfers_high at the upper and the lower bound of the saving.
    """
    costs = ledger.set_index("arm")
    rows = []
    for line in savings.to_dict("records"):
        for who, column in (("shared", "total_flops"), ("alone", "total_flops_alone")):
            scratch = costs.loc["scratch", column] / costs.loc["scratch", "saes"]
            a_map = costs.loc[line["arm"], "map_flops"] / costs.loc[line["arm"], "saes"]
            worth = {name: line[name] * scratch - a_map for name in ("mean", "low", "high")}
            needed = {name: _fewest(scratch, gain) for name, gain in worth.items()}
            rows.append({"arm": line["arm"], "target": line["target"], "language_model": who, "scratch_flops": scratch,
                         "transfer_flops": scratch - worth["mean"], "transfers": needed["mean"],
                         "transfers_low": needed["high"], "transfers_high": needed["low"]})  # fmt: skip
    return pd.DataFrame(rows)


def _fewest(cost: float, gain: float) -> float:
    """The fewest gains that cover a cost; NaN where the gain is not known."""
    if math.isnan(gain):
        return math.nan
    return float(math.ceil(cost / gain)) if gain > 0 else math.inf


def break_even_table(even: pd.DataFrame) -> pd.DataFrame:
    """What `break_even` gave for readers: a row for each arm and payer of the language model's pass.

    Returns:
        arm, language_model, and by the name of each target the number of transfers with its bounds, or "never".
    """
    keys = ["arm", "language_model"]
    texts = [_transfers(row) for row in even.to_dict("records")]
    named = even.assign(text=texts, target=even["target"].map(TARGET_NAMES))
    wide = named.pivot(index=keys, columns="target", values="text")
    order = list(even[keys].drop_duplicates().itertuples(index=False, name=None))
    return wide.loc[order, [name for name in TARGET_NAMES.values() if name in wide]].reset_index()


def _transfers(row: Mapping[Hashable, Any]) -> str:
    """A whole number of transfers, with bounds where there are any, or that none is enough."""
    one, *bounds = (f"{row[name]:.0f}" if row[name] < math.inf else "never"
                    for name in ("transfers", "transfers_low", "transfers_high"))  # fmt: skip
    return one if math.isnan(row["transfers_low"]) else f"{one} ({bounds[0]} to {bounds[1]})"


def cost_table(ledger: pd.DataFrame) -> pd.DataFrame:
    """A ledger for readers: FLOPs in billions, and the whole as a multiple of scratch for the same number of SAEs.

    Of SAEs that are trained once; what the comparison of budgets took is the last column.

    Args:
        ledger: what `compute_ledger` gave.

    Returns:
        arm, saes, tokens; SAEs, language model, maps, total and with source (billions of FLOPs); total / scratch and
        with source / scratch; all budgets (billions of FLOPs).
    """
    scratch = ledger[ledger["arm"] == "scratch"].iloc[0]
    a_scratch_sae = scratch["total_flops"] / scratch["saes"]
    shown = {"SAEs": "sae_flops", "language model": "lm_flops_shared", "maps": "map_flops", "total": "total_flops",
             "with source": "total_with_source"}  # fmt: skip
    return ledger[["arm", "saes", "tokens"]].assign(
        **{name: ledger[column] / 1e9 for name, column in shown.items()},
        **{
            f"{name} / scratch": ledger[shown[name]] / ledger["saes"] / a_scratch_sae
            for name in ("total", "with source")
        },
        **{"all budgets": ledger["flops_for_all_budgets"] / 1e9},
    )


def wall_times(resume_points: Path) -> pd.DataFrame:
    """Seconds of each phase by the notes of its resume points, and SAE-tokens per second, those of branches too.

    Args:
        resume_points: the run's folder of that name.
    """
    intervals = read_intervals(resume_points)
    if not intervals:
        return pd.DataFrame(columns=["phase", "device", "seconds", "sae_tokens", "sae_tokens_per_second"])
    notes = pd.DataFrame(intervals)
    notes["phase"] = notes["phase"].str.replace(r"-\d+$", "", regex=True)  # one of several passes of a phase
    table = notes.groupby(["phase", "device"], as_index=False)[["seconds", "sae_tokens"]].sum()
    return table.assign(sae_tokens_per_second=table["sae_tokens"] / table["seconds"])
