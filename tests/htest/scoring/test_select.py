"""Rows of an accuracy table are picked as they are meant."""

import pandas as pd

from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.readings import readings_of
from saelib.htest.scoring.select import as_chosen, informative, main_rows, own_form, pick
from tests.helpers.answers import replies_of


def test_rows_are_picked_by_one_value_by_several_and_by_none() -> None:
    table = pd.DataFrame({"k": [0, 4, 14, 4], "shuffle_seed": [None, None, 1, 0]}).astype({"shuffle_seed": "Int64"})
    assert pick(table, k=4).index.tolist() == [1, 3]
    assert pick(table, k=[0, 14]).index.tolist() == [0, 2]
    assert pick(table, shuffle_seed=None).index.tolist() == [0, 1]
    assert pick(table, shuffle_seed=[None, 0], k=(4, 14)).index.tolist() == [1, 3]
    assert pick(table, shuffle_seed=0).index.tolist() == [3]
    assert pick(table).equals(table)
    assert pick(table, k=99).empty


def test_rows_without_a_shuffle_are_picked_from_real_accuracies() -> None:
    replies = replies_of(lambda item: "A", 4) + replies_of(lambda item: item.label, 4, shuffle_seed=0)
    table = accuracies_of(readings_of(replies))
    assert pick(table, shuffle_seed=None, reader="strict")["accuracy"].tolist() == [0.5]
    assert pick(table, shuffle_seed=0, reader="strict")["accuracy"].tolist() == [1]


def test_each_form_is_read_in_its_own_way() -> None:
    said = {"strict": 1, "likelier": 2, "paper": 3}
    forms = ("chat", "chain_of_thought", "letter_geometry", "completion", "bare")
    table = pd.DataFrame([(form, reader, value) for form in forms for reader, value in said.items()],
                         columns=["form", "reader", "accuracy"])  # fmt: skip
    chosen = as_chosen(table)
    assert set(chosen["reader"]) == {"choice"}
    assert chosen["form"].tolist() == list(forms)
    assert chosen["accuracy"].tolist() == [1, 1, 1, 2, 2]


def test_the_main_table_has_one_set_of_items_one_k_and_all_controls() -> None:
    table = pd.DataFrame(
        [("one", "control:coin", 0), ("one", "embedded", 4), ("one", "embedded", 50), ("two", "embedded", 50),
         ("two", "control:coin", 0)],
        columns=["item_set", "model", "k"],
    )  # fmt: skip
    assert main_rows(table, "one", 50).index.tolist() == [0, 2]
    assert main_rows(table, "two", 4).index.tolist() == [4]


def test_controls_that_always_say_one_letter_carry_nothing() -> None:
    table = pd.DataFrame({"model": ["embedded", "control:constant_a", "control:coin", "control:constant_b"]})
    assert informative(table)["model"].tolist() == ["embedded", "control:coin"]


def test_a_models_own_form_is_kept_whatever_comes_first() -> None:
    replies = [*replies_of(lambda _: "A", 2, form="completion"), *replies_of(lambda _: "A", 2, form="chat"),
               *replies_of(lambda _: "A", 2, model="other", form="chat")]  # fmt: skip
    forms = {"embedded": "completion", "other": "chat"}
    kept = own_form(readings_of(replies), forms)
    assert (
        list(zip(kept["model"], kept["form"], strict=True))
        == [("embedded", "completion")] * 2 + [("other", "chat")] * 2
    )
    pd.testing.assert_frame_equal(own_form(readings_of(replies)[::-1], forms)[::-1], kept)


def test_who_has_no_form_of_its_own_keeps_all_rows() -> None:
    table = pd.DataFrame({"model": ["control:coin", "api:x/y", "api:x/y"], "form": ["chat", "completion", "chat"]})
    assert own_form(table[table["form"] == "completion"], {"api:x/y": "chat"}).empty, "no other form in its place"
    assert own_form(table, {"api:x/y": "chat"}).index.tolist() == [0, 2]
