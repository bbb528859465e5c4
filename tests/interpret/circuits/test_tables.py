"""Means, differences and intervals of circuits, by hand and by plain loops."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.interpret.circuits import wording
from saelib.interpret.circuits.asking import common_beginning, in_blocks
from saelib.interpret.circuits.tables import (
    EQUAL,
    ZERO_SHOT,
    attribution_by_layer,
    attribution_curves,
    attribution_leads,
    circuit_leads,
    circuit_scores,
    patching_agreement,
    roles,
)
from tests.helpers.circuit_tables import made_attribution, made_circuits, made_patching

DRAWS = {"seed": 0, "resamples": 300}


def test_each_direction_stands_beside_scratch_of_its_own_layers() -> None:
    # Layers 0 to 2; scratch scores its layer (0, 1, 2), whatever the prompt. Forward has layers 1 and 2: scratch there
    # has 1.5; backward has 0 and 1: 0.5.
    table = made_attribution(lambda arm, layer, tokens, prompt: float(layer) if arm == "scratch" else 10.0 + layer)
    found = attribution_curves(table, **DRAWS).set_index(["direction", "arm", "tokens"])
    assert found.loc[("forward", "scratch", 100), "mean"] == 1.5
    assert found.loc[("backward", "scratch", 100), "mean"] == 0.5
    assert found.loc[("forward", "forward", 0), "mean"] == 11.5
    assert found.loc[("backward", "backward_affine", 100), "mean"] == 10.5
    assert found.loc[("forward", "scratch", 100), "count"] == 2
    assert ("forward", "backward", 0) not in found.index
    for bound in ("low", "high"):
        np.testing.assert_allclose(found[bound], found["mean"])


def test_means_are_those_of_plain_loops_and_lie_in_their_intervals() -> None:
    random = np.random.default_rng(0)
    table = made_attribution(lambda *key: random.exponential(), seeds=3)
    found = attribution_curves(table, **DRAWS)
    for line in found.to_dict("records"):
        layers = {"forward": (1, 2), "backward": (0, 1)}[line["direction"]]
        plain = [row.score for row in table.itertuples()
                 if (row.arm, row.tokens) == (line["arm"], line["tokens"]) and row.act_layer in layers]  # fmt: skip
        assert line["mean"] == pytest.approx(sum(plain) / len(plain))
        assert line["low"] < line["mean"] < line["high"]
        assert line["count"] == 6
    again = attribution_curves(table.sample(frac=1, random_state=0), **DRAWS)
    pd.testing.assert_frame_equal(found, again)


def test_leads_compare_prompt_by_prompt_at_equal_tokens() -> None:
    # Prompts differ by far more than SAEs: scratch has 100 times the prompt's number, a transfer 0.5 more.
    table = made_attribution(lambda arm, layer, tokens, prompt: 100.0 * prompt + (arm != "scratch") * (0.5 + tokens))
    found = attribution_leads(table, **DRAWS)
    assert set(found["arm"]) == {"forward", "forward_affine", "backward", "backward_affine"}
    np.testing.assert_allclose(found["mean"], 0.5 + found["tokens"])
    np.testing.assert_allclose(found["low"], found["mean"])
    wide = attribution_curves(table, **DRAWS)
    assert (wide["high"] - wide["low"] > 100).all()


def test_a_layer_where_an_sae_diverged_is_left_out_of_all_that_is_compared() -> None:
    table = made_attribution(lambda arm, layer, tokens, prompt: float(layer))
    lost = (table["arm"] == "forward") & (table["act_layer"] == 2) & (table["tokens"] == 100)
    found = attribution_curves(table[~lost], **DRAWS)
    forward = found[found["direction"] == "forward"]
    assert set(forward["mean"]) == {1.0} and set(forward["count"]) == {1}
    assert set(found.loc[found["direction"] == "backward", "mean"]) == {0.5}


def test_by_layer_takes_the_end_of_each_training() -> None:
    table = made_attribution(lambda arm, layer, tokens, prompt: tokens + layer)
    found = attribution_by_layer(table, **DRAWS).set_index(["act_layer", "arm"])
    assert found.loc[(2, "scratch"), "mean"] == 102
    assert (2, "backward") not in found.index


@pytest.mark.parametrize("function", [attribution_curves, attribution_leads, attribution_by_layer, circuit_scores,
                                      circuit_leads])  # fmt: skip
def test_nothing_gives_nothing(function: Any) -> None:
    columns = ["arm", "act_layer", "seed", "tokens", "prompt", "score", "task", "measure"]
    assert function(pd.DataFrame(columns=columns)).empty


def test_score_is_the_ratio_of_means_averaged_over_layers() -> None:
    # Two blocks. m(0) = 1 + 1 = 2, m(M) = 4 + 6 = 10. At layer 1 m(C) = 3 + 3 = 6: (6 - 2) / 8 = 0.5; at layer 2
    # m(C) = 4 + 6 = 10: 1. The mean is 0.75. Of the first block alone: (3-1)/(4-1) = 2/3 and 1.
    table = made_circuits(lambda arm, layer: [3.0, 3.0] if layer == 1 else [4.0, 6.0])
    found = circuit_scores(table, **DRAWS)
    forward = found[(found["direction"] == "forward")]
    np.testing.assert_allclose(forward["mean"], 0.75)
    assert set(forward["count"]) == {2}
    # Draws: both blocks, or one of them twice; of the second alone (3-1)/(6-1) = 0.4 and 1.
    np.testing.assert_allclose(forward["low"], 0.7)
    np.testing.assert_allclose(forward["high"], 5 / 6)


def test_leads_over_scratch_are_of_the_same_draws() -> None:
    table = made_circuits(lambda arm, layer: [3.0, 3.0] if arm == "scratch" else [3.5, 4.0])
    scores, leads = circuit_scores(table, **DRAWS), circuit_leads(table, **DRAWS)
    assert "scratch" not in set(leads["arm"])
    # (7.5 - 2) / 8 - (6 - 2) / 8 = 0.1875; of the first block alone 0.5/3, of the second 1/5.
    np.testing.assert_allclose(leads["mean"], 0.1875)
    np.testing.assert_allclose(leads["low"], 1 / 6)
    np.testing.assert_allclose(leads["high"], 0.2)
    assert len(scores) > len(leads)


def test_kinds_of_saes_are_told_apart() -> None:
    lines = [("scratch", 1, 1, 200), ("scratch", 1, 1, 100), ("scratch", 0, 1, 200), ("forward", 1, 1, 100)]
    table = pd.DataFrame(lines, columns=["arm", "sae_layer", "act_layer", "tokens"])
    assert roles(table) == ["scratch", EQUAL, ZERO_SHOT, "forward"]


def test_zero_shot_stands_in_the_direction_that_it_comes_from() -> None:
    table = made_circuits(lambda arm, layer: [3.0, 3.0])
    found = circuit_scores(table, **DRAWS)
    counts = found[found["arm"] == ZERO_SHOT].groupby("direction")["count"].unique()
    assert counts["forward"].tolist() == [2] and counts["backward"].tolist() == [2]


def test_an_sae_without_a_score_takes_its_layer_out_of_the_means() -> None:
    table = made_circuits(lambda arm, layer: [3.0, 3.0] if layer == 1 else [4.0, 6.0])
    table.loc[(table["arm"] == "forward") & (table["act_layer"] == 2), ["score", "reason"]] = [np.nan, "why"]
    forward = circuit_scores(table, **DRAWS).query("direction == 'forward'")
    np.testing.assert_allclose(forward["mean"], 0.5)
    table["score"] = np.nan
    assert circuit_scores(table, **DRAWS).empty


def test_a_zero_shot_sae_without_a_score_goes_alone() -> None:
    table = made_circuits(lambda arm, layer: [3.0, 3.0] if layer == 1 else [4.0, 6.0])
    lost = (table["sae_layer"] == 0) & (table["act_layer"] == 1) & (table["task"] == "repeats")
    table.loc[lost, ["score", "reason"]] = [np.nan, "why"]
    found = circuit_scores(table, **DRAWS).query("direction == 'forward'")
    np.testing.assert_allclose(found["mean"], 0.75)
    assert set(found.loc[found["arm"] == ZERO_SHOT, "task"]) == {"brackets"}
    assert {"repeats", "brackets"} == set(found.loc[found["arm"] == "forward", "task"])


def test_agreement_of_estimates_is_by_task_and_layer() -> None:
    found = patching_agreement(made_patching())
    # Effects 0, 1, 2, 3 and estimates 0, 2, 4, 6: the same order, an error of 6 in 6; and turned around: order -1.
    assert found["spearman"].tolist() == pytest.approx([1.0, -1.0])
    assert found["relative_error"].tolist() == pytest.approx([1.0, 8 / 6])
    assert found["places"].tolist() == [4, 4]


def test_blocks_add_up_to_the_mean_whatever_their_sizes() -> None:
    values = np.arange(21, dtype=float)
    for blocks in (1, 4, 16, 50):
        found = in_blocks(values, blocks)
        assert len(found) == min(blocks, 21)
        assert found.sum() == pytest.approx(10.0)
    np.testing.assert_allclose(in_blocks(np.array([1.0, 2, 3, 4]), 2), [0.75, 1.75])


def test_beginning_is_what_all_rows_have_in_common() -> None:
    assert common_beginning(np.array([[7, 1, 2], [7, 1, 3]])) == [7, 1]
    assert common_beginning(np.array([[7, 1, 2], [6, 1, 2]])) == []
    assert common_beginning(np.full((2, 9), 5)) == [5, 5, 5, 5]


def test_readers_see_words_and_every_task_once() -> None:
    nothing = {"low": np.nan, "high": np.nan, "likeliest": np.nan, "difference": np.nan, "patched": np.nan}
    tasks = pd.DataFrame([
        {"task": "ioi", "accuracy": np.nan, "prompts": 0, "scored": False, "reason": "no names", **nothing},
        {"task": "repeats", "accuracy": 0.8, "low": 0.75, "high": 0.85, "prompts": 64, "likeliest": 0.1,
         "difference": 3.0, "patched": -3.0, "scored": True, "reason": ""},
    ])  # fmt: skip
    told = wording.task_table(tasks)
    assert told["circuits"].tolist() == ["no: no names", "yes"]
    assert told["accuracy (chance: 50%)"].tolist() == ["-", "80% (75% to 85%)"]
    scores = circuit_scores(made_circuits(lambda arm, layer: [3.0, 3.0]), **DRAWS)
    wide = wording.curve_table(scores, "faithfulness")
    assert wide.columns.tolist() == ["task", "direction", "SAE", "2.00%", "8.00%"]
    assert wide["2.00%"].tolist() == ["0.50 (0.40 to 0.67)"] * len(wide)


def test_values_are_lists_of_lines_with_what_the_report_reads() -> None:
    curves = attribution_curves(made_attribution(lambda *key: 1.0), **DRAWS)
    tasks = pd.DataFrame([{"task": "repeats", "accuracy": 0.8, "low": 0.7, "high": 0.9, "scored": True, "reason": ""}])
    scores = circuit_scores(made_circuits(lambda arm, layer: [3.0, 3.0]), **DRAWS)
    values = wording.circuit_values(curves, tasks, scores, patching_agreement(made_patching()))
    assert values.keys() == {"attribution", "tasks", "faithfulness", "patching"}
    assert {"arm", "tokens", "mean", "low", "high"} <= values["attribution"][0].keys()
    assert {"task", "arm", "share", "measure", "mean", "low", "high"} <= values["faithfulness"][0].keys()
    assert values["patching"][0].keys() == {"task", "layer", "spearman"}
    # Two directions, two tasks, two measures, two sizes, four SAEs: scratch, zero-shot, two transfers.
    assert len(values["faithfulness"]) == 64
