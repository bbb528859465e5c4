"""Cuts worked out by hand, and what they find in the released items."""

import pytest

from saelib.htest.audit.shortcuts import (
    FEATURES,
    Feature,
    Threshold,
    best_threshold,
    features,
    fit_threshold,
    rarest_option,
    rarest_option_accuracy,
    shortcut_numbers,
    shortcut_table,
)
from tests.helpers.some_items import made, needs_official, official_items, question

CHARACTERS, WORDS, DIGITS, SIGNS = FEATURES


def test_features_of_a_text() -> None:
    assert [feature.measure("A well-known dog: 2.") for feature in FEATURES] == [20, 4, 1, 3]
    assert [feature.name for feature in features(count_tokens=len)] == [
        "characters",
        "words",
        "digits",
        "signs",
        "tokens",
    ]
    assert features(count_tokens=lambda text: 7)[-1].measure("any") == 7


def test_what_a_task_asks_for_is_no_shortcut() -> None:
    assert [feature.name for feature in features("spelled_number")] == ["characters", "words", "signs"]
    items = made("spelled_number", "two owls/six ants", "A") + made("spelled_number", "2 owlets and/6 antelopes", "B")
    assert best_threshold(items) == Threshold(CHARACTERS, 9.5, "B")


def test_digits_and_other_signs_are_counted_apart() -> None:
    items = made("spelled_math", "sum plus 12./root 3.", "A") + made("spelled_math", "sum + 1./root < 34.", "B")
    assert best_threshold(items) == Threshold(SIGNS, 1.5, "B")


def test_a_cut_lies_halfway_between_the_values_that_it_parts() -> None:
    items = made("rhyme", "aa/bbb", "B") + made("rhyme", "cccccc/ddddddd", "A")
    threshold = fit_threshold(items, CHARACTERS)
    assert threshold == Threshold(CHARACTERS, 4.5, "A")
    assert threshold.accuracy(items) == 1.0
    assert [threshold.predict(text) for text in ("e" * 4, "e" * 5)] == ["B", "A"]


def test_the_label_above_may_be_either() -> None:
    items = made("rhyme", "aa/ccccc", "A") + made("rhyme", "bbb/dddddd", "B")
    threshold = fit_threshold(items, CHARACTERS)
    assert (threshold.cut, threshold.above) == (2.5, "B")  # of the equally good cuts 2.5 and 5.5 the lower one
    assert threshold.accuracy(items) == 0.75


def test_a_constant_feature_gives_the_more_frequent_label() -> None:
    items = made("rhyme", "aa/bb", "B") + made("rhyme", "cc", "A")
    assert fit_threshold(items, CHARACTERS) == Threshold(CHARACTERS, 1.5, "B")


def test_no_cut_is_better_than_the_fitted_one() -> None:
    items = made("rhyme", ["x" * length for length in (1, 4, 4, 6, 9, 9)], "A")
    items += made("rhyme", ["x" * length for length in (2, 4, 5, 5, 7)], "B")
    naive = max(
        Threshold(CHARACTERS, half / 2, above).accuracy(items) for half in range(-2, 25) for above in ("A", "B")
    )
    assert fit_threshold(items, CHARACTERS).accuracy(items) == naive


def test_the_best_feature_wins_on_the_items_it_was_fitted_on() -> None:
    items = made("rhyme", "a b c/dd, e f", "A") + made("rhyme", "gg h/iiii, j", "B")
    assert best_threshold(items) == Threshold(WORDS, 2.5, "A")
    tokens = Feature("tokens", {"a b c": 1, "dd, e f": 1, "gg h": 2, "iiii, j": 1}.__getitem__)
    assert best_threshold(items, tokens.measure).feature == WORDS


def test_no_items_or_other_labels_are_refused() -> None:
    with pytest.raises(ValueError, match="labels A and B; 0 items were given"):
        fit_threshold([], CHARACTERS)
    with pytest.raises(ValueError, match="labels A and B; 1 items"):
        best_threshold([question("Which?", "OE", "O")])
    with pytest.raises(ValueError, match="give at least one item"):
        rarest_option_accuracy([])


def test_the_rarest_option_is_the_one_offered_least() -> None:
    items = [question("one", "OEN", "N"), question("two", "EOZ", "O"), question("three", "ZOE", "Z")]
    pick = rarest_option(items)
    assert [pick(item) for item in items] == ["N", "Z", "Z"]
    assert rarest_option_accuracy(items) == pytest.approx(2 / 3)
    assert pick(question("four", "EO", "O")) == "E"  # equally rare: the first


def test_the_table_fits_on_dev_and_reports_test() -> None:
    dev = made("rhyme", "aa/bbb", "A", "dev") + made("rhyme", "cccc/ddddd", "B", "dev")
    test = made("rhyme", "aa/bb/eeee/ffff", "A") + made("rhyme", "gggg/hhhhh", "B")
    other = made("rhyme", "a/b", "A", "dev", "fresh-2") + made("rhyme", "c", "A", "test", "fresh-2")
    geometry = [question("one", "OEN", "N"), question("two", "EOZ", "O")]
    table = shortcut_table(dev + test + other + geometry, len)
    assert list(zip(table["item_set"], table["task"], table["feature"], strict=True)) == [
        *(("made", "rhyme", name) for name in ("characters", "words", "digits", "signs", "tokens")),
        ("made", "letter_geometry", "rarest option"),
        *(("fresh-2", "rhyme", name) for name in ("characters", "words", "digits", "signs", "tokens")),
    ]
    assert table.loc[0, ["cut", "above", "dev_accuracy", "chance"]].tolist() == [3.5, "B", 1.0, 0.5]
    assert table.loc[0, "test_accuracy"] == pytest.approx(4 / 6)
    assert table.loc[5, ["test_accuracy", "chance"]].tolist() == [0.5, pytest.approx(1 / 3)]
    assert table.loc[5, ["cut", "above", "dev_accuracy"]].isna().all()


def test_a_task_without_dev_has_no_row() -> None:
    assert shortcut_table(made("rhyme", "aa", "A")).empty


@needs_official
def test_what_the_released_items_give_away() -> None:
    table = shortcut_table(official_items()).set_index(["task", "feature"])["test_accuracy"]
    assert table["spelled_math", "signs"] == 1.0
    assert table["hyphenated_word", "signs"] == 1.0
    assert ("spelled_number", "digits") not in table.index
    assert table["repeated_word", "words"] == 0.965
    assert table["letter_geometry", "rarest option"] == pytest.approx(79 / 90)


def test_numbers_are_of_the_test_items_and_speak_for_a() -> None:
    dev = made("rhyme", "aa/bbb", "A", "dev") + made("rhyme", "cccccc/ddddddd", "B", "dev")
    test = made("rhyme", "eeee", "A") + made("uppercase", "one two", "B")
    numbers = shortcut_numbers(dev + test)
    assert numbers.drop(columns="learnt").values.tolist() == [
        ["made", 0, "rhyme", "test", 1, "characters", -4]
    ]  # long words speak for B
    tokens = shortcut_numbers([*made("rhyme", "ab/ba", "A", "dev"), *made("rhyme", "cd/dc", "B", "dev"), *test],
                              lambda text: text.count("a") + text.count("e"))  # fmt: skip
    assert tokens[["feature", "number"]].values.tolist() == [["tokens", 4]]
