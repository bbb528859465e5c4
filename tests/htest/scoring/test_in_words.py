"""The first page's two sentences follow the numbers, whichever way they fall."""

import re
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.htest.audit.shortcuts import shortcut_numbers
from saelib.htest.scoring.finding_tables import (
    by_task,
    compared,
    fresh_table,
    lacks_table,
    learner_table,
    shortcut_table,
    summary_table,
)
from saelib.htest.scoring.in_words import finding_of, finding_sentences, not_shown
from saelib.htest.scoring.readings import ITEM_COLUMNS, readings_of
from saelib.htest.tasks import TASKS
from tests.helpers.answers import make_reply, noisy_replies, replies_of
from tests.helpers.htest_tables import RELEASED, released_and_fresh
from tests.helpers.some_items import needs_official, official_items


def estimate(mean: float, half: float = 0.02) -> dict[str, float]:
    return {"mean": mean, "low": mean - half, "high": mean + half, "count": 10}


MAIN = {"tasks": 10, "accuracy": estimate(0.525), "share_a": estimate(0.94), "auroc": estimate(0.73),
        "bias_free_accuracy": estimate(0.67), "preference": estimate(0.146), "not_known": 0.329,
        "held_fixed": estimate(0.68, 0.03), "shortcut_auroc": estimate(0.71), "learnt_auroc": estimate(0.75),
        "over_learnt": estimate(0.03), "learnt_fixed": estimate(0.69),
        "both_fixed": estimate(0.66, 0.06) | {"count": 8},
        "all_pairs": {"both_fixed": estimate(0.71)}, "auroc_above": 9, "auroc_below": 0,
        "prefers": {"A": 9, "B": 0}, "one_letter": 0.95}  # fmt: skip
FRESH = {"tasks": 10, "first": 0.73, "second": 0.65, "difference": -0.08, "low": -0.11, "high": -0.05, "p": 0.0137,
         "lower": ["rhyme"], "higher": [], "most": {"task": "rhyme", "first": 0.85, "second": 0.52}}  # fmt: skip


ITEMS, MAY_BE = "released items", "what it knows may be the"
OPEN = "alone is all that it knows, both together may be."
RISE = {"difference": 0.05, "low": 0.01, "high": 0.09, "lower": []}


def finding(fresh: dict[str, Any] | None = FRESH, reach: float | None = None, **main: Any) -> dict[str, Any]:
    return {"model": "some_model", "form": "completion", "k": 50, "item_set": RELEASED, "fresh_set": "fresh-2",
            "in_all": {RELEASED: MAIN | main, "fresh-2": MAIN | {"learnt_auroc": estimate(0.65)}},
            "against_fresh": fresh, "orders": {}, "reach_of_draws": reach}  # fmt: skip


def test_the_first_look_in_two_sentences() -> None:
    hidden, carries = finding_sentences(finding())
    assert hidden == (
        "some_model, completing the pattern with 50 shots, is right on 0.53 (0.51 to 0.55) of the released items by "
        "its likelier letter, near guessing, yet its margin tells A from B (AUROC 0.73 (0.71 to 0.75)): 0.15 is lost "
        "to its preference for A."
    )
    assert carries == (
        "On fresh items the AUROC is 0.08 (0.05 to 0.11) lower, most in rhyme, each set behind one draw of shots; "
        "among released items alike in one number of the text and letter n-grams (8 of 10 tasks) it is 0.66 (0.60 to "
        "0.72): more than these two explain."
    )


def test_the_sentences_are_short() -> None:
    """An interval belongs to its number."""
    words = [len(re.sub(r" \([-.0-9]+ to [-.0-9]+\)", "", one).split()) for one in finding_sentences(finding())]
    assert max(words) <= 43


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ({"accuracy": estimate(0.8)}, "above guessing, and its margin tells A from B"),
        ({"accuracy": estimate(0.3)}, "below guessing, yet its margin tells A from B"),
        ({"accuracy": estimate(0.52, 0.08)}, "which may be guessing, and its margin tells A from B"),
        ({"auroc": estimate(0.55, 0.06)}, "it is open whether its margin tells A from B (AUROC 0.55 (0.49 to 0.61);"),
        ({"auroc": estimate(0.45, 0.06)}, "it is open whether its margin tells A from B (AUROC 0.45 (0.39 to 0.51);"),
        ({"auroc": estimate(0.5, 0.06)}, "it is open whether its margin tells A from B (AUROC 0.50 (0.44 to 0.56);"),
        ({"auroc": estimate(0.51)}, "and its margin is near chance (AUROC 0.51 (0.49 to 0.53); above chance in 9"),
        ({"auroc": estimate(0.40)}, "and its margin runs against the labels (AUROC 0.40"),
        ({"auroc_below": 1, "auroc_above": 8}, "(AUROC 0.73 (0.71 to 0.75); above chance in 8 tasks, below in 1):"),
    ],
)
def test_each_outcome_has_words_of_its_own(main: dict[str, Any], words: str) -> None:
    assert words in finding_sentences(finding(**main))[0]


