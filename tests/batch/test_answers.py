"""The answers are sentences with the numbers of the tables, and say of each whether anybody arrives."""

import pandas as pd
import pytest

from saelib.batch.answers import answer_title, htest_answer, transfer_answer
from saelib.htest.scoring.findings import Finding
from saelib.transfer.targets import TARGET_NAMES


def saving(direction: str, target: str, mean: float, arrived: int) -> dict:
    return {"direction": direction, "distance": 1, "start": "copy", "target": target, "mean": mean,
            "low": mean - 0.1, "high": mean + 0.1, "count": 5, "saes": 25, "arrived": arrived,
            "l0_ratio": 1.25 if arrived else None}  # fmt: skip


CLAIMS = pd.DataFrame({"agrees": ["yes", "yes", "no", "open", "-"]})
LINES = [saving(direction, target, mean, arrived) for direction, target, mean, arrived in [
    ("forward", "loss", 0.4, 20), ("backward", "loss", 0.6, 25),
    ("forward", "joint", -0.05, 3), ("backward", "joint", 0.42, 18),
    ("forward", "ce_score", 0.31, 10), ("backward", "ce_score", 0.65, 25)]]  # fmt: skip


def test_the_answer_of_layer_transfer_by_hand() -> None:
    copy, equal, alone, claims = transfer_answer(pd.DataFrame(LINES), CLAIMS)
    assert copy.endswith(
        "in the **held-out objective**: forward **40% (30% to 50%)** (20 of 25 SAEs get there, at 1.25 times scratch's "
        "L0) and backward **60% (50% to 70%)** (at 1.25 times scratch's L0)."
    )
    few = "forward **-5% (-15% to 5%)** (3 of 25 SAEs get there, at 1.25 times scratch's L0) and"
    assert f"**{TARGET_NAMES['joint']}** than scratch: {few}" in equal
    assert alone.startswith("Until level in CE-loss score alone, as the paper reads it, whatever the L0: forward **31%")
    assert claims == "Of 5 claims of the paper, compared on equal layers, **2 agree**, 1 do not, 1 are open."


def test_a_source_from_elsewhere_is_not_called_a_neighbour() -> None:
    own, elsewhere = (transfer_answer(pd.DataFrame(LINES), CLAIMS, source=source)[0] for source in (None, "mine"))
    assert "of the neighbour's finished SAE saves" in own
    assert elsewhere == own.replace("the neighbour's finished SAE", "an SAE from elsewhere") != own


def test_each_start_has_a_sentence_and_far_sources_have_none() -> None:
    mapped = [line | {"start": "affine", "mean": 0.9, "low": 0.8, "high": 1.0} for line in LINES]
    far = [line | {"distance": 2, "mean": 0.01} for line in LINES]
    sentences = transfer_answer(pd.DataFrame(LINES + mapped + far), CLAIMS)
    assert len(sentences) == 5
    assert "**an affine map**" in sentences[3] and sentences[3].count("**90% (80% to 100%)**") == 4
    assert not any("**1% (" in sentence for sentence in sentences)


def test_a_published_table_knows_the_score_alone_and_one_where_nobody_arrives_no_l0() -> None:
    alone = [line | {"arrived": 0, "l0_ratio": float("nan")} for line in LINES[4:]]
    (copy, _) = transfer_answer(pd.DataFrame(alone), CLAIMS)
    assert copy.startswith("Until level in CE-loss score alone")
    assert "scratch's L0" not in copy and "nan" not in copy
    assert "(0 of 25 SAEs get there)" in copy


def test_when_a_source_has_paid_for_itself() -> None:
    rows = [("forward", "loss", "shared", None), ("backward", "loss", "shared", 2.0),
            ("backward", "loss", "alone", 9.0), ("backward_2", "loss", "shared", 7.0),
            ("forward", "joint", "shared", 8.0)]  # fmt: skip
    pays_off = pd.DataFrame(rows, columns=["arm", "target", "language_model", "transfers"])
    sentence = transfer_answer(pd.DataFrame(LINES), CLAIMS, pays_off)[3]
    assert sentence.endswith(
        "transfers from it: in the held-out objective by forward: copy never; backward: copy 2; in CE-loss score at no "
        "more L0 by forward: copy 8."
    )


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (((0.05, 0.15), (0.02, 0.04)), "**more** (forward 10 (5 to 15) points and backward 3 (2 to 4) points)"),
        (((-0.15, -0.05), (-0.04, -0.02)), "**less** ("),
        (((-0.05, 0.05), (-0.01, 0.02)), "**neither more nor less, as far as this run can tell** ("),
        (((0.05, 0.15), (-0.01, 0.02)), "**more or less by direction** ("),
    ],
)
def test_a_map_is_compared_with_a_copy_by_the_interval_of_their_difference(
    bounds: tuple[tuple[float, float], ...], words: str
) -> None:
    leads = pd.DataFrame(
        {"direction": way, "distance": 1, "start": "affine", "target": "joint", "mean": (low + high) / 2, "low": low,
         "high": high} for way, (low, high) in zip(("forward", "backward"), bounds, strict=True)
    )  # fmt: skip
    sentence = transfer_answer(pd.DataFrame(LINES), CLAIMS, leads=leads)[3]
    assert sentence.startswith(f"Against a copy of the same source, an affine map saves in {TARGET_NAMES['joint']} ")
    assert words in sentence


