"""The two tables that README quotes say what the run's numbers say."""

import math
from statistics import fmean
from typing import Any

import pandas as pd
import pytest

from saelib.batch.first_page import FAIR, SHOWN_CONTROLS, htest_finding, htest_table, transfer_table
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring.main_table import HEADINGS, NO_MARGIN
from saelib.run.stored import RESULTS
from saelib.transfer.reference import plain_savings
from saelib.transfer.tables import Results
from tests.helpers.kept import KEPT_PRESETS, kept_results
from tests.helpers.made_runs import made_results
from tests.helpers.pages import tables
from tests.helpers.plain_savings import plain_changes, plain_dominance, plain_median
from tests.htest.scoring.test_in_words import finding

TARGETS = {"held-out objective": "loss", "CE-loss score at no more L0": "joint", "CE-loss score alone": "ce_score"}
CHANGES = {"CE-loss score": "ce_score", "CE-loss increase (nats)": "ce_increase"}
ARMS = {"forward: copy": "forward", "forward: affine map": "forward_affine", "backward: copy": "backward",
        "backward: affine map": "backward_affine"}  # fmt: skip


def percent(share: float) -> str:
    """As the page has it; first without what powers and logarithms round differently."""
    return f"{round(round(share, 9), 2) + 0.0:.0%}"


def check_against_loops(table: pd.DataFrame, results: Results) -> None:
    """Every cell says what plain loops over the scores by held-out row say."""
    assert results.rows is not None
    shown, saved = table.set_index(table.columns[0]), plain_savings(results.evaluation, results.rows)
    changes = plain_changes(results.evaluation, results.rows)
    assert list(shown) == [label for label, arm in ARMS.items() if arm in set(results.evaluation["arm"])]
    for label, arm in ((label, ARMS[label]) for label in shown):
        column = shown[label]
        for name, target in TARGETS.items():
            lines = saved[arm, target]
            shares = [saving for saving, *_ in lines]
            l0 = [ratio for _, arrived, ratio in lines if arrived]
            assert column[f"new tokens saved until level, {name}"].startswith(f"{percent(fmean(shares))} (")
            median = plain_median(lines)
            median_text = "fewer than half arrive" if math.isnan(median) else percent(median)
            spread = f"{median_text} ({percent(min(shares))} to {percent(max(shares))})"
            arrived = f"{len(l0)} of {len(lines)}" + (f", at {fmean(l0):.2f} times scratch's L0" if l0 else "")
            row = f"SAE by SAE: median (lowest to highest); how many get level, {name}"
            assert column[row] == f"{spread}; {arrived}"
            lead = fmean(shares) - fmean(saving for saving, *_ in saved[arm.partition("_")[0], target])
            if target != "ce_score":
                points = round(round(lead * 100, 9))
                more, told = column[f"more than a copy, {name}"], f"{points:+d} (" if points else "0 ("
                assert more.startswith(told) if arm.endswith("_affine") else not more
        for name, metric in CHANGES.items():
            text = column[f"at the end: {name}, minus that of finished scratch"]
            assert text.startswith(f"{round(changes[arm, metric], 4) + 0.0:+.4f} (")
        better, saes = plain_dominance(results.evaluation, results.rows)[arm]
        assert column["at the end: better than scratch in CE-loss score and L0 at once"] == f"{better} of {saes} SAEs"
        transfer, scratch = map(float, column["at the end: L0, against that of finished scratch"].split(" against "))
        assert transfer - scratch == pytest.approx(changes[arm, "l0"], abs=1.01)  # both are rounded


def test_the_table_of_transfer_is_that_of_plain_loops_over_rows() -> None:
    results = made_results(layers=3, replicates=2, budgets=(0, 8, 12, 16, 24), rows=4)
    table = transfer_table(results, resamples=30)
    assert list(table) == ["", *ARMS]
    assert len(table) == 2 * len(TARGETS) + len(FAIR) + len(CHANGES) + 2
    check_against_loops(table, results)


