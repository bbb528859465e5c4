"""What the tables of circuits say: means over layers and prompts, with intervals, beside scratch of the same layers.

In: the tables of `study`. Out: tidy tables with 95% intervals by the bootstrap over prompts, and over replicates where
there are several. Layers are fixed: a mean over them says nothing of other layers. Forward transfers lack the first
layer and backward ones the last, so each direction stands beside scratch of its own layers alone; and what is compared
is of the same prompts, drawn together.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.interpret.circuits.patching import agreement
from saelib.results.bootstrap import RESAMPLES, Weights, crossed_bootstrap
from saelib.transfer.directions import DIRECTIONS, parse_arm

ZERO_SHOT, EQUAL = "zero_shot", "scratch_equal"
MEANS = ["mean", "low", "high", "count"]
MEASURES = ("faithfulness", "completeness")
SUMS = ["circuit", "empty", "model"]  # what blocks of prompts add to means
CURVE = ["direction", "task", "measure", "choice", "share", "arm"]


def attribution_curves(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Mean score of each arm at each checkpoint, and of scratch at the same layers.

    Args:
        table: `attribution.parquet`.

    Returns:
        direction, arm, tokens, mean, low, high, count (layers times replicates).
    """
    found = []
    for direction in _directions(table):
        curves = _means(_beside(table, direction), ["arm", "tokens"], seed, resamples)
        found.append(curves.assign(direction=direction))
    return _stacked(found, ["direction", "arm", "tokens", *MEANS])


