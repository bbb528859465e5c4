"""Means, differences and intervals of circuits, by hand and by plain loops."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.interpret.circuits import reference, wording
from saelib.interpret.circuits.asking import in_blocks
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
from saelib.interpret.config import resolve_interpret_config
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


@pytest.mark.parametrize("seeds", [1, 2])
def test_a_plain_loop_finds_the_same_where_an_sae_diverged(seeds: int) -> None:
    random = np.random.default_rng(2)
    table = made_attribution(lambda *key: random.exponential(), seeds=seeds)
    lost = (table["arm"] == "forward_affine") & (table["act_layer"] == 2) & (table["tokens"] == 100)
    table = table[~(lost & (table["seed"] == 0))]
    curves = attribution_curves(table, **DRAWS)
    for line in curves.to_dict("records"):
        arms = set(curves.loc[curves["direction"] == line["direction"], "arm"])
        plain = reference.attribution_by_loop(table, arms, line["arm"], line["tokens"])
        assert line["mean"] == pytest.approx(plain)


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


def replicates(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([part.assign(seed=seed) for seed, part in enumerate(parts)], ignore_index=True)


def test_intervals_are_over_replicates_too() -> None:
    # Blocks that are alike: m(0) = 2, m(M) = 10; drawing prompts again changes no score. Replicate 0 has m(C) = 6, a
    # score of 0.5, replicate 1 has 10, a score of 1. Draws of two replicates: 0.5, 0.75 or 1.
    table = replicates(made_circuits(lambda arm, layer: [3.0, 3.0]), made_circuits(lambda arm, layer: [5.0, 5.0]))
    table["model"] = [np.array([5.0, 5.0], np.float32)] * len(table)
    found = circuit_scores(table, **DRAWS)
    np.testing.assert_allclose(found["mean"], 0.75)
    np.testing.assert_allclose(found["low"], 0.5)
    np.testing.assert_allclose(found["high"], 1.0)
    assert set(found["count"]) == {4}
    # All SAEs of a replicate are alike, so that no lead varies.
    leads = circuit_leads(table, **DRAWS)
    np.testing.assert_allclose(leads[["mean", "low", "high"]], 0, atol=1e-12)


def test_a_replicate_counts_once_however_many_layers_it_has() -> None:
    # Replicate 0 scores 0.5 at layers 1 and 2, replicate 1 scores 1 at layer 1 and lacks layer 2: (0.5 + 1) / 2.
    table = replicates(made_circuits(lambda arm, layer: [3.0, 3.0]), made_circuits(lambda arm, layer: [4.0, 6.0]))
    lost = (table["seed"] == 1) & (table["arm"] == "forward") & (table["act_layer"] == 2)
    table.loc[lost, ["score", "reason"]] = [np.nan, "why"]
    forward = circuit_scores(table, **DRAWS).query("direction == 'forward'")
    np.testing.assert_allclose(forward["mean"], 0.75)
    assert set(forward["count"]) == {3}


def test_of_sources_at_two_distances_the_nearest_is_the_untrained_one() -> None:
    # Forward from two layers away has layer 2 alone, where sources 1 (score 0.5) and 0 (score 1) stand untrained.
    table = made_circuits(lambda arm, layer: [3.0, 3.0])
    further = table[(table["arm"] == "forward") & (table["act_layer"] == 2)].assign(arm="forward_2")
    source = table[(table["arm"] == "scratch") & (table["sae_layer"] == 1) & (table["act_layer"] == 2)]
    far = source.assign(sae_layer=0, score=1.0, circuit=[np.array([4.0, 6.0], np.float32)] * len(source))
    both = pd.concat([table, further, far], ignore_index=True)
    found = circuit_scores(both, **DRAWS).query("direction == 'forward'")
    assert {"forward", "forward_2", ZERO_SHOT, "scratch"} <= set(found["arm"])
    assert set(found["count"]) == {1}
    np.testing.assert_allclose(found.loc[found["arm"] == ZERO_SHOT, "mean"], 0.5)
    assert not circuit_leads(both, **DRAWS).empty
    only = both[~both["arm"].isin(["forward", "forward_affine"])]
    only = only[~((only["arm"] == "scratch") & (only["sae_layer"] == 1) & (only["act_layer"] == 2))]
    alone = circuit_scores(only, **DRAWS).query("direction == 'forward'")
    np.testing.assert_allclose(alone.loc[alone["arm"] == ZERO_SHOT, "mean"], 1.0)


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


def test_readers_see_words_and_every_task_once() -> None:
    names = ("low", "high", "likeliest", "difference", "patched", "fall", "fall_low", "fall_high")
    nothing = dict.fromkeys(names, np.nan)
    tasks = pd.DataFrame([
        {"task": "ioi", "accuracy": np.nan, "prompts": 0, "scored": False, "reason": "no names", **nothing},
        {"task": "repeats", "accuracy": 0.8, "low": 0.75, "high": 0.85, "prompts": 64, "likeliest": 0.1,
         "difference": 3.0, "patched": -3.0, "fall": 6.0, "fall_low": 5.0, "fall_high": 7.0, "scored": True,
         "reason": ""},
    ])  # fmt: skip
    told = wording.task_table(tasks)
    assert told["circuits"].tolist() == ["no: no names", "yes"]
    assert told["accuracy (guessing: 50%)"].tolist() == ["-", "80% (75% to 85%)"]
    assert told["fall"].tolist() == ["-", "6.00 (5.00 to 7.00)"]
    scores = circuit_scores(made_circuits(lambda arm, layer: [3.0, 3.0]), **DRAWS)
    wide = wording.curve_table(scores, "faithfulness")
    assert wide.columns.tolist() == ["task", "direction", "SAE", "2.00%", "8.00%"]
    assert wide["2.00%"].tolist() == ["0.50 (0.40 to 0.67)"] * len(wide)


def test_values_are_lists_of_lines_with_what_the_report_reads() -> None:
    attributed = made_attribution(lambda *key: 1.0).assign(wanted=62, tried=96)
    curves = attribution_curves(attributed, **DRAWS)
    tasks = pd.DataFrame([{"task": "repeats", "accuracy": 0.8, "low": 0.7, "high": 0.9, "fall": 1.0, "fall_low": 0.5,
                           "fall_high": 1.5, "scored": True, "reason": ""}])  # fmt: skip
    scores = circuit_scores(made_circuits(lambda arm, layer: [3.0, 3.0]), **DRAWS)
    values = wording.circuit_values(attributed, curves, tasks, scores, patching_agreement(made_patching()))
    assert values.keys() == {"attribution_prompts", "attribution", "tasks", "faithfulness", "patching"}
    assert values["attribution_prompts"] == {"kind": "text", "kept": 5, "wanted": 62, "tried": 96}
    assert values["tasks"][0]["fall_low"] == 0.5
    assert {"arm", "tokens", "mean", "low", "high"} <= values["attribution"][0].keys()
    assert {"task", "arm", "share", "measure", "mean", "low", "high"} <= values["faithfulness"][0].keys()
    assert values["patching"][0].keys() == {"task", "layer", "spearman"}
    # Two directions, two tasks, two measures, two sizes, four SAEs: scratch, zero-shot, two transfers.
    assert len(values["faithfulness"]) == 64


def test_differences_from_scratch_are_recorded_of_circuits_by_effects_alone() -> None:
    attribution = pd.DataFrame([{"direction": "forward", "arm": "forward", "tokens": 8, "mean": 0.1, "low": 0.0,
                                 "high": 0.2, "count": 2}])  # fmt: skip
    circuits = pd.DataFrame([
        {"direction": "forward", "task": "ioi", "measure": "faithfulness", "choice": choice, "share": 0.08,
         "arm": "forward", "mean": mean, "low": mean, "high": mean, "count": 2}
        for choice, mean in (("attribution", -0.1), ("random", 5.0))
    ])  # fmt: skip
    values = wording.lead_values(attribution, circuits)
    assert values["attribution_leads"] == [
        {"arm": "forward", "direction": "forward", "tokens": 8, "mean": 0.1, "low": 0.0, "high": 0.2}
    ]
    assert [line["mean"] for line in values["circuit_leads"]] == [-0.1]


def test_a_circuit_that_overshoots_is_more_faithful_and_no_nearer_to_what_it_should_be() -> None:
    """By hand: 1.3 beats 0.9 in height and not in nearness to 1, 0.8 beats 0.2 in both; sizes below are not counted."""
    own = {("faithfulness", "a"): (1.3, 0.9), ("faithfulness", "b"): (0.8, 0.2), ("completeness", "a"): (-0.3, 0.2)}
    scores = pd.DataFrame([
        {"measure": measure, "task": task, "direction": "forward", "arm": "scratch", "share": share, "choice": choice,
         "mean": mean if share == 0.08 else 9.0}
        for (measure, task), means in own.items()
        for choice, mean in zip(("attribution", "random"), means, strict=True) for share in (0.02, 0.08)
    ])  # fmt: skip
    told = wording.beats(scores, "random")
    assert "in 2 pairs of a task and a kind of SAE: a higher faithfulness in **2**, one nearer to 1 in **1**;" in told
    assert told.endswith("nearer to 0 in **0** of 1.")


def test_too_few_prompts_are_told() -> None:
    attributed = made_attribution(lambda *key: 1.0, prompts=5)
    assert wording.prompts_text(attributed.assign(wanted=62, tried=96)) == (
        "**5** prompts, **fewer than the 62 that are asked for**: held-out text of which the model is sure, of 96 that "
        "were tried"
    )
    assert "fewer" not in wording.prompts_text(attributed.assign(wanted=5, tried=96))
    assert wording.prompt_values(attributed.iloc[:0]) == {}


def test_circuits_of_two_sizes_have_two_names() -> None:
    shares = [k / d_sae for d_sae in (49152, 24576, 1000) for k in (1, 2, 3, 4, 5, 20, 80)]
    assert len({wording.share_label(share) for share in shares}) == len(set(shares))
    assert [wording.share_label(share) for share in (0.0007, 0.02, 0.00001)] == ["0.07%", "2.00%", "0.001%"]


def test_the_method_is_told_as_it_is() -> None:
    plain = resolve_interpret_config(preset="smoke")
    assert wording.method_text(plain) == (
        "Here: effects by one gradient, the largest signed ones at each position; ablated features stand at their "
        "means over clean prompts."
    )
    other = plain.replace(ablation="patch", signed=False, summed=True, integrated_steps=3)
    assert wording.method_text(other) == (
        "Here: effects by integrated gradients of 3 steps, the largest absolute ones summed over positions; ablated "
        "features stand at what they are in the patched prompt."
    )