@pytest.mark.parametrize("preset", KEPT_PRESETS)
def test_the_kept_table_of_transfer_is_that_of_plain_loops_over_rows(preset: str) -> None:
    (lines,) = tables((RESULTS / preset / "transfer.md").read_text(encoding="utf-8"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines.splitlines()]
    check_against_loops(pd.DataFrame(cells[2:], columns=cells[0]), kept_results(preset))


def test_the_first_column_is_headed_by_what_is_to_be_known_of_the_weights() -> None:
    results = made_results(["backward"], layers=2, replicates=1, budgets=(0, 8, 16), rows=2)
    assert list(transfer_table(results, "in 4 bits", resamples=30)) == ["in 4 bits", "backward: copy"]


def test_other_distances_are_not_on_the_first_page() -> None:
    results = made_results(["backward", "backward_2"], layers=3, replicates=1, budgets=(0, 8, 16), rows=2)
    assert list(transfer_table(results, resamples=30)) == ["", "backward: copy"]


def line(model: str, accuracy: float, auroc: float | None = None, **others: Any) -> dict[str, Any]:
    """What 31_htest_accuracy or 34_htest_fine_tuning recorded of one who was asked."""
    values = {"accuracy": accuracy, "share_a": 0.9, "auroc": auroc, "bias_free_accuracy": auroc}
    estimates = {name: None if mean is None else {"mean": mean, "low": mean - 0.1, "high": mean + 0.1}
                 for name, mean in values.items()}  # fmt: skip
    asked = {"form": "completion", "k": 50, "item_set": OFFICIAL_SET, "readers": ["paper", "likelier"], "items": 2000}
    return {"model": model, "share_none": 0.0, **asked, **estimates, **others}


def test_the_table_of_htest_has_a_row_for_each_who_was_asked() -> None:
    controls = [line(name, 0.7) for name in (*SHOWN_CONTROLS, "control:coin")]
    models = [
        line("embedded", 0.51, 0.44),
        line("other", 0.5, readers=["paper"]),
        line("other", 0.6, readers=["strict"]),
    ]
    tuned = [line("tuned:embedded", 0.83, 0.85, form="bare", k=0, item_set="fresh-2-seen-words"),
             line("tuned:embedded", 0.5, 0.56)]  # fmt: skip
    table = htest_table({"models": ["embedded", "other"], "main": [*controls, *models]}, tuned)
    assert list(table)[1:] == list(HEADINGS.values())
    assert table["who answers (2,000 items)"].tolist() == [
        "embedded, 50 shots, released items",
        "other, 50 shots, released items, released parser",
        "other, 50 shots, released items, strict parser",
        "best cut on one number, such as the count of words",
        "an independent rule for each task",
        "one tuned model for each task, bare text, fresh items, seen words",
        "one tuned model for each task, 50 shots, released items",
    ]
    assert table[HEADINGS["accuracy"]].tolist()[:3] == [
        "0.51 (0.41 to 0.61)", "0.50 (0.40 to 0.60)", "0.60 (0.50 to 0.70)"]  # fmt: skip
    assert table[HEADINGS["auroc"]].tolist() == [
        "0.44 (0.34 to 0.54)", *[NO_MARGIN] * 4, "0.85 (0.75 to 0.95)", "0.56 (0.46 to 0.66)"]  # fmt: skip


def test_the_kits_own_result_has_its_sentences_what_they_do_not_show_and_the_numbers() -> None:
    assert htest_finding({"models": ["some_model"]}) == ""  # an earlier release, or nobody gave margins
    kept = finding() | {"sentences": ["It prefers A.", "Fresh items are harder."], "not_shown": "Not shown: why."}
    text = htest_finding({"findings": {"some_model": kept, "other": kept}})
    assert text.startswith("It prefers A. Fresh items are harder.\n\nNot shown: why.\n\n|")
    assert text.count("Not shown: why.") == 2 == len(tables(text))
    assert "0.73 (0.71 to 0.75)" in text


def test_a_run_without_its_controls_is_no_result() -> None:
    with pytest.raises(KeyError, match="control:shortcut"):
        htest_table({"models": [], "main": []}, [])