def attribution_leads(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Mean score of each transfer minus that of scratch after as many tokens, prompt by prompt; above 0: higher.

    Returns:
        direction, arm, tokens, mean, low, high, count; token counts that both have.
    """
    found = []
    for direction in _directions(table):
        values, keys, count = _values(_beside(table, direction), ["arm", "tokens"])
        places = {tuple(key): place for place, key in enumerate(keys.itertuples(index=False))}
        pairs = [(place, places["scratch", tokens]) for (arm, tokens), place in places.items()
                 if arm != "scratch" and ("scratch", tokens) in places]  # fmt: skip
        own, scratch = (values[[pair[side] for pair in pairs]] for side in (0, 1))
        leads = keys.iloc[[own_place for own_place, _ in pairs]]
        found.append(_with_bounds(leads, own - scratch, count, seed, resamples).assign(direction=direction))
    return _stacked(found, ["direction", "arm", "tokens", *MEANS])


def attribution_by_layer(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Mean score at each layer, of every SAE at the end of its training.

    Returns:
        act_layer, arm, tokens, mean, low, high, count (replicates).
    """
    ends = table[table["tokens"] == table.groupby("arm")["tokens"].transform("max")]
    found = [_means(rows, ["arm", "tokens"], seed, resamples).assign(act_layer=layer)
             for layer, rows in ends.groupby("act_layer")]  # fmt: skip
    return _stacked(found, ["act_layer", "arm", "tokens", *MEANS])


def _means(table: pd.DataFrame, columns: list[str], seed: int, resamples: int) -> pd.DataFrame:
    values, keys, count = _values(table, columns)
    return _with_bounds(keys, values, count, seed, resamples)


def _values(
    table: pd.DataFrame, columns: list[str]
) -> tuple[Float[np.ndarray, "series replicates prompts"], pd.DataFrame, int]:
    """Scores, mean over the layers that every series has, what the series are, and of how many SAEs each."""
    wide = table.pivot(index=["act_layer", "seed", "prompt"], columns=columns, values="score").sort_index(axis=1)
    complete = wide.notna().all(axis=1).groupby(["act_layer", "seed"]).transform("all")  # an SAE may have diverged
    wide = wide[complete]
    count = len(wide.index.droplevel("prompt").unique())
    means = wide.groupby(["seed", "prompt"]).mean()
    shape = (means.index.get_level_values("seed").nunique(), -1)
    values = np.stack([means[name].to_numpy(float).reshape(shape) for name in means]) if count else np.zeros((0, 1, 1))
    return values, wide.columns.to_frame(index=False).iloc[: len(values)], count


def _with_bounds(
    keys: pd.DataFrame, values: Float[np.ndarray, "series replicates prompts"], count: int, seed: int, resamples: int
) -> pd.DataFrame:
    def mean(weights: list[Weights]) -> Float[np.ndarray, "draws series"]:
        *replicates, prompts = weights
        of_replicates = np.einsum("dp,srp->dsr", prompts, values)
        return np.einsum("dr,dsr->ds", replicates[0], of_replicates) if replicates else of_replicates[..., 0]

    if not len(values):
        return keys.assign(mean=[], low=[], high=[], count=[])
    low, high = _bounds(mean, values.shape[1], values.shape[2], seed, resamples)
    return keys.assign(mean=values.mean((1, 2)), low=low, high=high, count=count)


def _bounds(
    statistic: Callable[[list[Weights]], Float[np.ndarray, "draws series"]],
    replicates: int, prompts: int, seed: int, resamples: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Bounds by drawing prompts again, and replicates where there are several; NaN with one prompt."""
    sizes = [*([replicates] if replicates > 1 else []), prompts]
    if min(sizes) < 2:
        none = np.full(statistic([np.ones((1, size)) / size for size in sizes]).shape[1], np.nan)
        return none, none
    return crossed_bootstrap(lambda drawn: statistic([*drawn]), sizes, seed=seed, resamples=resamples)


def circuit_scores(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """Faithfulness and completeness of each kind of SAE, mean over layers, by direction.

    An SAE without a score, as ablation of all its features moves too little, is left out with all of its layer and
    replicate, so that means of different SAEs are of the same layers; a zero-shot one goes from that task alone. Where
    sources lie at several distances, the zero-shot one is the nearest.

    Args:
        table: `faithfulness.parquet`.

    Returns:
        direction, task, measure, choice, share, arm (of a transfer, "scratch", `EQUAL` or `ZERO_SHOT`), mean, low,
        high, count (layers times replicates).
    """
    return _by_task(table, seed, resamples, lead=False)


def circuit_leads(table: pd.DataFrame, *, seed: int = 0, resamples: int = RESAMPLES) -> pd.DataFrame:
    """The scores of each kind of SAE minus those of finished scratch, on the same prompts drawn together.

    Args, returns: as `circuit_scores`.
    """
    return _by_task(table, seed, resamples, lead=True)


def _by_task(table: pd.DataFrame, seed: int, resamples: int, lead: bool) -> pd.DataFrame:
    if table.empty:
        return pd.DataFrame(columns=[*CURVE, *MEANS])
    named, found = table.assign(arm=roles(table)), []
    for direction in _directions(named):
        beside = _beside(named, direction)
        way = np.sign(beside["sae_layer"] - beside["act_layer"])
        ours = _with_nearest(beside[(beside["arm"] != ZERO_SHOT) | (way == DIRECTIONS[direction])])
        for (task, measure), rows in ours.groupby(["task", "measure"], sort=False):
            told = _scores_of(rows, seed, resamples, lead)
            found.append(told.assign(direction=direction, task=task, measure=measure))
    return _stacked(found, [*CURVE, *MEANS])


def _with_nearest(table: pd.DataFrame) -> pd.DataFrame:
    """Of the zero-shot SAEs that read a layer the one from nearest by; all that are no zero-shot ones."""
    away = (table["sae_layer"] - table["act_layer"]).abs().where(table["arm"] == ZERO_SHOT)
    return table[away.isna() | (away == away.groupby(table["act_layer"]).transform("min"))]


def _scores_of(rows: pd.DataFrame, seed: int, resamples: int, lead: bool) -> pd.DataFrame:
    """Of one task and measure: a score for each choice, size and kind of SAE, or what it is above that of scratch."""
    wide = rows.pivot(index=["act_layer", "seed"], columns=["choice", "share", "arm"], values=["score", *SUMS])
    wide = _comparable(wide.sort_index(axis=1))
    keys = wide["score"].columns.to_frame(index=False)
    places = {key: place for place, key in enumerate(keys.itertuples(index=False, name=None))}
    of_scratch = [places[choice, share, "scratch"] for choice, share, _ in places]
    kept = np.flatnonzero(keys["arm"] != "scratch") if lead else np.arange(len(keys))
    if wide.empty:
        return keys.iloc[:0].assign(mean=[], low=[], high=[], count=[])
    blocks = {name: np.stack([np.stack(list(wide[name][key])) for key in wide[name]]).astype(float) for name in SUMS}
    over_layers = _over_layers(wide.index.get_level_values("seed"))

    def mean(weights: list[Weights]) -> Float[np.ndarray, "draws series"]:
        circuit, empty, model = (np.einsum("db,skb->dsk", weights[-1], blocks[name]) for name in SUMS)
        of_replicates = ((circuit - empty) / (model - empty)) @ over_layers
        scores = np.einsum("dr,dsr->ds", weights[0], of_replicates) if len(weights) > 1 else of_replicates.mean(-1)
        return (scores - scores[:, of_scratch] if lead else scores)[:, kept]

    count = blocks["model"].shape[2]
    low, high = _bounds(mean, over_layers.shape[1], count, seed, resamples)
    whole = mean([np.full((1, count), 1 / count)])[0]
    return keys.iloc[kept].assign(mean=whole, low=low, high=high, count=len(wide))


def _over_layers(seeds: "pd.Index[int]") -> Float[np.ndarray, "saes replicates"]:
    """Weights that make of scores of single SAEs the mean over layers of each replicate."""
    own = np.equal.outer(seeds.to_numpy(), seeds.unique().to_numpy()).astype(float)
    return own / own.sum(0)


def _comparable(wide: pd.DataFrame) -> pd.DataFrame:
    """Layers and replicates at which scratch and all transfers have scores; a zero-shot SAE that lacks one goes."""
    trained = wide["score"].columns.get_level_values("arm") != ZERO_SHOT
    wide = wide[wide["score"].loc[:, trained].notna().all(axis=1)]
    lacking = wide["score"].loc[:, ~trained].isna().any(axis=None)
    return wide.loc[:, wide.columns.get_level_values("arm") != ZERO_SHOT] if lacking else wide


def roles(table: pd.DataFrame) -> list[str]:
    """What each SAE is beside the others: its arm; or `ZERO_SHOT`; or `EQUAL`, scratch before its end."""
    scratch = (table["arm"] == "scratch") & (table["sae_layer"] == table["act_layer"])
    last = table.loc[scratch, "tokens"].max()
    keys = table[["arm", "sae_layer", "act_layer", "tokens"]].itertuples(index=False)
    return [
        ZERO_SHOT if sae_layer != act_layer else EQUAL if arm == "scratch" and tokens < last else arm
        for arm, sae_layer, act_layer, tokens in keys
    ]


def patching_agreement(table: pd.DataFrame) -> pd.DataFrame:
    """How well estimated effects agree with exact ones, for each task and SAE.

    Args:
        table: `patching.parquet`.

    Returns:
        task, arm, act_layer, seed, spearman, relative_error, places (features at a position that were compared).
    """
    keys = ["task", "arm", "act_layer", "seed"]
    found = []
    for key, rows in table.groupby(keys, sort=False):
        alike = agreement(rows["estimate"].to_numpy(float), rows["exact"].to_numpy(float))
        found.append(dict(zip(keys, key, strict=True)) | alike._asdict())
    return pd.DataFrame(found, columns=[*keys, "spearman", "relative_error", "places"])


def _directions(table: pd.DataFrame) -> list[str]:
    there = {arm.direction for arm in map(parse_arm, table["arm"].unique()) if arm}
    return [direction for direction in DIRECTIONS if direction in there]


def _beside(table: pd.DataFrame, direction: str) -> pd.DataFrame:
    """The transfers of a direction, and what is no transfer at the layers of those."""
    arms = {name: arm.direction if (arm := parse_arm(name)) else None for name in table["arm"].unique()}
    own = table["arm"].isin([name for name, found in arms.items() if found == direction])
    no_transfer = table["arm"].isin([name for name, found in arms.items() if found is None])
    others = no_transfer & table["act_layer"].isin(table.loc[own, "act_layer"])
    return table[own | others]


def _stacked(tables: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)
