"""Readers meet words, not column names, and no more digits than an interval allows."""

import math

import pandas as pd
import pytest

from saelib.transfer.presets import resolve_config
from saelib.transfer.wording import (
    COLUMN_NAMES,
    METRIC_NAMES,
    arm_label,
    choice_of_lambda,
    choice_of_scale,
    column_label,
    digits_allowed,
    for_readers,
    interval_text,
    lambda_table,
    opening,
    wide_for_readers,
)
from tests.helpers import tidy_tables


@pytest.mark.parametrize(("arm", "words"), [
    ("scratch", "from scratch"),
    ("forward", "forward: copy"),
    ("backward_affine", "backward: affine map"),
    ("forward_2", "forward: copy, 2 layers away"),
    ("backward_procrustes_3", "backward: rotation, 3 layers away"),
])  # fmt: skip
def test_an_arm_in_words(arm: str, words: str) -> None:
    assert arm_label(arm) == words


def test_a_table_for_readers_has_no_name_with_an_underscore() -> None:
    for table in (tidy_tables.curves(distances=(1, 2)), tidy_tables.needed(), tidy_tables.savings_by_layer()):
        worded = for_readers(table)
        texts = [*worded.columns, *worded.to_numpy().ravel()]
        assert not [text for text in texts if isinstance(text, str) and "_" in text.replace("d_model", "")]
        assert len(worded) == len(table) and worded.shape[1] == table.shape[1]


def test_metrics_without_an_interval_have_few_digits() -> None:
    table = pd.DataFrame({"loss": [4505.81, math.nan], "l0": [62.405, 5.0], "ce_score": [0.95, 0.96]})
    shown = for_readers(table)
    assert shown.iloc[:, 0].tolist() == ["4,506", "-"]
    assert shown.iloc[:, 1].tolist() == ["62.4", "5.0"]
    assert shown.iloc[:, 2].tolist() == [0.95, 0.96]


def test_the_table_that_was_given_stays_as_it_is() -> None:
    table = tidy_tables.savings()
    before = table.copy()
    for_readers(table)
    pd.testing.assert_frame_equal(table, before)


def test_metrics_and_columns_have_one_name_each() -> None:
    names = [column_label(name) for name in [*METRIC_NAMES, *COLUMN_NAMES]]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(("mean", "low", "high", "digits"), [
    (1479.16, 1476.63, 1481.69, 1),  # half width 2.5: two digits of it are kept
    (0.9261, 0.9251, 0.9269, 4),  # half width 0.0009: one digit is
    (-241.9, -249.6, -234.1, 0),
    (1479.16, 1399.0, 1559.0, 0),
    (0.9541, 0.9531, 0.9551, 4),
    (0.954100012, 0.954100001, 0.954100023, 6),  # rounding: six figures
    (4500.0, 4499.99999, 4500.00001, 2),
    (0.5, math.nan, math.nan, 4),  # no interval: four figures
    (0.0, math.nan, math.nan, 0),
    (4500.0, math.nan, math.nan, 0),
])  # fmt: skip
def test_as_many_digits_as_the_interval_allows(mean: float, low: float, high: float, digits: int) -> None:
    assert digits_allowed(mean, low, high) == digits


def test_an_interval_is_said_with_its_mean() -> None:
    line = {"mean": 0.523, "low": 0.27, "high": 0.601}
    assert interval_text(line, percent=True) == "52% (27% to 60%)"
    assert interval_text({"mean": 1479.16, "low": 1399.0, "high": 1559.0}) == "1,479 (1,399 to 1,559)"


def test_a_wide_table_has_a_column_for_each_target_and_a_row_for_each_arm() -> None:
    shown = wide_for_readers(tidy_tables.savings(), ["arm"], "target", percent=True)
    assert list(shown) == ["arm", "held-out objective", "CE-loss score at no more L0", "CE-loss score alone"]
    assert shown.iloc[0].tolist() == ["forward: copy", "31% (25% to 37%)", "27% (21% to 33%)", "21% (15% to 27%)"]


def test_a_wide_table_leaves_empty_what_an_arm_lacks() -> None:
    by_layer = tidy_tables.savings_by_layer().query("target == 'loss'").sort_values("act_layer")
    shown = wide_for_readers(by_layer, ["act_layer"], "arm", percent=True)
    assert list(shown) == ["layer", *map(arm_label, ("forward", "forward_affine", "backward", "backward_affine"))]
    assert shown["layer"].tolist() == list(range(6))
    assert shown.iloc[0, 1] == shown.iloc[5, 3] == "-"  # forward lacks the first layer, backward the last


def test_a_notebook_opens_with_what_is_known_of_the_model() -> None:
    assert opening(resolve_config()) == "Preset **tiny**, language model **embedded**, corpus **docstrings**."
    assert opening(resolve_config(language_model="smollm2")) == (
        "Preset **tiny**, language model **smollm2** (SmolLM2-135M-Instruct (HuggingFaceTB), Apache-2.0, 4-bit weights "
        "(Q4_1), instruction-tuned), corpus **docstrings**."
    )


@pytest.mark.parametrize(
    ("changes", "penalty", "scale"),
    [
        ({}, "10 at every layer", "nothing"),
        ({"l1_unit": "norm"}, "10 times mean norm / √d_model of each layer", "nothing"),
        ({"activation_scale": "norm"}, "10 times mean norm / √d_model of each layer",
         "mean norm / √d_model of each layer"),
        ({"activation_scale": 5.5}, "10 times 5.5 at every layer", "5.5 at every layer"),
        ({"activation_scale": 5.5, "l1_unit": "norm"}, "10 times mean norm / √d_model of each layer",
         "5.5 at every layer"),
        ({"activation_scale": 5.5, "target_l0": 50.0}, "for each layer so that L0 is 50", "5.5 at every layer"),
    ],
)  # fmt: skip
def test_lambda_and_scale_are_said_in_the_models_units(changes: dict[str, object], penalty: str, scale: str) -> None:
    config = resolve_config(**changes)
    assert (choice_of_lambda(config), choice_of_scale(config)) == (penalty, scale)


def test_scales_stand_beside_lambdas_where_there_are_any() -> None:
    assert list(lambda_table({0: 10.0, 3: 12.5})) == ["layer", "l1_coefficient"]
    table = for_readers(lambda_table({0: 10.0, 3: 12.5}, {0: 2.0, 3: 2.5}))
    assert table.to_numpy().tolist() == [[0, "10", "2"], [3, "12.5", "2.5"]]
    assert list(table) == ["layer", "λ", "divided in training by"]
