"""How readers meet the names of paper 1's tables: arms, metrics, targets and columns in words. The one place for it.

In: tidy tables with the columns of `evaluation.parquet` and of the statistics. Out: labels, and tables of texts.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from saelib.language.origin import model_origin, note_on
from saelib.results.text import escape_markdown, with_interval
from saelib.transfer.directions import DIRECTIONS, parse_arm, transfer_arms
from saelib.transfer.released_config import CAVEAT, PUBLISHED
from saelib.transfer.targets import TARGET_NAMES

if TYPE_CHECKING:
    from saelib.transfer.config import ExperimentConfig

START_NAMES = {"random": "from scratch", "copy": "copy", "affine": "affine map", "procrustes": "rotation"}
OTHER_ARMS = {
    "scratch": "from scratch",
    "control": "from scratch, the transfers' schedule",
    "zero_shot": "source, not trained here",
    "source": "own source, not trained here",
}
METRIC_NAMES = {
    "loss": "held-out objective (MSE + λ·L1)",
    "loss_ratio": "held-out objective / that of finished scratch",
    "ce_score": "CE-loss score",
    "ce_score_mean": "CE-loss score against mean ablation",
    "ce_increase": "CE-loss increase (nats)",
    "ce_spliced": "CE loss with the SAE (nats)",
    "kl": "KL divergence (nats)",
    "mse": "squared error (summed over d_model)",
    "explained_variance": "explained variance",
    "l0": "L0 (active features per token)",
    "l1": "L1",
    "dead_latents": "share of features that never fire",
}
SHORT_NAMES = METRIC_NAMES | {  # in two lines, for the edge of a panel
    "loss_ratio": "held-out objective\n(finished scratch: 1)",
    "loss": "held-out objective\n(MSE + λ·L1)",
    "mse": "squared error\n(summed over d_model)",
    "l0": "L0 (active features\nper token)",
    "ce_score": "CE-loss score\n(1 = nothing lost)",
}
COLUMN_NAMES = {
    "act_layer": "layer",
    "sae_layer": "trained for layer",
    "source_layer": "source layer",
    "tokens": "new tokens",
    "source_tokens": "tokens of the source",
    "count": "replicates",
    "share_arrived": "share that arrives",
    "arrived": "SAEs that arrive",
    "l0_ratio": "L0 / finished scratch",
    "r2": "R², source to target",
    "r2_back": "R², target to source",
    "saes": "number of SAEs",
    "l1_coefficient": "λ",
    "activation_scale": "divided in training by",
    "l0_expected": "L0 expected at the end of scratch",
    "is_chosen": "chosen",
    "zero_shot_ce_score": "CE-loss score, untrained at a neighbour",
    "language_model": "the language model's pass",
    "map_tokens": "tokens of the fit",
    "sae_tokens": "tokens times SAEs",
    "sae_tokens_per_second": "tokens times SAEs, per second",
}
PLAIN_DIGITS = {"loss": 0, "mse": 0, "l0": 1, "explained_variance": 3}
"""Digits after the decimal point of a metric that stands in a table without its interval."""
VALUES = {"start": START_NAMES, "metric": METRIC_NAMES, "target": TARGET_NAMES}
PERCENT_DIGITS = 0


def choice_of_lambda(config: "ExperimentConfig") -> str:
    """How lambda was chosen: "10 at every layer", "1 times mean norm / √d_model of each layer"."""
    if config.target_l0 is not None:
        return f"for each layer so that L0 is {config.target_l0:g}"
    scale = config.activation_scale
    by_norm = "norm" in (config.l1_unit, scale)
    unit = "times mean norm / √d_model of each layer" if by_norm else "at every layer"
    factor = f" times {scale:g}" if isinstance(scale, float) and not by_norm else ""
    return f"{config.l1_coefficient:g}{factor} {unit}"


def choice_of_scale(config: "ExperimentConfig") -> str:
    """What residual streams are divided by in training: "nothing", "5.5 at every layer"."""
    scale = config.activation_scale
    if isinstance(scale, float):
        return f"{scale:g} at every layer"
    return "mean norm / √d_model of each layer" if scale == "norm" else "nothing"


def lambda_table(coefficients: Mapping[int, float], scales: Mapping[int, float] | None = None) -> pd.DataFrame:
    """The lambda of each layer, for `for_readers`; beside it what its stream is divided by, if that is given."""
    table = pd.DataFrame({"layer": list(coefficients), "l1_coefficient": [f"{one:g}" for one in coefficients.values()]})
    return table if scales is None else table.assign(activation_scale=[f"{one:g}" for one in scales.values()])


def opening(config: "ExperimentConfig") -> str:
    """What a notebook says first: the preset, and which model and text the run is about."""
    model, corpus = escape_markdown(config.language_model), escape_markdown(config.corpus)
    origin = ", ".join(filter(None, model_origin(config.language_model)))
    known = f" ({escape_markdown(origin)})" if note_on(config.language_model) else ""
    released = f" Here {CAVEAT}." if config.saes == PUBLISHED else ""
    return f"Preset **{config.preset}**, language model **{model}**{known}, corpus **{corpus}**.{released}"


def of_source(config: "ExperimentConfig", layer: int) -> str:
    """Where transfers start whose source is an SAE of one's own, of that layer."""
    source = escape_markdown(str(config.source))
    return f"All transfers start from one SAE from elsewhere, of layer {layer}: **{source}**."


