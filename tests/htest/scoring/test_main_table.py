"""The main table shows what an accuracy hides: worked out by hand, by other functions, and on repliers made up."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.items.item import content_free_items
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.main_table import (
    CALIBRATED_COLUMN,
    HEADINGS,
    NO_MARGIN,
    hidden_sentence,
    main_lines,
    main_table,
    who,
)
from saelib.htest.scoring.readings import readings_of
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of

ORACLE = "control:oracle"


def lines_of(*replies: list[Reply]) -> list[dict[str, Any]]:
    return main_lines(accuracies_of(readings_of([reply for part in replies for reply in part])))


def by_rank(right: float, says: str) -> list[Reply]:
    """Margins that put a share of the A items on top, and always say one letter."""
    replies = []
    for task in TASKS:
        for row in range(1, 41):
            item = make_item(row, task)
            up = (item.label == "A") == (row <= 40 * right)
            margin = (1 if up else -1) + row / 1000 + (5 if says == "A" else -5)
            replies.append(make_reply(item, says, margin, form="completion", k=50))
    return replies


def test_the_numbers_of_a_line_are_means_over_tasks() -> None:
    replies = noisy_replies(0.7, -1.0, form="completion", k=50)
    (line,) = lines_of(replies)
    readings = readings_of(replies)
    tasks = [rows for _, rows in readings.groupby("task", sort=False)]
    assert line["accuracy"]["mean"] == pytest.approx((readings["likelier"] == readings["label"]).mean())
    assert line["share_a"]["mean"] == pytest.approx((readings["margin"] > 0).mean())
    pairs = [np.subtract.outer(*(rows.loc[rows["label"] == label, "margin"].to_numpy() for label in "AB"))
             for rows in tasks]  # fmt: skip
    rankings = [(differences > 0).mean() for differences in pairs]
    assert line["auroc"]["mean"] == pytest.approx(np.mean(rankings))
    halves = [((rows["margin"] > rows["margin"].median()) == (rows["label"] == "A")).mean() for rows in tasks]
    assert line["bias_free_accuracy"]["mean"] == pytest.approx(np.mean(halves))
    assert (line["items"], line["tasks"], line["share_none"]) == (600, 10, 0)
    for value in HEADINGS:
        assert line[value]["low"] < line[value]["mean"] < line[value]["high"]


def test_lines_survive_being_recorded() -> None:
    lines = lines_of(by_rank(1, "B"), replies_of(lambda item: item.label, 20, TASKS, model=ORACLE, k=0))
    read = json.loads(json.dumps(lines))
    pd.testing.assert_frame_equal(main_table(read), main_table(lines))
    assert [hidden_sentence(line) for line in read] == [hidden_sentence(line) for line in lines]


def test_the_papers_reading_comes_first_and_alike_readings_are_one_line() -> None:
    alike = noisy_replies(1, 0, form="completion", k=50)
    assert [line["readers"] for line in lines_of(alike)] == [["paper", "likelier"]]
    silent = [make_reply(item.item, "?", 1.0, form="completion", k=50) for item in alike]
    lines = lines_of(silent)
    assert [line["readers"] for line in lines] == [["paper"], ["likelier"]]
    assert [line["accuracy"]["mean"] for line in lines] == [0, 0.5]
    assert [line["one_letter_tasks"] for line in lines] == [0, 10]  # who says nothing says no letter
    assert who(lines[0]) == "embedded, 50 shots, released parser, which finds no answer in 100%"
    assert who(lines[1]) == "embedded, 50 shots, likelier letter"


def test_a_reading_that_counts_as_many_but_says_another_letter_is_a_line_of_its_own() -> None:
    replies = [make_reply(make_item(row, task), "A", -1.0, form="completion") for task in TASKS for row in (1, 2)]
    assert [line["share_a"]["mean"] for line in lines_of(replies)] == [1, 0]


def test_what_has_no_margin_says_so() -> None:
    api = replies_of(lambda item: item.label, 20, TASKS, model="api:openai/gpt-4o", k=50)
    lines = lines_of(api, replies_of(lambda _: "A", 20, TASKS, model="control:constant_a", k=0))
    table = main_table(lines)
    assert table.iloc[:, 0].tolist() == ["api:openai/gpt-4o, 50 shots", "always A"]
    assert (table[[HEADINGS["auroc"], HEADINGS["bias_free_accuracy"]]] == NO_MARGIN).all(axis=None)
    assert table[HEADINGS["accuracy"]].tolist()[0].startswith("1.00 (")
    assert table[HEADINGS["share_a"]].tolist()[1].startswith("1.00 (")
    assert "without a margin" in hidden_sentence(lines[0])


def test_a_table_of_several_sets_names_them_and_counts_items() -> None:
    (line,) = lines_of(noisy_replies(1, 0, form="bare", k=0, model="tuned:x"))
    other = line | {"item_set": "official-4787987", "items": 2000}
    table = main_table([line, other])
    assert table.columns[0] == "who answers"
    assert table.iloc[:, 0].tolist() == [
        "one tuned model for each task, bare text, fresh items, 600 items",
        "one tuned model for each task, bare text, released items, 2,000 items",
    ]


def test_letter_geometry_is_in_no_line() -> None:
    assert lines_of(replies_of(lambda item: item.label, tasks=[LETTER_GEOMETRY], form="letter_geometry")) == []


@pytest.mark.parametrize(
    ("replies", "accuracy", "auroc", "verdict"),
    [
        (by_rank(1, "B"), "indistinguishable from guessing", "above chance", "would hide that"),
        (by_rank(0, "A"), "indistinguishable from guessing", "below chance", "would hide that"),
        (by_rank(0.5, "B"), "indistinguishable from guessing", "indistinguishable from chance", "says the same"),
        (noisy_replies(2, 0, form="completion"), "above guessing", "above chance", "says the same"),
        (noisy_replies(-2, 0, form="completion"), "below guessing", "below chance", "says the same"),
    ],
)
def test_the_sentence_says_whether_accuracy_hides_something(
    replies: list[Reply], accuracy: str, auroc: str, verdict: str
) -> None:
    (line,) = lines_of(replies)
    sentence = hidden_sentence(line)
    assert accuracy in sentence and f", {auroc}: the accuracy alone {verdict}." in sentence


def test_the_sentence_counts_tasks_on_either_side_and_those_of_one_letter() -> None:
    up, down = by_rank(1, "B"), by_rank(0, "B")
    mixed = [*up[:120], *down[120:200], *by_rank(0.5, "B")[200:]]
    sentence = hidden_sentence(lines_of(mixed)[0])
    assert (
        "above chance in 3 and below it in 2 of 10 tasks; it says one letter to 95% of the items or more in 10, "
        in (sentence)
    )
    free = hidden_sentence(lines_of(noisy_replies(2, 0, form="completion"))[0])
    assert free.endswith("more in 0.")


def test_a_name_full_of_signs_is_shown_to_the_letter() -> None:
    (line,) = lines_of(noisy_replies(1, 0, form="completion", model="a|b$$<c>\nd"))
    assert hidden_sentence(line).startswith(r"**a\|b\$\$\<c\> d, 4 shots**")


def test_an_option_that_an_api_left_out_is_said_in_the_table() -> None:
    replies = noisy_replies(1, 0, form="chat", model="api:x/y")
    replies[3] = replace(replies[3], log_probabilities=None)
    (line,) = lines_of(replies)
    assert line["auroc"] is None and (line["scored"], line["replies"]) == (599, 600)
    assert main_table([line])["AUROC of the margin (95%)"].tolist() == ["- (margin on 599 of 600 only)"]
    base = lines_of([replace(reply, condition=replace(reply.condition, form="completion")) for reply in replies])
    assert [line["readers"] for line in base] == [["paper"]], "no mean over nine tasks in the place of ten"


def content_free(task: str, margin: float, **condition: Any) -> list[Reply]:
    return [make_reply(item, margin=margin, **condition) for item in content_free_items("fresh-2", task, 0)]


def test_calibration_is_one_more_column_where_anyone_was_asked_for_it() -> None:
    always_b = by_rank(1, "B")
    free = [reply for task in TASKS for reply in content_free(task, -5.0, form="completion", k=50)]
    (line,) = lines_of(always_b, free)
    assert (line["accuracy"]["mean"], line["calibrated"]["mean"]) == (0.5, 1)
    oracle = lines_of(replies_of(lambda item: item.label, 40, TASKS, model=ORACLE, k=0))
    assert main_table([line, *oracle])[CALIBRATED_COLUMN].tolist() == ["1.00 (0.97 to 1.00)", "-"]
    assert CALIBRATED_COLUMN not in main_table(lines_of(always_b))


def test_some_tasks_without_calibration_have_no_mean_over_all() -> None:
    free = [reply for task in list(TASKS)[1:] for reply in content_free(task, -5.0, form="completion", k=50)]
    assert [line["calibrated"] for line in lines_of(by_rank(1, "B"), free)] == [None]


def test_a_model_that_is_asked_in_two_forms_has_lines_that_name_them() -> None:
    completion, chat = noisy_replies(1, 0, form="completion", k=50), noisy_replies(1, 0, form="chat", k=50)
    assert [who(line) for line in lines_of(completion, chat)] == [
        "embedded, 50 shots, completion",
        "embedded, 50 shots, chat",
    ]
    bare = noisy_replies(1, 0, form="bare", k=0)
    assert [who(line) for line in lines_of(completion, bare)] == ["embedded, 50 shots", "embedded, bare text"]


def test_where_lines_are_of_different_numbers_of_items_each_says_its_own() -> None:
    few, many = (lines_of(noisy_replies(1, 0, items, form="completion", model=f"of_{items}"))[0] for items in (20, 40))
    table = main_table([few, many])
    assert table["who answers"].tolist() == [
        "of_20, 4 shots, 200 items", "of_40, 4 shots, 400 items"]  # fmt: skip
    assert main_table([few]).columns[0] == "who answers (200 items)"
    assert main_table([few])["who answers (200 items)"].tolist() == ["of_20, 4 shots"]
