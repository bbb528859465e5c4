"""How readers meet circuits: tasks, SAEs and scores in words, and what the notebook records.

In: tables of `study` and `tables`. Out: tables of texts for `results.notebook.show_table`, and named values.
"""

from typing import Any

import pandas as pd

from saelib.interpret.circuits.tables import EQUAL
from saelib.interpret.circuits.tasks.library import TASKS
from saelib.results.text import with_interval
from saelib.transfer.directions import transfer_arms
from saelib.transfer.wording import arm_label

SURE = {"facts": "facts that the model knows", "text": "held-out text of which the model is sure"}
CHOICES = {"attribution": "largest effects", "top_activation": "most active", "random": "random"}


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
        lines.append({
            "task": task_label(line["task"]), "prompts": line["prompts"],
            "accuracy (chance: 50%)": with_interval(interval, 0, percent=True) if asked else "-",
            "likeliest of all tokens": f"{line['likeliest']:.0%}" if asked else "-",
            "clean": f"{line['difference']:+.2f}" if asked else "-",
            "patched": f"{line['patched']:+.2f}" if asked else "-",
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
    texts["share"] = texts["share"].map("{:.2%}".format)
    texts["task"], texts["SAE"] = texts["task"].map(task_label), texts["arm"].map(sae_label)
    sizes = list(dict.fromkeys(texts["share"]))
    wide = texts.pivot(index=["task", "direction", "SAE"], columns="share", values="text")
    return wide[sizes].reset_index().rename_axis(columns=None)


def patching_table(agreement: pd.DataFrame) -> pd.DataFrame:
    """How well estimates agree with exact effects, for readers."""
    return pd.DataFrame({
        "task": agreement["task"].map(task_label), "layer": agreement["act_layer"],
        "features at a position": agreement["places"], "rank correlation": agreement["spearman"].map("{:.3f}".format),
        "mean error / mean size": agreement["relative_error"].map("{:.0%}".format),
    })  # fmt: skip


def circuit_values(
    curves: pd.DataFrame, tasks: pd.DataFrame, scores: pd.DataFrame, agreement: pd.DataFrame
) -> dict[str, Any]:
    """What the notebook records for the report: percentages as shares, and of circuits those by attribution alone."""
    own = scores[scores["choice"] == "attribution"]
    named = ["task", "accuracy", "low", "high", "scored", "reason"]
    return {
        "attribution": curves[["arm", "direction", "tokens", "mean", "low", "high"]].to_dict("records"),
        "tasks": tasks[named].to_dict("records"),
        "faithfulness": own[["task", "arm", "direction", "share", "measure", "mean", "low", "high"]].to_dict("records"),
        "patching": agreement.rename(columns={"act_layer": "layer"})[["task", "layer", "spearman"]].to_dict("records"),
    }
