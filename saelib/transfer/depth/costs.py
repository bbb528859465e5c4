"""What SAEs for all layers of a model cost by each way, in the counts of `transfer.ledger`; and at what quality.

In: an experiment, and what `compare` says of its study. Out: a row for each way and reach. The *reach* r is how many
layers away a source may be: one layer of every 2r + 1 has a scratch SAE, the others get theirs from it. Counted for one
replicate, each SAE trained once, with one decay, on the study's largest budget; all trainings of a way share a pass, up
to the deepest layer that they read. A search for λ, which every layer with a scratch SAE needs, is not counted.
Quality is that of the one source of the study, within reach, where it was measured as far away as the reach: that other
sources carry as far is an assumption.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from saelib.transfer.depth.groups import CARRIED
from saelib.transfer.ledger import language_model_flops_per_token, sae_flops_per_token

if TYPE_CHECKING:
    from saelib.transfer.experiment import Experiment

WHAT = ("way", "reach", "trained", "share")
QUALITY = ["distance", "ce_score", "l0", "gap_distance", "gap", "gap_low", "gap_high"]


def depth_costs(experiment: "Experiment", reach: int) -> pd.DataFrame:
    """FLOPs of each way to SAEs for all layers, with sources so far away at most.

    Args:
        reach: 1 at least.

    Returns:
        way (of `wording.WAYS`), reach (0 for "scratch"), trained (SAEs from scratch), lm_flops, sae_flops, map_flops,
        total_flops, share (of what one SAE a layer takes).
    """
    config, layers = experiment.config, range(experiment.model.n_layers)
    sources = [min(first + reach, layers[-1]) for first in layers[:: 2 * reach + 1]]
    others = sorted({*layers} - {*sources})
    each, of_sources = (_training(experiment, those, config.depth_ends[-1]) for those in (layers, sources))
    maps, short = _maps(experiment, len(others)), _training(experiment, others, config.depth_tuned_for)
    ways = {
        "scratch": (0, len(layers), *each, 0),
        "copy": (reach, len(sources), *of_sources, 0),
        "affine": (reach, len(sources), *of_sources, maps),
        "tuned": (reach, len(sources), *(one + other for one, other in zip(of_sources, short, strict=True)), maps),
        "group": (reach, len(sources), each[0], of_sources[1], 0),
    }
    names = ["reach", "trained", "lm_flops", "sae_flops", "map_flops"]
    table = pd.DataFrame.from_dict(ways, orient="index", columns=names).rename_axis("way").reset_index()
    total = table[["lm_flops", "sae_flops", "map_flops"]].sum(axis=1)
    return table.assign(total_flops=total, share=total / total.iloc[0])


def _training(experiment: "Experiment", layers: Sequence[int], tokens: int) -> tuple[int, int]:
    """FLOPs of the language model, up to the deepest layer, and of the SAEs, one for each layer."""
    config, model = experiment.settled, experiment.model
    if not layers:
        return 0, 0
    steps = tokens * sae_flops_per_token(model.d_model, experiment.d_sae) * len(layers)
    return config.tokens_read(tokens) * _pass(experiment, max(layers)), steps


def _maps(experiment: "Experiment", maps: int) -> int:
    """FLOPs of so many maps: one pass over the tokens of the fit, and the covariance of both layers for each."""
    config, model = experiment.settled, experiment.model
    read = config.rows_of(config.map_tokens) * config.context_length * _pass(experiment, model.n_layers - 1)
    return read + maps * config.map_tokens * 2 * (2 * model.d_model) ** 2


def _pass(experiment: "Experiment", deepest: int) -> int:
    """FLOPs of the language model for a token, up to a layer."""
    model, context = experiment.model, experiment.config.context_length
    return language_model_flops_per_token(model.active_block_weights, deepest + 1, model.d_model, context)


def cost_and_quality(costs: pd.DataFrame, curves: pd.DataFrame, gaps: pd.DataFrame, budget: int) -> pd.DataFrame:
    """Costs, with the worst scores at the farthest layers within reach beside them, for readers.

    Args:
        costs: `depth_costs`, of one reach or several.
        curves: `compare.distance_curves` of "ce_score" and "l0".
        gaps: `compare.equal_l0` of "ce_score".
        budget: of the source.

    Returns:
        way, reach, trained, share; distance, ce_score and l0 of the layer with the worst score within reach;
        gap_distance, gap (CE-loss score minus that of scratch at the same L0), gap_low and gap_high of the layer where
        that is the least. A way has a row for each reach; NaN where nothing was measured as far away as the reach, so
        that the worst layer may be one that was not, and where one SAE is for a group of another reach.
    """
    rows = []
    for line in costs.drop_duplicates(["way", "reach"]).to_dict("records"):
        found = {name: line[name] for name in WHAT}
        if line["way"] in CARRIED:
            found |= _worst(curves, gaps, line["way"], line["reach"], budget)
        rows.append(found)
    return pd.DataFrame(rows).reindex(columns=[*WHAT, *QUALITY])


def _worst(curves: pd.DataFrame, gaps: pd.DataFrame, way: str, reach: int, budget: int) -> dict[str, float]:
    """The layer within reach with the lowest CE-loss score, and that with the lowest difference at equal L0."""

    def within(table: pd.DataFrame, metric: str) -> pd.DataFrame:
        own = (table["arm"] == way) & (table["budget"] == budget) & (table["metric"] == metric)
        there = table[own & table["distance"].abs().between(1, reach) & table["mean"].notna()]
        return there if there["distance"].abs().max() == reach else there.iloc[:0]

    scores, compared = within(curves, "ce_score"), within(gaps, "ce_score")
    found: dict[str, float] = {}
    if way == "group" and len(scores) and curves.loc[curves["arm"] == way, "distance"].abs().max() != reach:
        return found  # it was trained for a larger group
    if len(scores):
        worst = scores.loc[scores["mean"].idxmin()]
        l0 = within(curves, "l0").set_index("act_layer")["mean"]
        found |= {"distance": worst["distance"], "ce_score": worst["mean"], "l0": l0[worst["act_layer"]]}
    if len(compared):
        gap = compared.loc[compared["mean"].idxmin()]
        found |= {"gap_distance": gap["distance"], "gap": gap["mean"]}
        found |= {"gap_low": gap["low"], "gap_high": gap["high"]}
    return found