def estimate(mean: float) -> dict[str, float]:
    return {"mean": mean, "low": mean - 0.02, "high": mean + 0.02}


def line(model: str, accuracy: float, auroc: float | None) -> dict:
    return {"model": model, "form": "completion", "k": 50, "item_set": "official", "readers": ["paper", "likelier"],
            "accuracy": estimate(accuracy), "share_a": estimate(0.03), "auroc": auroc and estimate(auroc),
            "bias_free_accuracy": auroc and estimate(0.66)}  # fmt: skip


AUDIT = {"audit": [
    {"item_set": "official", "task": "rhyme", "dev_disagreements": 3, "test_disagreements": 5},
    {"item_set": "official", "task": "letter_geometry", "dev_disagreements": None, "test_disagreements": 7},
    {"item_set": "fresh", "task": "rhyme", "dev_disagreements": 90, "test_disagreements": 90},
]}  # fmt: skip
BARE = {"second": 0.826, "difference": 0.327, "low": 0.303, "high": 0.348}
WITH_SHOTS = {"second": 0.49, "difference": -0.01, "low": -0.04, "high": 0.02}
TUNING = {"overall": {"tuning": BARE, "tuning_with_shots": WITH_SHOTS}}


def test_the_answer_of_htest_by_hand() -> None:
    other_reading = line("org/a|b", 0.99, 0.99) | {"readers": ["strict"]}
    accuracy = {"models": ["org/a|b", "api"], "item_set": "official",
                "main": [line("org/a|b", 0.525, 0.73), other_reading, line("api", 0.6, None),
                         line("control:shortcut", 0.734, None)]}  # fmt: skip
    found = [Finding("near", "", estimate(0.5), 0.45, 0.55), Finding("near", "", estimate(0.9), 0.45, 0.55),
             Finding("cot", "", estimate(0.5), -1, 0, "too small")]  # fmt: skip
    margin, without, shortcut, tuned, counts = htest_answer(accuracy, AUDIT, TUNING, found)
    assert r"**org/a\|b, 50 shots**: right on **52.5% (50.5% to 54.5%)**" in margin
    assert "AUROC of **0.730 (0.710 to 0.750)**" in margin and "66.0% (64.0% to 68.0%)" in margin
    assert "60.0%" in without and "AUROC" not in without
    assert "**73.4% (71.4% to 75.4%)**" in shortcut and "dispute 8 labels" in shortcut
    assert "**32.7 (30.3 to 34.8) points, to 82.6%** on the bare text" in tuned
    assert "**-1.0 (-4.0 to 2.0) points, to 49.0%** with shots" in tuned
    assert counts == "Of 3 findings, **1 agree**, 1 do not, 0 are open, 1 are not tested by this run."


def test_what_an_accuracy_hides_is_said_behind_it_and_what_that_does_not_show() -> None:
    kept = {"sentences": ["It prefers A.", "Fresh items are harder."], "not_shown": "Not shown: why."}
    accuracy = {"models": ["small", "api"], "item_set": "official", "main": [line("small", 0.5, 0.7),
                line("api", 0.6, None)], "findings": {"small": kept, "gone": kept}}  # fmt: skip
    tuned = TUNING | {"tasks": ["rhyme", "palindrome"]}
    told = htest_answer(accuracy, AUDIT, tuned, [])
    assert told[2:4] == ["It prefers A. Fresh items are harder.", "Not shown: why."] and len(told) == 6
    assert told[4].startswith("Fine-tuning, one model for each task (2 tasks: rhyme, palindrome), changes accuracy")


def test_the_title_of_an_answer_says_what_is_to_be_known_of_the_weights() -> None:
    assert answer_title("Layer transfer", ["embedded"]) == "**Layer transfer**"
    told = "(smollm2: 4-bit weights (Q4_1), instruction-tuned)"
    assert answer_title("Layer transfer", ["embedded", "smollm2"]) == f"**Layer transfer** {told}"
    gone = answer_title("H-Test", ["a|b<script>.gguf"])
    assert gone == r"**H-Test** (a\|b\<script\>.gguf: weights of a GGUF file, which are mostly quantised)"
