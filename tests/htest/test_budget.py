"""The dry run counts what is still to be asked, and only models that fit into the budget are let through."""

from math import ceil
from pathlib import Path

import pandas as pd
import pytest

from saelib.htest.budget import COLUMNS, affordable, api_cost
from saelib.htest.items.words import FRESH_SET
from saelib.htest.stages import ask
from saelib.htest.study import Study
from saelib.htest.tasks import TASKS
from tests.helpers.small_studies import TEST_ITEMS, Listener, items_of_two_sets, respondent, small_study

MODEL = "api:mockllm/model"
ALL = len(TASKS) * TEST_ITEMS
BUDGET = 2 * ALL


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch, api_requests=BUDGET)


def ask_some(study: Study, k: int, tasks: list[str], limit: int | None = None) -> list[str]:
    """Have replies of the API model stored, as if it had been asked; returns the prompts."""
    engine = Listener(budget=study.budget)
    ask(study, respondent(engine, MODEL, revision=""), k, tasks, limit=limit)
    return [prompt.text for prompt in engine.prompts]


def test_all_is_missing_at_first(study: Study) -> None:
    cost = api_cost(study, [MODEL], [4, 14])
    assert list(cost.columns) == COLUMNS
    assert cost[["model", "k", "requests"]].values.tolist() == [[MODEL, 4, ALL], [MODEL, 14, ALL]]
    assert cost["output_tokens"].tolist() == [5 * ALL] * 2
    assert cost["input_tokens"].is_monotonic_increasing
    assert not study.replies_folder.exists()  # nothing was asked


def test_only_missing_requests_and_their_tokens_count(study: Study) -> None:
    before = api_cost(study, [MODEL], [4, 14])
    prompts = ask_some(study, 4, ["rhyme"]) + ask_some(study, 4, ["uppercase"], limit=2)
    after = api_cost(study, [MODEL], [4, 14])
    assert after["requests"].tolist() == [ALL - TEST_ITEMS - 2, ALL]
    tokens = sum(ceil(len(prompt) / 3) for prompt in prompts)
    assert (before["input_tokens"] - after["input_tokens"]).tolist() == [tokens, 0]
    assert (before["output_tokens"] - after["output_tokens"]).tolist() == [5 * (TEST_ITEMS + 2), 0]
    ask_some(study, 4, list(TASKS))
    done = api_cost(study, [MODEL], [4])
    assert done[["requests", "input_tokens", "output_tokens"]].values.tolist() == [[0, 0, 0]]


def test_replies_of_another_model_save_nothing(study: Study) -> None:
    ask_some(study, 4, ["rhyme"])
    assert api_cost(study, ["api:mockllm/other"], [4])["requests"].tolist() == [ALL]


def test_every_set_of_items_counts_unless_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, items_of_two_sets())
    assert api_cost(study, [MODEL], [4])["requests"].tolist() == [2 * ALL]
    assert api_cost(study, [MODEL], [4], item_sets=[FRESH_SET])["requests"].tolist() == [ALL]


def test_models_on_this_machine_cost_nothing(study: Study) -> None:
    cost = api_cost(study, ["embedded", "tiny", "control:coin"], [4])
    assert cost.empty
    assert list(cost.columns) == COLUMNS
    assert affordable(study, ["control:coin", "tiny"], cost) == (["control:coin", "untrained:embedded", "embedded"], [])


def test_a_family_costs_what_its_members_cost(study: Study) -> None:
    assert api_cost(study, ["gpt"], [4])["model"].tolist() == [
        "api:openai/gpt-3.5-turbo", "api:openai/gpt-4o-mini", "api:openai/gpt-4o",
    ]  # fmt: skip


COST = pd.DataFrame(
    [("api:a", 4, 60, 1, 1), ("api:a", 14, 40, 1, 1), ("api:b", 4, 50, 1, 1), ("api:done", 4, 0, 0, 0)], columns=COLUMNS
)


@pytest.mark.parametrize(
    ("budget", "asked", "left_out"),
    [
        (0, ["embedded", "api:done"], ["api:a", "api:b"]),
        (49, ["embedded", "api:done"], ["api:a", "api:b"]),
        (60, ["api:b", "embedded", "api:done"], ["api:a"]),  # 60 + 40 requests are more than 60, 50 are not
        (100, ["api:a", "embedded", "api:done"], ["api:b"]),
        (149, ["api:a", "embedded", "api:done"], ["api:b"]),
        (150, ["api:a", "api:b", "embedded", "api:done"], []),
    ],
)
def test_api_models_are_asked_while_their_sum_fits_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int, asked: list[str], left_out: list[str]
) -> None:
    study = small_study(tmp_path, monkeypatch, api_requests=budget)
    assert affordable(study, ["api:a", "api:b", "embedded", "api:done"], COST) == (asked, left_out)


def test_what_was_sent_is_taken_from_the_budget(study: Study) -> None:
    cost = pd.DataFrame([("api:a", 4, BUDGET - TEST_ITEMS, 1, 1)], columns=COLUMNS)
    assert affordable(study, ["api:a"], cost) == (["api:a"], [])
    ask_some(study, 4, ["rhyme"])
    assert affordable(study, ["api:a"], cost) == (["api:a"], [])
    ask_some(study, 4, ["rhyme"])  # stored: costs nothing
    assert affordable(study, ["api:a"], cost) == (["api:a"], [])
    ask_some(study, 4, ["uppercase"])
    assert affordable(study, ["api:a"], cost) == ([], ["api:a"])
