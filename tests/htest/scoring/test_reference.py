"""The checks of notebook 07 pass where all is well and fail where it is not."""

from dataclasses import replace
from pathlib import Path

import huggingface_hub
import pandas as pd
import pytest

from saelib.htest.asking.replies import Reply
from saelib.htest.respondents import LocalSettings
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.readings import readings_of
from saelib.htest.scoring.reference import check_known_accuracies, check_one_prompt_alone, log_probabilities_alone
from saelib.htest.stages import ask, ask_controls
from tests.helpers.small_models import COMMIT, cache_hub_model, save_small_model
from tests.helpers.small_studies import OTHER, items_of_two_sets, small_study


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a notebook would show."""
    texts: list[str] = []
    monkeypatch.setattr("saelib.results.notebook.say", lambda text, role=None: texts.append(text))
    return texts


@pytest.fixture
def accuracies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    return accuracies_of(readings_of(ask_controls(small_study(tmp_path, monkeypatch, items_of_two_sets()))))


def test_known_accuracies_are_confirmed(accuracies: pd.DataFrame, shown: list[str]) -> None:
    check_known_accuracies(accuracies, (OTHER, "fresh-2"))
    assert len(shown) == 5
    assert all("✓" in text for text in shown)


@pytest.mark.parametrize(
    ("model", "item_set", "change", "named"),
    [
        ("control:constant_a", OTHER, 0.25, "highest accuracy of constant A in any task, other-1"),
        ("control:constant_a", "fresh-2", 0.25, "highest accuracy of constant A in any task, fresh-2"),
        ("control:constant_a", "fresh-2", -0.25, "lowest accuracy of constant A in any task, fresh-2"),
        ("control:oracle", "fresh-2", -0.25, "oracle, fresh-2, its worst task"),
    ],
)
def test_one_wrong_task_is_found(
    accuracies: pd.DataFrame, shown: list[str], model: str, item_set: str, change: float, named: str
) -> None:
    place = (accuracies[["model", "item_set", "task", "reader"]] == [model, item_set, "rhyme", "strict"]).all(axis=1)
    assert place.sum() == 1
    accuracies.loc[place, "accuracy"] += change
    with pytest.raises(AssertionError, match=named):
        check_known_accuracies(accuracies, (OTHER, "fresh-2"))


def test_the_oracle_may_dispute_other_items_than_the_fresh_ones(accuracies: pd.DataFrame, shown: list[str]) -> None:
    accuracies.loc[(accuracies["model"] == "control:oracle") & (accuracies["item_set"] == OTHER), "accuracy"] = 0.7
    check_known_accuracies(accuracies, (OTHER, "fresh-2"))


def test_a_table_without_the_controls_is_no_confirmation(accuracies: pd.DataFrame, shown: list[str]) -> None:
    for control in ("oracle", "constant_a"):
        with pytest.raises(AssertionError):
            check_known_accuracies(accuracies[accuracies["model"] != f"control:{control}"], (OTHER, "fresh-2"))


@pytest.fixture
def replies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Reply]:
    """Of the embedded model, with 0 and 4 shots and in chat."""
    study = small_study(tmp_path, monkeypatch, device="cpu")
    embedded = study.respondent("embedded")
    told = [reply for k in (0, 4) for reply in ask(study, embedded, k, ["rhyme", "uppercase"])]
    return told + ask(study, embedded, 4, ["rhyme"], form="chat")


def test_a_prompt_read_alone_has_the_engines_log_probabilities(replies: list[Reply]) -> None:
    picked = [replies[0], replies[5], replies[8], replies[13], replies[-1]]
    assert {(reply.condition.k, reply.condition.form) for reply in picked} == {
        (0, "completion"), (4, "completion"), (4, "chat"),
    }  # fmt: skip
    for reply in picked:
        assert log_probabilities_alone(reply, "cpu") == pytest.approx(reply.log_probabilities, abs=1e-4)
    other = replace(replies[0], prompt=replies[1].prompt)  # another prompt has others: the comparison can fail
    assert log_probabilities_alone(other, "cpu") != pytest.approx(replies[0].log_probabilities, abs=1e-3)


def test_a_hub_model_is_read_at_the_commit_that_gave_the_reply(
    replies: list[Reply], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    snapshot = cache_hub_model(tmp_path / "hub", "some/model")
    condition = replace(replies[-1].condition, model="some/model", revision=COMMIT)
    reply = replace(replies[-1], condition=condition, prompt="ban ted")
    before = log_probabilities_alone(reply, "cpu")
    save_small_model(snapshot.with_name(COMMIT[::-1]), seed=1)
    (snapshot.parents[1] / "refs" / "main").write_text(COMMIT[::-1])
    assert log_probabilities_alone(reply, "cpu") == before
    assert log_probabilities_alone(reply, "cpu", LocalSettings("cpu", revision="main")) == before
    newer = replace(reply, condition=replace(condition, revision=COMMIT[::-1]))
    assert log_probabilities_alone(newer, "cpu") != pytest.approx(before, abs=1e-3)


def test_the_longest_prompt_of_each_local_model_is_read_again(replies: list[Reply], shown: list[str]) -> None:
    elsewhere = ("api:openai/gpt-4o", "control:coin", "untrained:embedded")
    others = [replace(replies[0], condition=replace(replies[0].condition, model=name)) for name in elsewhere]
    check_one_prompt_alone([*replies, *others], "cpu")
    longest = max(replies, key=lambda reply: len(reply.prompt))
    assert len(shown) == 2
    assert all(f"embedded, {longest.item.key}, 4 shots" in text for text in shown)


def test_a_spoilt_log_probability_is_found(replies: list[Reply], shown: list[str]) -> None:
    longest = max(replies, key=lambda reply: len(reply.prompt))
    chances = longest.log_probabilities or {}
    spoilt = replace(longest, log_probabilities=chances | {"B": chances["B"] + 1e-3})
    with pytest.raises(AssertionError, match=r"log p\(B\)"):
        check_one_prompt_alone([spoilt if reply is longest else reply for reply in replies], "cpu")


def test_replies_without_log_probabilities_are_passed_over(replies: list[Reply], shown: list[str]) -> None:
    silent = replace(replies[0], log_probabilities=None, prompt=replies[0].prompt * 9)
    check_one_prompt_alone([silent, *replies], "cpu")
    assert len(shown) == 2
    assert not any(silent.item.key in text for text in shown)


def test_constant_a_has_the_share_of_a_in_a_set_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: list[str]
) -> None:
    items = [item for item in items_of_two_sets() if (item.item_set, item.task, item.row) != (OTHER, "rhyme", 4)]
    study = small_study(tmp_path, monkeypatch, items)  # rhyme: A, B, A are left
    found = accuracies_of(readings_of(ask_controls(study)))
    check_known_accuracies(found, study.item_sets, study.items)
    (rhyme,) = [text for text in shown if f"constant A in rhyme, {OTHER}" in text]
    assert "**0.66667** here, 0.66667" in rhyme
    row = (found[["model", "item_set", "task", "reader"]] == ["control:constant_a", OTHER, "rhyme", "strict"]).all(
        axis=1
    )
    found.loc[row, "accuracy"] = 0.5
    with pytest.raises(AssertionError, match=f"constant A in rhyme, {OTHER}"):
        check_known_accuracies(found, study.item_sets, study.items)
