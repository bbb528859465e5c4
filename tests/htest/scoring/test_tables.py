"""Tables and sentences of the H-Test notebooks say what the numbers are, worked out by hand."""

from dataclasses import replace

import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.scoring.accuracy import accuracies_of, accuracy_table
from saelib.htest.scoring.comparison import compare
from saelib.htest.scoring.names import shown_task
from saelib.htest.scoring.readings import readings_of
from saelib.htest.scoring.select import as_chosen
from saelib.htest.scoring.tables import (
    MEAN,
    comparison_sentence,
    comparison_table,
    geometry_table,
    item_sets_table,
    readers_table,
    replies_table,
    task_table,
    wide_table,
)
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of


def results() -> pd.DataFrame:
    """Three models, the last one asked two tasks only; tasks come in another order than the paper's."""
    backwards = [LETTER_GEOMETRY, *reversed(TASKS)]
    replies = replies_of(lambda item: item.label, 200, backwards, model="control:oracle")
    replies += replies_of(lambda _: "A", 200, list(TASKS), model="control:constant_a")
    replies += replies_of(lambda _: "B", 200, ["rhyme", "uppercase"], model="some|model")
    return accuracy_table(readings_of(replies), ["model", "task"])


def test_tasks_stand_in_the_papers_order_with_their_mean_beneath() -> None:
    wide = wide_table(results(), reader="strict")
    assert wide["task"].tolist() == [*map(shown_task, TASKS), "letter geometry", MEAN]
    assert list(wide.columns) == ["task", "an independent rule for each task", "always A", "some|model"]
    cells = wide.set_index("task")
    assert cells.loc["rhyme"].tolist() == ["1.00 (0.98 to 1.00)", "0.50 (0.43 to 0.57)", "0.50 (0.43 to 0.57)"]
    assert cells.loc["palindrome", "some|model"] == cells.loc["letter geometry", "some|model"] == "-"
    assert cells.loc[MEAN].tolist() == ["1.00 (0.99 to 1.00)", "0.50 (0.48 to 0.52)", "-"]


def test_any_two_columns_and_any_value() -> None:
    replies = [reply for k in (4, 50) for reply in noisy_replies(1.0, -1.0, tasks=["rhyme", "uppercase"], k=k)]
    table = accuracy_table(readings_of(replies), ["k", "task"])
    ranked = wide_table(table, columns="k", value="auroc", reader="likelier", digits=1)
    assert list(ranked.columns) == ["task", "4 shots", "50 shots"] and len(ranked) == 3
    assert ranked.iloc[:, 1].str.fullmatch(r"[01]\.\d \([01]\.\d to [01]\.\d\)").all()
    shares = wide_table(table, rows="k", columns="task", value="share_none", reader="strict")
    assert shares.to_dict("records") == [
        {"shots": f"{k} shots", "uppercase": "0.00", "rhyme": "0.00"} for k in (4, 50)]  # fmt: skip
    assert wide_table(table, columns="k", value="items", reader="strict").iloc[0].tolist() == ["uppercase", "60", "60"]


def test_what_does_not_fit_into_cells_is_refused() -> None:
    table = results()
    with pytest.raises(ValueError, match="several rows for one task and model.*paper, strict"):
        wide_table(table)
    with pytest.raises(ValueError, match="no rows.*paper, strict"):
        wide_table(table, reader="likelier")
    with pytest.raises(ValueError, match="column 'shots' is unknown"):
        wide_table(table, columns="shots", reader="strict")


@pytest.fixture
def comparison() -> pd.DataFrame:
    """In "rhyme" the second condition is right on all forty items, in "uppercase" both always say A."""
    tasks = ("rhyme", "uppercase")
    first = replies_of(lambda item: "A", 40, tasks, k=4)
    second = replies_of(lambda item: item.label if item.task == "rhyme" else "A", 40, tasks, k=50)
    return compare(readings_of(first + second), {"k": 4}, {"k": 50}, "strict")


def test_a_comparison_has_its_difference_and_interval_in_one_cell(comparison: pd.DataFrame) -> None:
    table = comparison_table(comparison, ["4 shots", "50 shots"])
    rows = table.set_index("task")
    assert list(table) == ["task", "items", "4 shots", "50 shots", "difference (95%)", "p", "p, 2 tasks (Holm)"]
    assert rows.loc["rhyme", ["items", "4 shots", "50 shots"]].tolist() == [40, 0.5, 1.0]
    low, high = comparison.set_index("task").loc["rhyme", ["low", "high"]]
    assert rows.loc["rhyme", "difference (95%)"] == f"0.500 ({low:.3f} to {high:.3f})"
    assert rows.loc["uppercase", "difference (95%)"].startswith("0.000 (-0.0")
    assert rows["p"].astype(float).tolist() == pytest.approx([2 * 0.5**20, 1], rel=0.05)
    assert rows["p, 2 tasks (Holm)"].astype(float).tolist() == pytest.approx([4 * 0.5**20, 1], rel=0.05)


def test_a_comparison_in_words(comparison: pd.DataFrame) -> None:
    sentence = comparison_sentence(comparison, "4 against 50 shots")
    assert sentence.startswith("**4 against 50 shots**: the mean accuracy goes from 0.500 to 0.750, a difference of 0.")
    assert "a difference of 0.250 (0." in sentence
    assert "p = 1.9e-06" in sentence
    assert sentence.endswith("p < 0.05 in rhyme.")
    unsure = comparison.assign(p_holm=0.05)
    assert comparison_sentence(unsure, "x").endswith("p < 0.05 in no task.")


