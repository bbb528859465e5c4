"""How readers meet circuits: tasks, SAEs and scores in words, and what the notebook records.

In: tables of `study` and `tables`. Out: tables of texts for `results.notebook.show_table`, and named values.
"""

from typing import Any

import pandas as pd

from saelib.interpret.circuits.tables import EQUAL, MEASURES
from saelib.interpret.circuits.tasks.library import TASKS
from saelib.interpret.config import InterpretConfig
from saelib.results.text import with_interval
from saelib.transfer.directions import transfer_arms
from saelib.transfer.wording import arm_label

SURE = {"facts": "facts that the model knows", "text": "held-out text of which the model is sure"}
CHOICES = {"attribution": "largest effects", "top_activation": "most active", "random": "random"}


def prompts_text(attributed: pd.DataFrame) -> str:
    """How many prompts the attribution has, of what kind, and whether they are as many as were asked for.

    Args:
        attributed: `attribution.parquet`, with one row at least.
    """
    found = prompt_values(attributed)
    short = "" if found["kept"] >= found["wanted"] else f", **fewer than the {found['wanted']} that are asked for**"
    return f"**{found['kept']}** prompts{short}: {SURE[found['kind']]}, of {found['tried']} that were tried"


def prompt_values(attributed: pd.DataFrame) -> dict[str, Any]:
    """The prompts of the attribution: kind, kept, wanted, tried; empty without any."""
    if attributed.empty:
        return {}
    kept = int(attributed["prompt"].nunique())
    numbers = {name: int(attributed[name].iloc[0]) for name in ("wanted", "tried")}
    return {"kind": str(attributed["kind"].iloc[0]), "kept": kept} | numbers


def task_label(task: str) -> str:
    """A task in words."""
    return TASKS[task].label


def sae_label(arm: str) -> str:
    """A kind of SAE in words."""
    return "from scratch, as many tokens" if arm == EQUAL else arm_label(arm)


def task_table(tasks: pd.DataFrame) -> pd.DataFrame:
    """How well the model does each task, and why some have no circuits."""
    lines = []
    for line in tasks.to_dict("records"):
        asked = line["prompts"] > 0
        interval = {"mean": line["accuracy"], "low": line["low"], "high": line["high"]}
        fall = {"mean": line["fall"], "low": line["fall_low"], "high": line["fall_high"]}
        lines.append({
            "task": task_label(line["task"]), "prompts": line["prompts"],
            "accuracy (guessing: 50%)": with_interval(interval, 0, percent=True) if asked else "-",
            "likeliest of all tokens": f"{line['likeliest']:.0%}" if asked else "-",
            "clean": f"{line['difference']:+.2f}" if asked else "-",
            "patched": f"{line['patched']:+.2f}" if asked else "-",
            "fall": with_interval(fall, 2) if asked else "-",
            "circuits": "yes" if line["scored"] else f"no: {line['reason']}",
        })  # fmt: skip
    return pd.DataFrame(lines)


def layer_table(by_layer: pd.DataFrame) -> pd.DataFrame:
    """A row for each layer, a column for each kind of SAE: scratch, then transfers.

    Args:
        by_layer: `tables.attribution_by_layer`.
    """
    texts = by_layer.assign(text=[with_interval(line, 2) for line in by_layer.to_dict("records")])
    wide = texts.pivot(index="act_layer", columns="arm", values="text").fillna("-")
    arms = ["scratch", *transfer_arms(by_layer)]
    told = wide[arms].rename(columns=arm_label).rename_axis(columns=None).reset_index()
    return told.rename(columns={"act_layer": "layer"})


def curve_table(scores: pd.DataFrame, measure: str, choice: str = "attribution") -> pd.DataFrame:
    """A measure with a row for each task, direction and kind of SAE, and a column for each size of circuit.

    Args:
        scores: `tables.circuit_scores` or `tables.circuit_leads`.
        choice: by what features were chosen.
    """
    rows = scores[(scores["measure"] == measure) & (scores["choice"] == choice)]
    texts = rows.assign(text=[with_interval(line, 2) for line in rows.to_dict("records")])
    texts["task"], texts["SAE"] = texts["task"].map(task_label), texts["arm"].map(sae_label)
    sizes = list(dict.fromkeys(texts["share"]))
    wide = texts.pivot(index=["task", "direction", "SAE"], columns="share", values="text")
    return wide[sizes].rename(columns=share_label).reset_index().rename_axis(columns=None)