def arm_label(arm: str) -> str:
    """An arm in words: "forward: affine map", "backward: copy, 2 layers away", "from scratch"."""
    parsed = parse_arm(arm)
    if parsed is None:
        return OTHER_ARMS[arm]
    away = f", {parsed.distance} layers away" if parsed.distance > 1 else ""
    return f"{parsed.direction}: {START_NAMES[parsed.start]}{away}"


def direction_label(direction: str) -> str:
    """A direction as an arrow between layers: "forward: layer i-1 → i"."""
    return f"{direction}: layer i{DIRECTIONS[direction]:+d} → i"


def for_readers(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns, arms, starts, metrics and targets in words, metrics with few digits."""
    worded = table.copy()
    for name in [name for name in PLAIN_DIGITS if name in worded and pd.api.types.is_float_dtype(worded[name])]:
        worded[name] = [f"{value:,.{PLAIN_DIGITS[name]}f}" if value == value else "-" for value in worded[name]]
    if "arm" in worded:
        worded["arm"] = worded["arm"].map(arm_label)
    for column, words in VALUES.items():
        if column in worded:
            worded[column] = [words.get(value, value) for value in worded[column]]
    return worded.rename(columns={name: column_label(name) for name in worded.columns})


def column_label(name: str) -> str:
    """A column's name in words."""
    return METRIC_NAMES.get(name) or COLUMN_NAMES.get(name) or name.replace("_", " ")


def wide_for_readers(
    summary: pd.DataFrame, by: list[str], across: str = "metric", percent: bool = False
) -> pd.DataFrame:
    """A summary with a column for each metric, each cell a mean with its interval.

    Args:
        by: columns that say which row; rows and columns are in the summary's order.
        across: another column that says which column: "target", or "arm" (of transfers, in their own order).
    """
    lines: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in summary.to_dict("records"):
        keys = {name: line[name] for name in by}
        lines.setdefault(tuple(keys.values()), keys)[line[across]] = interval_text(line, percent)
    wide = pd.DataFrame(list(lines.values())).fillna("-")
    if across == "arm":
        words = {arm: arm_label(arm) for arm in transfer_arms(summary)}
    else:
        words = {name: VALUES[across][name] for name in summary[across].unique()}
    return for_readers(wide[by]).join(wide[list(words)].rename(columns=words))


def interval_text(line: Mapping[Any, Any] | pd.Series, percent: bool = False) -> str:
    """A mean with its interval, with as many digits as the interval allows: "1,479 (1,476 to 1,482)"."""
    return with_interval(line, PERCENT_DIGITS if percent else digits_allowed(line["mean"], line["low"], line["high"]),
                         percent)  # fmt: skip


def digits_allowed(mean: float, low: float, high: float) -> int:
    """Digits after the decimal point that an interval allows; without one, so that the mean has four figures.

    The rule of the Particle Data Group (Review of Particle Physics, introduction, 5.3): of the half width two digits
    are kept up to 0.354, one beyond. The mean never has more than six figures: replicates that must agree differ by the
    rounding of float32, and that is no interval.
    """
    half, first = (high - low) / 2, math.floor(math.log10(abs(mean))) if mean else 0
    if half > 0:
        return max(0, min(-math.floor(math.log10(half / 3.55)), 5 - first))
    return max(0, 3 - first) if mean else 0