def test_an_open_outcome_is_not_called_ignorance() -> None:
    hidden = finding_sentences(finding(auroc=estimate(0.55, 0.06)))[0]
    assert "no preferred letter" not in hidden and "chance:" not in hidden and "near chance" not in hidden


def test_tasks_above_and_below_chance_are_no_ignorance_though_their_mean_is_at_chance() -> None:
    mixed: dict[str, Any] = {"auroc": estimate(0.5), "auroc_above": 5, "auroc_below": 5}
    hidden = finding_sentences(finding(**mixed))[0]
    assert hidden.endswith("above chance in 5 tasks, below in 5): what it knows differs by task.")
    below = finding_sentences(finding(auroc=estimate(0.4), auroc_above=0, auroc_below=7))[0]
    assert below.endswith("above chance in 0 tasks, below in 7): no preferred letter hides knowledge.")


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ({"preference": estimate(0.01)}, "a preferred letter costs nothing that can be measured."),
        ({"prefers": {"A": 0, "B": 10}}, "0.15 is lost to its preference for B."),
        ({"prefers": {"A": 5, "B": 5}}, "0.15 is lost to a preferred letter (A in 5 tasks, B in 5 tasks)."),
        ({"prefers": {"A": 9, "B": 1}}, "0.15 is lost to a preferred letter (A in 9 tasks, B in 1 task)."),
        ({"prefers": {"A": 0, "B": 0}}, "0.15 is lost to a preferred letter."),
    ],
)
def test_a_preferred_letter_is_named_where_the_tasks_agree(main: dict[str, Any], words: str) -> None:
    assert finding_sentences(finding(**main))[0].endswith(words)


@pytest.mark.parametrize("form", ["chat", "completion"])
def test_the_accuracy_is_the_likelier_letters_in_every_form(form: str) -> None:
    assert "by its likelier letter" in finding_sentences(finding() | {"form": form})[0]


@pytest.mark.parametrize("auroc", [0.5, 0.4])
def test_who_knows_nothing_has_nothing_that_could_be_a_shortcut(auroc: float) -> None:
    hidden, carries = finding_sentences(finding(auroc=estimate(auroc), held_fixed=estimate(0.49), auroc_above=0))
    assert "no preferred letter hides knowledge" in hidden
    assert carries.endswith("; no shortcut is held against a margin that is not clearly above chance.")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lower": []}, "0.08 (0.05 to 0.11) lower, each set behind"),
        ({"lower": ["palindrome"]}, "0.08 (0.05 to 0.11) lower, each set behind"),
        ({"higher": ["spelled_number"]}, "lower, most in rhyme (higher in spelled number), each set"),
        (
            {"p": 0.34},
            "lower in these ten tasks (that others would show it is open: p = 0.34), most in rhyme, each set",
        ),
        (RISE, "On fresh items the AUROC is 0.05 (0.01 to 0.09) higher, each set"),
        (RISE | {"lower": ["rhyme"]}, "higher (lower in rhyme), each set"),
        (RISE | {"p": 0.34, "tasks": 8}, "higher in these 8 tasks (that others would show it is open: p = 0.34), each"),
        (
            {"difference": -0.02, "low": -0.05, "high": 0.01},
            "it is open whether the AUROC is another one (-0.02 (-0.05 ",
        ),
    ],
)
def test_what_fresh_items_change_is_said_as_far_as_it_is_known(change: dict[str, Any], words: str) -> None:
    assert words in finding_sentences(finding(FRESH | change))[1]


