"""The two tables that README quotes say what the run's numbers say."""

import pytest

from saelib.batch.first_page import SHOWN_CONTROLS, htest_table, transfer_table
from tests.helpers.transfer_tables import two_layer_run

SHOTS = [{"k": 4}, {"k": 50}, {"k": 0}]


def test_the_table_of_transfer_by_hand() -> None:
    evaluation = two_layer_run().assign(l0=lambda table: 10.0 + table["tokens"])
    table = transfer_table(evaluation).set_index("")
    assert list(table) == ["forward", "backward"]
    assert table["forward"].tolist() == [
        "80% (80% to 80%)",
        "80% (80% to 80%)",
        "80% and 80%",
        "2 of 2",
        "0.9500 (0.9500 to 0.9500)",
        "0.6000 (0.6000 to 0.6000)",
        "0.9000 (0.9000 to 0.9000)",
        "50 against 110",
    ]
    assert table["backward"].tolist()[:4] == ["0% (0% to 0%)", "0% (0% to 0%)", "0% and 0%", "0 of 2"]
    assert "CE-loss score" in table.index[0] and "training loss" in table.index[1]
    assert table.index[-1].startswith("L0 at the end")


def test_the_table_of_htest_has_a_row_for_each_who_was_asked() -> None:
    names = ["embedded", "other", *SHOWN_CONTROLS]
    means = [{"model": name, "mean": 0.5 + place / 100, "low": 0.4, "high": 0.6} for place, name in enumerate(names)]
    tuned = [{"prompt": "bare", "items": "fresh-1-seen-words", "tuned": "0.900"},
             {"prompt": "with shots", "items": "fresh-1-fresh-words", "tuned": "0.600"},
             {"prompt": "with shots", "items": "official-4787987", "tuned": "0.700"}]  # fmt: skip
    table = htest_table({"models": ["embedded", "other"], "mean_accuracy": means, "accuracy": SHOTS}, tuned)
    assert table.iloc[:, 1].tolist() == [
        "0.500 (0.400 to 0.600)", "0.510 (0.400 to 0.600)", "0.520 (0.400 to 0.600)", "0.530 (0.400 to 0.600)",
        "0.900", "0.600", "0.700",
    ]  # fmt: skip
    who = table["who answers"].tolist()
    assert who[:2] == ["embedded, 50 shots", "other, 50 shots"]
    assert who[2:4] == list(SHOWN_CONTROLS.values())
    assert who[4].endswith("bare: other texts of the words it was tuned on")
    assert who[5].endswith("with shots: texts of words it was not tuned on")
    assert who[6].endswith("with shots: released items")


def test_a_run_without_its_controls_is_no_result() -> None:
    with pytest.raises(KeyError, match="control:shortcut"):
        htest_table({"models": [], "mean_accuracy": [], "accuracy": SHOTS}, [])
