"""Content-free questions are asked behind the same shots, kept beside the items' replies, and are no items."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from saelib.htest import stages
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition
from saelib.htest.budget import api_cost
from saelib.htest.items.item import CONTENT_FREE, CONTENT_FREE_TEXTS, Item
from saelib.htest.study import Study
from saelib.htest.tasks import TASKS
from tests.helpers.small_studies import TEST_ITEMS, Listener, items_of_two_sets, respondent, small_study

FREE = len(CONTENT_FREE_TEXTS)


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch, calibration=True, tasks=["rhyme", "uppercase"])


def test_they_are_asked_with_the_items_behind_the_same_shots(study: Study) -> None:
    engine = Listener()
    replies = stages.ask(study, respondent(engine), 4, ["rhyme"])
    (asked,) = engine.items  # one call, so that the shots are read once
    assert [item.text for item in asked[TEST_ITEMS:]] == list(CONTENT_FREE_TEXTS)
    assert [reply.item for reply in replies] == asked
    shots = {prompt.text.split("\n\n")[0] for prompt in engine.prompts}
    assert len(shots) == 1 and shots.pop().count("Label:") == 4
    assert engine.prompts[-2].text.endswith('Input: "" Label: \nA \nB (Respond in one letter and nothing else)')
    folder = study.path_of(replies[0].condition, "fresh-2", "rhyme").parent
    assert sorted(path.name for path in folder.iterdir()) == ["fresh-2-rhyme-content-free.jsonl", "fresh-2-rhyme.jsonl"]
    assert {reply.item.key for reply in stages.stored_replies(study)} == {reply.item.key for reply in replies}
    assert stages.ask(study, respondent(Listener(lambda item: "B")), 4, ["rhyme"]) == replies


def test_a_run_that_was_begun_without_them_asks_them_alone(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = study.config.replace(calibration=False)
    before = stages.ask(Study(plain), respondent(Listener()), 4, ["rhyme"])
    assert len(before) == TEST_ITEMS
    file = study.path_of(before[0].condition, "fresh-2", "rhyme")
    bytes_before = file.read_bytes()
    engine = Listener()
    replies = stages.ask(study, respondent(engine), 4, ["rhyme"])
    assert replies[:TEST_ITEMS] == before and engine.asked == FREE
    assert file.read_bytes() == bytes_before


@pytest.mark.parametrize("form", ["chain_of_thought", "bare", "letter_geometry"])
def test_not_where_the_first_token_is_no_letter_or_no_shot_stands_before(study: Study, form: str) -> None:
    assert not stages.is_calibrated(study.config, "listener", form)
    assert stages.is_calibrated(study.config, "listener", "completion")


def test_each_set_of_items_task_and_order_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, items_of_two_sets(), calibration=True, tasks=["rhyme", "uppercase"])
    replies = [reply for seed in (None, 1) for reply in stages.ask(study, respondent(Listener()), 4, shuffle_seed=seed)]
    free = [reply for reply in replies if reply.item.split == CONTENT_FREE]
    places = {(reply.item.item_set, reply.item.task, reply.condition.shuffle_seed) for reply in free}
    assert len(places) == 8 and len(free) == 8 * FREE
    assert len({reply.prompt for reply in free}) == 8 * FREE  # no two prompts are alike: other shots, other texts


def test_controls_and_apis_without_log_probabilities_are_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"calibration": True, "tasks": ["rhyme"], "models": ["api:mockllm/model"]}
    for number, knows in enumerate((False, True)):
        study = small_study(tmp_path / str(number), monkeypatch, api_log_probabilities=knows, **settings)
        (cost,) = api_cost(study, study.config.models, [4]).to_dict("records")
        assert cost["requests"] == TEST_ITEMS + FREE * knows
    assert {reply.item.split for reply in stages.ask_controls(study)} == {"test"}


def test_an_engine_that_fails_leaves_neither_file(study: Study) -> None:
    def fails(items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        stages.ask(study, respondent(fails), 4, ["rhyme"])
    assert stages.stored_replies(study) == []


def test_other_forms_are_asked_behind_the_own_one_with_fewer_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(
        tmp_path, monkeypatch, other_forms=["chat", "completion"], other_form_items=2, tasks=["rhyme", "uppercase"]
    )
    embedded = study.respondent("embedded")
    assert stages.forms_of(study.config, embedded.form) == {"completion": TEST_ITEMS, "chat": 2}
    few = study.config.replace(other_form_items=TEST_ITEMS + 2)
    assert stages.forms_of(few, "completion") == {"completion": TEST_ITEMS, "chat": TEST_ITEMS}  # no more than its own
    assert stages.forms_of(few, "completion", others=False) == {"completion": TEST_ITEMS}
    replies = stages.ask_models(study, ["embedded"], [0, 4])
    parts = dict.fromkeys((reply.condition.form, reply.condition.k) for reply in replies)
    assert list(parts) == [("completion", 0), ("completion", 4), ("chat", 0), ("chat", 4)]
    assert sum(reply.condition.form == "chat" for reply in replies) == 2 * 2 * 2
    assert sum(reply.condition.form == "completion" for reply in replies) == 2 * 2 * TEST_ITEMS
    assert len(TASKS) > 2  # of which two were asked
    alone = stages.ask_models(study, ["embedded"], [4], others=False)
    assert {reply.condition.form for reply in alone} == {"completion"}
    api = study.config.replace(models=["api:mockllm/model"])
    assert [api_cost(study, api.models, [4], others=others)["requests"].sum() for others in (True, False)] == [
        2 * (TEST_ITEMS + 2), 2 * TEST_ITEMS]  # fmt: skip