@pytest.mark.parametrize(
    ("reach", "change", "words"),
    [
        (None, {}, "lower, most in rhyme, each set behind one draw of shots;"),
        (0.03, {}, "lower, most in rhyme, more than draws of shots alone may do (0.03);"),
        (0.09, {}, "lower, most in rhyme, which draws of shots alone may do (0.09);"),
        (0.03, {"low": -0.2, "high": 0.1}, "and draws of shots alone move it by up to 0.03;"),
    ],
)
def test_a_fall_is_held_against_the_draws_of_shots(reach: float | None, change: dict[str, Any], words: str) -> None:
    one = finding(FRESH | change, reach)
    assert words in finding_sentences(one)[1]
    assert ("each set of items was asked behind one" in not_shown(one)) == (reach is None)
    assert ("why fresh items are harder" in not_shown(one)) == (not change and reach != 0.09)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ({"held_fixed": estimate(0.51)}, f"{MAY_BE} number alone."),
        (
            {"held_fixed": estimate(0.51)},
            f"in one number of the text it is 0.51 (0.49 to 0.53): {MAY_BE} number alone.",
        ),
        (
            {"learnt_fixed": estimate(0.48)},
            f"alike in letter n-grams it is 0.48 (0.46 to 0.50): {MAY_BE} n-grams alone.",
        ),
        (
            {"held_fixed": None},
            f"no {ITEMS} with other labels are alike in one number of the text: {MAY_BE} number alone.",
        ),
        ({"held_fixed": estimate(0.5), "learnt_fixed": estimate(0.5)}, f"{MAY_BE} number or the n-grams alone."),
        ({"both_fixed": estimate(0.55, 0.06)}, f"; neither one number of the text nor letter n-grams {OPEN}"),
        (
            {"both_fixed": None, "over_learnt": estimate(-0.02)},
            f"; on {ITEMS} it is not clearly better than letter n-grams: {MAY_BE} n-grams alone.",
        ),
        ({"both_fixed": estimate(0.66), "over_learnt": estimate(-0.02)}, "more than these two explain."),
        ({"both_fixed": None}, f"; neither one number of the text nor letter n-grams {OPEN}"),
        ({"both_fixed": estimate(0.66)}, "letter n-grams it is 0.66 (0.64 to 0.68): more than these two explain."),
    ],
)
def test_a_margin_that_is_no_more_than_a_shortcut_is_called_so(left: dict[str, Any], words: str) -> None:
    assert finding_sentences(finding(**left))[1].endswith(words)


def test_what_is_not_there_is_said() -> None:
    carries = finding_sentences(finding(None, shortcut_auroc=None, learnt_auroc=None))[1]
    assert carries == "There is no second set of items to set beside these; no shortcut could be set beside the margin."
    assert "harder" not in not_shown(finding(None))


@needs_official
@pytest.mark.parametrize(("noise", "label"), [(0.0, 0.0), (0.3, 0.0), (1.0, 1.0)])
def test_a_margin_that_is_the_learner_is_the_n_grams_alone_and_one_that_knows_is_not(
    noise: float, label: float
) -> None:
    """Margins made of what the dev items teach (standardised), or of the label; A is said to nearly all."""
    random = np.random.default_rng(0)
    items = [item for item in official_items() if item.task in TASKS]
    numbers = shortcut_numbers(items)
    by_task = numbers.groupby("task")["learnt"]
    copies = ((numbers["learnt"] - by_task.transform("mean")) / by_task.transform("std")).to_numpy()
    tests = {item.key: item for item in items}
    asked = [
        tests[f"{line.item_set}/{line.item_seed}/{line.task}/{line.split}/{line.row}"] for line in numbers.itertuples()
    ]
    is_a = np.array([item.label == "A" for item in asked])
    margins = 5 + (label * is_a if label else copies) + random.normal(0, noise, len(asked))
    replies = [make_reply(item, margin=float(margin), form="completion", k=50)
               for item, margin in zip(asked, margins, strict=True)]  # fmt: skip
    found = finding_of(readings_of(replies), numbers, None)
    assert found is not None
    whole = found["in_all"][asked[0].item_set]
    if label:
        assert finding_sentences(found)[1].endswith(": more than these two explain.")
        assert whole["learnt_fixed"]["mean"] == pytest.approx(whole["auroc"]["mean"], abs=0.03)
    else:
        assert finding_sentences(found)[1].endswith("what it knows may be the n-grams alone.")
        assert whole["auroc"]["mean"] > 0.7 and whole["learnt_fixed"]["mean"] == pytest.approx(0.5, abs=0.03)


def test_a_main_set_without_margins_is_not_replaced_by_the_fresh_one() -> None:
    readings = released_and_fresh(1.5, 0.3, 20)
    numbers = readings[ITEM_COLUMNS].assign(feature="words", learnt=0.0, number=1)
    lacking = readings.assign(margin=readings["margin"].where(readings["item_set"] != RELEASED))
    assert finding_of(lacking, numbers, "fresh-2") is None
    one_task = readings.assign(margin=readings["margin"].where(readings["task"] != "end_punctuation"))
    found = finding_of(one_task, numbers, "fresh-2")
    assert found is not None and found["item_set"] == RELEASED


