"""What the rows on features and circuits say, from values that were typed here, and where there are none."""

from typing import Any

import pytest

from saelib.batch import carried
from saelib.transfer import published

BOUNDS = {"low": 0.5, "high": 0.7}
MMCS = [{"arm": arm, "mean": mean} | BOUNDS for arm, mean in
        (("forward_affine", 0.9), ("backward", 0.61), ("forward", 0.62), ("forward", 0.1))]  # fmt: skip
SHARED = [
    {"arm": "forward", "mean": 0.25, "null": 0.02, "best_match": {"mean": 0.4, "low": 0.3, "high": 0.5}} | BOUNDS,
    {"arm": "backward", "mean": 0.35, "null": 0.03, "best_match": {"mean": 0.5}} | BOUNDS,
]
ATTRIBUTION = [{"arm": arm, "tokens": tokens, "mean": mean, "low": None, "high": None} for arm, tokens, mean in
               (("scratch", 64, 0.1), ("scratch", 128, 0.3), ("forward", 64, 0.2), ("backward", 32, 0.4))]  # fmt: skip
TASKS = [{"task": "ioi", "scored": False}, {"task": "repeats", "scored": True}, {"task": "agreement", "scored": True}]


def faithful(task: str, share: float, mean: float | None, arm: str = "forward", measure: str = "faithfulness"):
    return {"task": task, "share": share, "mean": mean, "arm": arm, "measure": measure} | BOUNDS


FAITHFULNESS = [
    faithful("repeats", 0.02, 0.2),
    faithful("repeats", 0.08, 0.6),
    faithful("agreement", 0.08, 0.8),
    faithful("ioi", 0.08, 99.0),
    faithful("repeats", 0.08, 0.5, "scratch"),
    faithful("agreement", 0.08, None, "scratch"),
    faithful("repeats", 0.016, -0.5, measure="completeness"),
]


def test_likeness_takes_the_first_line_of_each_copy_and_the_papers_mean_over_layers() -> None:
    theirs = published.published_mmcs().groupby("arm")["mmcs"].mean()
    assert carried.likeness({"20_features": {"mmcs": MMCS}}) == (
        "forward: copy 0.62 (0.50 to 0.70), backward: copy 0.61 (0.50 to 0.70); "
        f"the paper {theirs['forward']:.2f}, {theirs['backward']:.2f}"
    )


def test_feature_transfer_stands_beside_chance_and_the_best_match() -> None:
    theirs = published.published_feature_transfer().groupby("arm")["share"].mean()
    assert carried.feature_transfer({"20_features": {"feature_transfer": SHARED}}) == (
        "forward: copy 25% (50% to 70%), backward: copy 35% (50% to 70%); "
        f"the paper {theirs['forward']:.0%}, {theirs['backward']:.0%}; "
        "a random feature 2% and 3%, the best match 40% and 50%"
    )
    alone = [{name: value for name, value in line.items() if name != "null"} for line in SHARED]
    assert "random" not in carried.feature_transfer({"20_features": {"feature_transfer": alone}})


def test_attribution_is_read_at_the_end_of_each_arm() -> None:
    said = carried.attribution({"21_circuits": {"attribution": ATTRIBUTION}})
    assert said.startswith("from scratch 0.30, forward: copy 0.20, backward: copy 0.40; the paper ")
    table = published.published_attribution()
    ends = table[table["tokens"] == table.groupby("arm")["tokens"].transform("max")]
    means = ends.groupby("arm")["attribution"].mean()
    assert said.endswith(", ".join(f"{means[arm]:.2f}" for arm in ("scratch", "forward", "backward")))


def test_circuits_are_means_over_the_tasks_that_the_model_does_at_the_largest_share() -> None:
    """By hand: faithfulness of forward at 8% (0.6 + 0.8) / 2; ioi is not done; scratch has one number."""
    said = carried.circuits({"21_circuits": {"tasks": TASKS, "faithfulness": FAITHFULNESS}})
    assert said.startswith("2 of 3 tasks are done by the model; faithfulness at 8.0% of the features: ")
    assert "features: from scratch 0.50, forward: copy 0.70; the paper " in said
    assert "completeness at 1.6% of the features: forward: copy -0.50; the paper " in said
    table = published.published_faithfulness().query("measure == 'faithfulness' and arm == 'forward' and k == 492")
    assert f"the paper {_theirs('scratch'):.2f}, {table['value'].mean():.2f}; completeness" in said


def _theirs(arm: str) -> float:
    table = published.published_faithfulness().query("measure == 'faithfulness' and k == 492")
    own = table[table["arm"] == arm]
    return float(own[own["tokens"] == own["tokens"].max()]["value"].mean())


@pytest.mark.parametrize("say", [carried.likeness, carried.feature_transfer, carried.attribution, carried.circuits])
def test_what_was_not_measured_is_said_to_be_so(say) -> None:
    names = ("mmcs", "feature_transfer", "attribution", "tasks", "faithfulness")
    empty = {"20_features": {name: [] for name in names}, "21_circuits": dict.fromkeys(names)}
    unknown = {"20_features": {"mmcs": [{"arm": "forward", "mean": None}]}, "21_circuits": {}}
    recorded: list[Any] = [{}, {"20_features": {}, "21_circuits": {}}, empty, unknown]
    for values in recorded:
        assert say(values) == "not measured"


def test_baselines_are_left_out() -> None:
    drawn = [line | {"choice": "random", "mean": 5.0} for line in FAITHFULNESS]
    chosen = [line | {"choice": "attribution"} for line in FAITHFULNESS]
    plain, mixed = (
        {"21_circuits": {"tasks": TASKS, "faithfulness": lines}} for lines in (FAITHFULNESS, drawn + chosen)
    )
    assert carried.circuits(mixed) == carried.circuits(plain)


def test_sentences_are_of_what_was_measured() -> None:
    (only,) = carried.sentences({"20_features": {"mmcs": MMCS}})
    assert only.startswith(
        "**Decoder rows** beside scratch of as many tokens (mean largest cosine, MMCS): forward: copy"
    )
    assert only.endswith(".")
    assert carried.sentences({}) == []


def test_a_model_that_does_no_task_is_said_to_do_none() -> None:
    none = [task | {"scored": False} for task in TASKS]
    said = carried.circuits({"21_circuits": {"tasks": none, "faithfulness": FAITHFULNESS}})
    assert said == "not measured: the model does none of 3 tasks"
    without = carried.circuits({"21_circuits": {"tasks": TASKS, "faithfulness": []}})
    assert without == "2 of 3 tasks are done by the model"
