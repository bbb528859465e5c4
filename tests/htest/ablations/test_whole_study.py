"""The dry run counts every request of every stage, each prompt once, and sends nothing."""

from pathlib import Path
from typing import Any

import pytest

from saelib.htest.ablations.whole_study import COLUMNS, study_cost
from saelib.htest.stages import ask
from tests.helpers.small_studies import TEST_ITEMS, Listener, items_of_two_sets, respondent, small_study

API_MODEL, JUDGE = "api:mockllm/model", "api:mockllm/judge"
SETTINGS: dict[str, Any] = {
    "models": [API_MODEL], "shots": [2, 4], "tasks": ["rhyme", "uppercase"], "ablation_model": API_MODEL,
    "ablation_shots": [0, 2, 4], "shuffles": 2, "family": [API_MODEL, "embedded"], "chain_of_thought_items": 2,
    "chain_of_thought_tokens": 30, "judge": JUDGE, "api_requests": 100,
}  # fmt: skip
ITEMS = 2 * TEST_ITEMS


def requests(study) -> dict[str, list[int]]:
    cost = study_cost(study)
    assert list(cost) == COLUMNS
    return {stage: rows["requests"].tolist() for stage, rows in cost.groupby("stage", sort=False)}


def test_every_stage_is_counted_and_what_two_share_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, **SETTINGS)
    assert requests(study) == {
        "main table": [ITEMS, ITEMS],
        "number of shots": [ITEMS],  # none; 2 and 4 are in the main table, and so is the family's
        "order of shots": [2 * ITEMS],
        "chain of thought": [2 * 2],
        # without a thought: in the main table already, as it is asked in chat too
        "letter geometry": [90],
        "judge": [2 * 2],
    }
    assert not study.replies_folder.exists()


def test_orders_on_fresh_items_are_counted_on_every_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, items_of_two_sets(), **SETTINGS, fresh_shuffles=1)
    assert requests(study)["order of shots"] == [3 * ITEMS]  # two on the main set, one on the other


def test_samples_count_and_what_is_stored_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, **SETTINGS)
    ask(study, respondent(Listener(), API_MODEL, revision=""), 4, ["rhyme"])
    assert requests(study)["main table"] == [ITEMS, TEST_ITEMS]
    sampled = small_study(tmp_path / "other", monkeypatch, **SETTINGS, temperature=0.7, samples=3)
    assert requests(sampled)["main table"] == [3 * ITEMS, 3 * ITEMS]
    assert requests(sampled)["judge"] == [3 * 4]


def test_models_of_this_machine_cost_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert study_cost(small_study(tmp_path, monkeypatch)).empty