def test_other_draws_of_shots_are_recorded_beside_the_fall() -> None:
    readings = released_and_fresh(1.5, 0.3, 40)
    numbers = readings[ITEM_COLUMNS].assign(feature="words", learnt=0.0, number=1)
    random = np.random.default_rng(0)
    noisy = [readings["margin"] + random.normal(0, 0.3, len(readings)) for _ in range(3)]
    shuffled = pd.concat([readings.assign(shuffle_seed=seed, margin=margin) for seed, margin in enumerate(noisy)])
    found = finding_of(readings, numbers, "fresh-2", shuffled)
    assert found is not None and {name: len(one["orders"]) for name, one in found["orders"].items()} == {
        RELEASED: 4, "fresh-2": 4}  # fmt: skip
    assert 0 < found["reach_of_draws"] < 0.1
    assert "more than draws of shots alone may do" in finding_sentences(found)[1]
    table = summary_table(found).set_index("")
    assert table.loc["AUROC over draws of shots"].str.endswith("(4 draws)").all()
    assert finding_of(readings, numbers, "fresh-2", shuffled[:0])["reach_of_draws"] is None  # type: ignore[index]


def real() -> dict[str, Any]:
    """From made-up replies, through all steps."""
    readings = released_and_fresh(1.5, 0.3, 40)
    numbers = readings[ITEM_COLUMNS].assign(feature="words", learnt=0.0, number=[row % 5 for row in readings["row"]])
    found = finding_of(readings, numbers, "fresh-2")
    assert found is not None
    return found


def test_a_finding_goes_from_replies_to_words_and_tables() -> None:
    found = real()
    assert (found["item_set"], found["fresh_set"], found["k"]) == (RELEASED, "fresh-2", 4)
    assert "in chat with 4 shots" in finding_sentences(found)[0] and "lower" in finding_sentences(found)[1]
    assert len(by_task(found)) == 20 and len(compared(found)) == 10
    table = fresh_table(found)
    assert table.columns[:3].tolist() == ["task", "AUROC, released items", "AUROC, fresh items"]
    assert table["p"].iloc[-1] == "0.002 (sign-flip)" and len(table) == 11
    for shown in (lacks_table(found, "fresh-2"), shortcut_table(found, RELEASED), learner_table(found, RELEASED)):
        assert shown["task"].tolist()[-1] == "mean of tasks" and len(shown) == 11
        assert not shown.isna().any(axis=None)


def test_a_recorded_finding_says_the_same() -> None:
    import json
    import math

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [plain(entry) for entry in value]
        return None if isinstance(value, float) and not math.isfinite(value) else value

    found = real()
    read = json.loads(json.dumps(plain(found)))
    assert finding_sentences(read) == finding_sentences(found) and not_shown(read) == not_shown(found)
    pd.testing.assert_frame_equal(fresh_table(read), fresh_table(found))
    pd.testing.assert_frame_equal(shortcut_table(read, RELEASED), shortcut_table(found, RELEASED))
    pd.testing.assert_frame_equal(summary_table(read), summary_table(found))


def test_where_a_number_gives_the_label_away_the_table_says_so() -> None:
    readings = readings_of(noisy_replies(1, 0, 20))
    numbers = readings[ITEM_COLUMNS].assign(feature="signs", learnt=0.0, number=(readings["label"] == "A").astype(int))
    found = finding_of(readings, numbers, "fresh-2")
    assert found is not None and found["against_fresh"] is None and fresh_table(found).empty
    table = shortcut_table(found, "fresh-2")
    assert table["pairs with the same number (95%)"].tolist() == ["- (no pairs)"] * 10 + ["-"]
    assert "no fresh items with other labels are alike in one number of the text" in finding_sentences(found)[1]


def test_without_margins_there_is_no_finding() -> None:
    readings = readings_of(replies_of(lambda item: item.label, 4))
    assert finding_of(readings, readings[ITEM_COLUMNS].assign(feature="words", learnt=0.0, number=1), None) is None


def test_sentences_read_what_is_recorded_and_change_nothing() -> None:
    one = finding()
    before = deepcopy(one)
    finding_sentences(one), not_shown(one)
    assert one == before


def test_the_table_beneath_has_what_the_sentences_leave_out() -> None:
    table = summary_table(finding()).set_index("")
    assert table.columns.tolist() == ["released items", "fresh items"]
    released = table["released items"]
    assert released["margin, pairs alike in both (95%)"] == "0.66 (0.60 to 0.72) (8 of 10 tasks; all pairs there 0.71)"
    assert released["says the letter that it prefers"] == "0.95 (A in 9 tasks)"
    assert released["tasks with an AUROC above, below chance"] == "9, 0" and released["not known"] == "0.33"
    assert table.loc["p of the sign-flip test over ten tasks"].tolist() == ["", "0.014"]
    assert table.loc["tasks lower, higher by themselves (Holm)", "fresh items"] == "1, 0"
    assert table.loc["draws of shots alone differ by up to (95%)", "fresh items"] == "-"
    alone = summary_table(finding(None))
    assert not alone[""].str.contains("sign-flip").any()
