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
# Scratch has other layers beside backward transfers than beside forward ones: two lines at each count of tokens.
ATTRIBUTION = [
    {"direction": direction, "arm": arm, "tokens": tokens, "mean": mean, "low": None, "high": None}
    for direction, arm, tokens, mean in (
        ("forward", "scratch", 64, 0.1), ("forward", "scratch", 128, 0.3), ("forward", "forward", 64, 0.2),
        ("backward", "scratch", 64, 0.15), ("backward", "scratch", 128, 0.55), ("backward", "backward", 32, 0.4),
    )
]  # fmt: skip
LEADS = [
    {"direction": direction, "arm": direction, "tokens": tokens, "mean": mean, "low": mean - off, "high": mean + off}
    for direction, tokens, mean, off in (
        ("forward", 32, 0.3, 0), ("forward", 64, 0.1, 0.05), ("backward", 32, -0.1, 0.1)
    )
]  # fmt: skip
DONE = {"ioi": False, "repeats": True, "agreement": True, "greater_than": True}
TASKS = [{"task": task, "scored": scored} for task, scored in DONE.items()]


def faithful(
    task: str, share: float, mean: float | None, arm: str, direction: str = "forward", measure: str = "faithfulness"
) -> dict[str, Any]:
    return {"task": task, "share": share, "mean": mean, "arm": arm, "direction": direction, "measure": measure} | BOUNDS


FAITHFULNESS = [
    faithful("agreement", 0.02, 0.2, "forward"),
    faithful("agreement", 0.08, 0.6, "forward"),
    faithful("agreement", 0.08, 0.5, "scratch"),
    faithful("agreement", 0.08, 0.7, "backward", "backward"),
    faithful("agreement", 0.08, 0.9, "scratch", "backward"),
    faithful("greater_than", 0.08, 0.8, "forward"),
    faithful("greater_than", 0.08, None, "scratch"),
    faithful("repeats", 0.08, 55.0, "forward"),
    faithful("repeats", 0.08, 55.0, "scratch"),
    faithful("ioi", 0.08, 99.0, "forward"),
    faithful("agreement", 0.08, 77.0, "zero_shot"),
    faithful("agreement", 0.016, -0.5, "forward", measure="completeness"),
    faithful("agreement", 0.016, -0.25, "scratch", measure="completeness"),
]


def test_likeness_takes_the_first_line_of_each_copy_and_the_papers_mean_over_layers() -> None:
    theirs = published.published_mmcs().groupby("arm")["mmcs"].mean()
    assert carried.likeness({"20_features": {"mmcs": MMCS}}) == (
        "forward: copy 0.620 (0.500 to 0.700), backward: copy 0.610 (0.500 to 0.700), intervals over replicates; "
        f"the paper {theirs['forward']:.2f}, {theirs['backward']:.2f}"
    )


def test_feature_transfer_stands_beside_chance_and_the_best_match() -> None:
    theirs = published.published_feature_transfer().groupby("arm")["share"].mean()
    assert carried.feature_transfer({"20_features": {"feature_transfer": SHARED}}) == (
        "forward: copy 25% (50% to 70%), backward: copy 35% (50% to 70%), intervals over features; "
        f"the paper {theirs['forward']:.0%}, {theirs['backward']:.0%}; "
        "a random feature 2% and 3%, the best match 40% and 50%"
    )
    alone = [{name: value for name, value in line.items() if name != "null"} for line in SHARED]
    assert "random" not in carried.feature_transfer({"20_features": {"feature_transfer": alone}})


def test_attribution_is_read_at_the_end_of_each_arm_with_its_lead_over_scratch_of_as_many_tokens() -> None:
    said = carried.attribution({"21_circuits": {"attribution": ATTRIBUTION, "attribution_leads": LEADS}})
    assert said.startswith(
        "forward: copy 0.20, minus scratch of as many tokens at its layers 0.10 (0.05 to 0.15); backward: copy 0.40, "
        "minus scratch of as many tokens at its layers -0.10 (-0.20 to 0.00); intervals over prompts; the paper "
    )
    table = published.published_attribution()
    means = table[table["tokens"] == 500002816].groupby("arm")["attribution"].mean()  # scratch has 1 billion too
    papers = f"{means['forward']:.2f}, {means['backward']:.2f}, scratch of as many tokens {means['scratch']:.2f}"
    assert said.endswith(papers)
    alone = [line for line in LEADS if line["direction"] == "backward"]
    said = carried.attribution({"21_circuits": {"attribution": ATTRIBUTION, "attribution_leads": alone}})
    assert said.startswith("backward: copy 0.40, minus")
    assert carried.attribution({"21_circuits": {"attribution": ATTRIBUTION}}) == "not measured"