def share_label(share: float) -> str:
    """A share of the features; a small one with so many digits that the next larger circuit has another label."""
    return f"{share:.2%}" if share >= 0.001 else f"{100 * share:.4g}%"


def method_text(config: InterpretConfig) -> str:
    """By what this run chooses circuits and ablates: the paper's way, or that of its parameters."""
    steps = (
        "one gradient" if config.integrated_steps == 1 else f"integrated gradients of {config.integrated_steps} steps"
    )
    return (
        f"Here: effects by {steps}, the largest {'signed' if config.signed else 'absolute'} ones "
        f"{'summed over positions' if config.summed else 'at each position'}; ablated features stand at "
        f"{'their means over clean prompts' if config.ablation == 'mean' else 'what they are in the patched prompt'}."
    )


def patching_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """How well estimates agree with exact effects, for readers."""
    return pd.DataFrame({
        "task": agreement["task"].map(task_label), "layer": agreement["act_layer"],
        "features at a position": agreement["places"], "rank correlation": agreement["spearman"].map("{:.3f}".format),
        "mean error / mean size": agreement["relative_error"].map("{:.0%}".format),
    })  # fmt: skip


def circuit_values(
    attributed: pd.DataFrame, curves: pd.DataFrame, tasks: pd.DataFrame, scores: pd.DataFrame, agreement: pd.DataFrame
) -> dict[str, Any]:
    """What the notebook records for the report: percentages as shares, and of circuits those by attribution alone."""
    own = scores[scores["choice"] == "attribution"]
    named = ["task", "accuracy", "low", "high", "fall", "fall_low", "fall_high", "scored", "reason"]
    return {
        "attribution_prompts": prompt_values(attributed),
        "attribution": curves[["arm", "direction", "tokens", "mean", "low", "high"]].to_dict("records"),
        "tasks": tasks[named].to_dict("records"),
        "faithfulness": own[["task", "arm", "direction", "share", "measure", "mean", "low", "high"]].to_dict("records"),
        "patching": agreement.rename(columns={"act_layer": "layer"})[["task", "layer", "spearman"]].to_dict("records"),
    }


def lead_values(attribution: pd.DataFrame, circuits: pd.DataFrame) -> dict[str, Any]:
    """What the notebook records of differences from scratch: on the same prompts, of circuits those by attribution.

    Args:
        attribution: `tables.attribution_leads`.
        circuits: `tables.circuit_leads`.
    """
    bounds, own = ["mean", "low", "high"], circuits[circuits["choice"] == "attribution"]
    return {
        "attribution_leads": attribution[["arm", "direction", "tokens", *bounds]].to_dict("records"),
        "circuit_leads": own[["task", "arm", "direction", "share", "measure", *bounds]].to_dict("records"),
    }


def beats(scores: pd.DataFrame, baseline: str) -> str:
    """How often the largest circuits by effects are nearer to what a circuit should be than those of a baseline.

    Args:
        scores: `tables.circuit_scores`, of circuits by effects and of the baseline.
    """
    largest = scores[scores["share"] == scores.groupby("measure")["share"].transform("max")]
    wide = largest.pivot(index=["measure", "task", "direction", "arm"], columns="choice", values="mean")
    faithful, complete = (wide.loc[measure] for measure in MEASURES)
    higher = (faithful["attribution"] > faithful[baseline]).sum()
    nearer, emptier = (
        ((wide["attribution"] - best).abs() < (wide[baseline] - best).abs()).sum()
        for wide, best in ((faithful, 1), (complete, 0))
    )
    return (
        f"Seen, the largest circuits by effects against features that are {CHOICES[baseline]}, in {len(faithful)} "
        f"pairs of a task and a kind of SAE: a higher faithfulness in **{higher}**, one nearer to 1 in **{nearer}**; a "
        f"completeness nearer to 0 in **{emptier}** of {len(complete)}."
    )