def test_replies_are_counted_by_what_they_hold() -> None:
    items = [make_item(row) for row in (1, 2, 3)]
    replies = [make_reply(item, "A", 1.0) for item in items[:2]] + [make_reply(items[2], None, 0.5)]
    replies += [make_reply(item, "", model="api:x", k=14) for item in items]
    assert replies_table(readings_of(replies)).values.tolist() == [
        ["embedded", "chat", 4, "fresh items", 3, 2, 3],
        ["api:x", "chat", 14, "fresh items", 3, 3, 0],
    ]


def test_readers_of_the_same_replies_side_by_side() -> None:
    """ "paper" takes a refusal with an a in it for A, "strict" takes it for no answer."""
    replies = replies_of(lambda item: "I cannot say" if item.row <= 4 else item.label, 8, TASKS)
    geometry = replies_of(lambda item: item.label, 8, ["letter_geometry"], form="letter_geometry", k=0)
    rows = readers_table(accuracies_of(readings_of(replies + geometry))).set_index("read by")
    assert set(rows["who answers"]) == {"embedded"}
    assert set(rows["prompt"]) == {"chat"}  # letter geometry is no mean over tasks
    columns = ["of the answered", "no answer", "says A"]
    assert rows.loc["strict parser", columns].tolist() == [1, 0.5, 0.25]
    assert rows.loc["released parser", columns].tolist() == [0.75, 0, 0.75]
    assert rows.loc["strict parser", "accuracy (95%)"].startswith("0.500 (")
    assert rows.loc["released parser", "accuracy (95%)"].startswith("0.750 (")


def test_sets_of_items_side_by_side() -> None:
    def told(item_set: str, k: int, right: int) -> list[Reply]:
        return [
            replace(reply, item=replace(reply.item, item_set=item_set))
            for reply in replies_of(lambda item: item.label if item.row <= right else "none", 10, TASKS, k=k)
        ]

    replies = told("two", 4, 5) + told("one", 4, 8) + told("two", 50, 2) + told("one", 50, 6)
    table = item_sets_table(as_chosen(accuracies_of(readings_of(replies))))
    assert list(table) == ["who answers", "shots", "two", "one"]  # as they come
    assert table[["who answers", "shots"]].values.tolist() == [["embedded", 4], ["embedded", 50]]
    means = table[["two", "one"]].map(lambda text: float(text.split(" (")[0]))
    assert means.values.tolist() == [[0.5, 0.8], [0.2, 0.6]]


def test_a_model_asked_on_one_set_only_leaves_a_gap() -> None:
    replies = noisy_replies(1, 0, items=6)
    more = [replace(r, item=replace(r.item, item_set="two")) for r in noisy_replies(1, 0, items=6, model="other")]
    table = item_sets_table(as_chosen(accuracies_of(readings_of(replies + more)))).set_index("who answers")
    assert table[["fresh items", "two"]].isna().values.tolist() == [[False, True], [True, False]]


def test_rows_of_models_stand_as_they_come() -> None:
    """Not by the alphabet: a family goes from small to large."""
    replies = [reply for model in ("small", "large") for k in (50, 4) for reply in
               replies_of(lambda item: item.label, 4, TASKS, model=model, k=k)]  # fmt: skip
    table = item_sets_table(as_chosen(accuracies_of(readings_of(replies))))
    assert table[["who answers", "shots"]].values.tolist() == [["small", 50], ["small", 4], ["large", 50], ["large", 4]]


def test_letter_geometry_has_symbols_in_place_of_letters() -> None:
    line = {"item_set": "fresh-2", "model": "control:constant_a", "reader": "strict", "items": 90,
            "mean": 0.25, "low": 0.2, "high": 0.3}  # fmt: skip
    assert geometry_table(pd.DataFrame([line])).to_dict("records") == [
        {"set of items": "fresh items", "who answers": "always the first symbol", "read by": "strict parser",
         "items": 90, "accuracy (95%)": "0.250 (0.200 to 0.300)"}]  # fmt: skip


def test_one_condition_by_every_reader_task_by_task() -> None:
    replies = noisy_replies(1, -3, form="completion", k=50)
    rows = accuracies_of(readings_of(replies))
    table = task_table(rows)
    assert table.columns.tolist() == [
        "task", "released parser (95%)", "strict parser (95%)", "likelier letter (95%)", "says A (95%)",
        "AUROC of the margin (95%)", "accuracy at the median margin (95%)",
    ]  # fmt: skip
    assert table["task"].tolist() == [*map(shown_task, TASKS), MEAN]
    likelier = rows[rows["reader"] == "likelier"].set_index("task")
    accuracies = [f"{accuracy:.2f}" for accuracy in likelier.loc[[*TASKS], "accuracy"]]
    assert table["likelier letter (95%)"].str[:4].tolist()[:-1] == accuracies
    assert table["AUROC of the margin (95%)"].str[:4].iloc[-1] == f"{likelier['auroc'].mean():.2f}"


def test_a_chat_models_letters_are_those_of_its_reply_and_an_api_has_no_margin() -> None:
    replies = [make_reply(make_item(row, task), "B", 1.0, k=50) for task in TASKS for row in (1, 2, 3, 4)]
    table = task_table(accuracies_of(readings_of(replies)))
    assert table["says A (95%)"].str[:4].iloc[-1] == "0.00", "though the likelier letter is A"
    api = task_table(accuracies_of(readings_of(replies_of(lambda _: "A", 4, TASKS, model="api:x/y"))))
    assert api["AUROC of the margin (95%)"].tolist() == ["-"] * 11
    assert api.columns[1:3].tolist() == ["released parser (95%)", "strict parser (95%)"]