def test_circuits_stand_beside_scratch_of_their_layers_and_the_papers_same_tasks() -> None:
    """By hand, of agreement alone: the paper lacks repeats, scratch has no number of greater_than, ioi is not done."""
    said = carried.circuits({"21_circuits": {"tasks": TASKS, "faithfulness": FAITHFULNESS}})
    assert said.startswith(
        "3 of 4 tasks are done by the model; faithfulness at 8.0% of the features (agreement across a clause): "
        "forward: copy 0.60, from scratch 0.50; backward: copy 0.70, from scratch 0.90; "
    )
    theirs = [_theirs(arm, ["agreement"]) for arm in ("forward", "backward", "scratch")]
    papers = "; the paper {:.2f}, {:.2f}, from scratch (1 billion tokens) {:.2f}; completeness at 1.6%"
    assert papers.format(*theirs) in said
    assert "(agreement across a clause): forward: copy -0.50, from scratch -0.25; the paper " in said


def test_how_often_the_model_itself_is_right_is_told() -> None:
    right = [line | {"accuracy": rate} for line, rate in zip(TASKS, (0.55, 1.0, None, 0.8), strict=True)]
    said = carried.circuits({"21_circuits": {"tasks": right, "faithfulness": FAITHFULNESS}})
    assert said.startswith(
        "3 of 4 tasks are done by the model (right: indirect objects 55%, repeated random words 100%, greater than "
        "80%); faithfulness"
    )


def test_circuits_are_means_over_the_tasks_that_both_have() -> None:
    """Forward (0.6 + 0.8) / 2, scratch (0.5 + 0.3) / 2; and the paper's means over the same two tasks."""
    lines = [line for line in FAITHFULNESS if line["direction"] == "forward" and line["mean"] is not None]
    more = [*lines, faithful("greater_than", 0.08, 0.3, "scratch")]
    said = carried.circuits({"21_circuits": {"tasks": TASKS, "faithfulness": more}})
    assert "(agreement across a clause, greater than): forward: copy 0.70, from scratch 0.40; the paper" in said
    theirs = [_theirs(arm, ["agreement", "greater_than"]) for arm in ("forward", "scratch")]
    assert "the paper {:.2f}, from scratch (1 billion tokens) {:.2f}; completeness".format(*theirs) in said


def test_circuits_of_another_size_than_the_papers_stand_without_it() -> None:
    lines = [line for line in FAITHFULNESS if line["measure"] == "faithfulness" and line["share"] == 0.08]
    smaller = [line | {"share": 0.03} for line in lines]
    said = carried.circuits({"21_circuits": {"tasks": TASKS, "faithfulness": smaller}})
    assert said.endswith("backward: copy 0.70, from scratch 0.90; the paper has no circuits of that size")


def test_tasks_that_the_paper_has_not_stand_without_it() -> None:
    lines = [line for line in FAITHFULNESS if line["task"] == "repeats"]
    lines.append(faithful("agreement", 0.08, None, "scratch"))  # which the paper has, but no score is there
    done = [task | {"scored": task["task"] in ("repeats", "agreement")} for task in TASKS]
    assert carried.circuits({"21_circuits": {"tasks": done, "faithfulness": lines}}) == (
        "2 of 4 tasks are done by the model; faithfulness at 8.0% of the features (repeated random words): "
        "forward: copy 55.00, from scratch 55.00; the paper has none of these tasks"
    )


def _theirs(arm: str, tasks: list[str]) -> float:
    table = published.published_faithfulness().query("measure == 'faithfulness' and k == 492")
    own = table[(table["arm"] == arm) & table["task"].isin(tasks)]
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
    assert said == "not measured: the model does none of 4 tasks"
    without = carried.circuits({"21_circuits": {"tasks": TASKS, "faithfulness": []}})
    assert without == "3 of 4 tasks are done by the model"
