"""The experiments of the two papers, one row each: repeated here or not, where, and what agrees. The one list of them.

In: the values that notebooks recorded. Out: a table of one run, for the report; `experiments_kept` has that of README.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from saelib.batch import carried
from saelib.htest.scoring.findings import counted_silence, no_sizes, silence, tuned_tasks
from saelib.htest.scoring.names import asked_model
from saelib.results.notebook import verdict
from saelib.results.tables import as_markdown
from saelib.results.text import with_interval
from saelib.transfer.published import published_angular_distance
from saelib.transfer.targets import TARGET_NAMES

Values: TypeAlias = Mapping[str, Mapping[str, Any]]
"""What notebooks recorded, by the name of the notebook."""
NOT_MEASURED = "not measured"
SHOWN = ("loss", "joint")
"""The targets that are named: what training makes small, and the score at equal sparsity."""


class Experiment(NamedTuple):
    """An experiment of a paper."""

    what: str
    here: str
    """A verdict, and after a colon what it is about: "in part: small model"."""
    notebook: str = ""
    agrees: Callable[[Values], str] | None = None
    """What agrees, from the recorded values."""
    recorded_by: str = ""
    """The notebook that recorded these, where it is another."""


def experiments_table(values: Values, papers_model: bool = False) -> pd.DataFrame:
    """A row for each experiment: what it is, whether it is repeated here, in which notebook, and what agrees.

    Args:
        papers_model: whether paper 1 is repeated on its own model.
    """
    return pd.DataFrame(
        {
            "experiment of the papers": experiment.what,
            "here": verdict(PAPERS_MODEL if papers_model and experiment.here == OTHER_MODEL else experiment.here),
            "notebook": experiment.notebook,
            "what agrees": _agreement(experiment, values),
        }
        for experiment in EXPERIMENTS
    )


def _agreement(experiment: Experiment, values: Values) -> str:
    if experiment.agrees is None:
        return ""
    return experiment.agrees(values) if (experiment.recorded_by or experiment.notebook) in values else NOT_MEASURED


def linked(table: pd.DataFrame) -> str:
    """A table of experiments as Markdown at the top of the repository, each notebook a link."""
    text = as_markdown(table)
    for notebook in {experiment.notebook for experiment in EXPERIMENTS} - {""}:
        text = text.replace(f"| {notebook} ", f"| [`{notebook}`](notebooks/{notebook}.ipynb) ")
    return text


def _convergence(values: Values) -> str:
    saved = pd.DataFrame(values["13_convergence"]["savings"]).query("distance == 1 and start == 'copy'")
    told = []
    for target in [target for target in SHOWN if target in set(saved["target"])] or ["ce_score"]:
        parts = [f"{line['direction']} {with_interval(line, 0, percent=True)}"
                 for line in saved[saved["target"] == target].to_dict("records")]  # fmt: skip
        told.append(f"{TARGET_NAMES[target]}: {', '.join(parts)}")
    return f"new tokens saved by copies, {'; '.join(told)}"


def _zero_shot(values: Values) -> str:
    """The claim about untrained neighbours, which needs transfers of both directions."""
    for line in values.get("90_report", {}).get("agreement", []):
        if line["claim"].startswith("Untrained neighbours"):
            difference = f"{with_interval(line, 3)}; the paper {line['paper']:.3f}"
            return f"CE-loss score, layer after minus layer before: {difference}"
    return NOT_MEASURED


def _claims(values: Values) -> str:
    verdicts = [line["agrees"] for line in values["90_report"]["agreement"]]
    counts = {word: verdicts.count(word) for word in ("yes", "no", "open")}
    rest = len(verdicts) - sum(counts.values())
    told = f"{counts['yes']} of {len(verdicts)} claims agree, {counts['no']} do not, {counts['open']} are open"
    return told + (f", {rest} not measured" if rest else "")


def _angular(values: Values) -> str:
    ours = np.array(values["10_language_model"]["angular_distance"])
    near = [int(np.argsort(row)[1]) for row in ours]  # the closest beside itself
    closest = sum(abs(place - layer) == 1 for layer, place in enumerate(near))
    apart = [matrix.diagonal(1).mean() for matrix in (ours, published_angular_distance())]
    return (
        f"a neighbour is the closest for {closest} of {len(ours)} layers; mean {apart[0]:.2f}, the paper {apart[1]:.2f}"
    )


def _ten_tasks(values: Values) -> str:
    found = values["31_htest_accuracy"]
    lines = {line["model"]: line for line in reversed(found["main"])}  # the first of each stays
    return _shares({model: lines[model]["accuracy"] for model in found["models"]}, 1) or "no model was asked"


def _shots(values: Values) -> str:
    found = values["32_htest_shots_and_size"]
    told = f"most shots minus fewest: {_difference(found['overall']['shots'])}"
    if "size" not in found["overall"] or no_sizes(found["members"]):
        return told + "; size not tested"
    return told + f"; {found['members'][-1]} minus {found['members'][0]}: {_difference(found['overall']['size'])}"


def _thinking(values: Values) -> str:
    found = values["33_htest_chain_of_thought"]
    if reason := silence(found):
        return f"not tested: {reason}"
    return f"with minus without: {_difference(found['overall']['chain_of_thought'])}{counted_silence(found)}"


def _tuning(values: Values) -> str:
    found = values["34_htest_fine_tuning"]
    overall, few = found["overall"], f" ({tasks})" if (tasks := tuned_tasks(found)) else ""
    return (f"tuned minus untuned{few}, with shots: {_difference(overall['tuning_with_shots'])}; "
            f"on the bare text, which the paper did not test: {_difference(overall['tuning'])}")  # fmt: skip


def _geometry(values: Values) -> str:
    lines = values["35_htest_letter_geometry"]["letter_geometry"]
    return _shares({line["model"]: line for line in lines}, 0) + ", guessing 25%"


def _shares(by_model: Mapping[str, Mapping[str, Any]], digits: int) -> str:
    told = (f"{asked_model(model)}: {with_interval(value, digits, percent=True)}" for model, value in by_model.items())
    return "; ".join(told)


def _difference(overall: Mapping[str, float]) -> str:
    return with_interval({"mean": overall["difference"], "low": overall["low"], "high": overall["high"]}, 3)


OTHER_MODEL, PAPERS_MODEL = "in part: another model", "yes: the paper's model"
EXPERIMENTS = (
    Experiment("convergence, by layer and on average", OTHER_MODEL, "13_convergence", _convergence),
    Experiment("zero-shot matrix", OTHER_MODEL, "12_layer_transfer", _zero_shot, "90_report"),
    Experiment("normalised scores, claim by claim", OTHER_MODEL, "90_report", _claims),
    Experiment("angular distance between layers", OTHER_MODEL, "10_language_model", _angular),
    Experiment("MMCS (likeness of decoder rows)", OTHER_MODEL, "20_features", carried.likeness),
    Experiment("feature transfer (shared tokens)", OTHER_MODEL, "20_features", carried.feature_transfer),
    Experiment('attribution ("DLA")', OTHER_MODEL, "21_circuits", carried.attribution),
    Experiment("faithfulness, completeness of circuits", OTHER_MODEL, "21_circuits", carried.circuits),
    Experiment("human interpretability", "no: it takes people who judge"),
    Experiment("ten tasks, 4 to 50 shots", "in part: other models", "31_htest_accuracy", _ten_tasks),
    Experiment("shots; larger against smaller models", "in part: other models", "32_htest_shots_and_size", _shots),
    Experiment("chain of thought", "in part: other models", "33_htest_chain_of_thought", _thinking),
    Experiment("fine-tuning", "yes: another model", "34_htest_fine_tuning", _tuning),
    Experiment("letter geometry", "yes: another model", "35_htest_letter_geometry", _geometry),
    Experiment("vision against language-only models", "no: no such model"),
)
