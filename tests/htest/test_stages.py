"""Each item is asked once; what was replied is kept, and asking goes on where it was left."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.asking.prompts import Prompt, render
from saelib.htest.asking.replies import Answer, Condition, read_replies
from saelib.htest.audit.rules import RULES
from saelib.htest.config import CONTROL
from saelib.htest.engines.controls import CONTROLS
from saelib.htest.items.item import Item, select
from saelib.htest.respondents import ApiSettings, LocalSettings, Respondent
from saelib.htest.stages import (
    ask,
    ask_controls,
    ask_items,
    ask_letter_geometry,
    ask_models,
    condition_of,
    stored_count,
    stored_replies,
)
from saelib.htest.study import Study, open_study
from saelib.htest.tasks import TASKS
from tests.helpers.small_studies import OTHER, TEST_ITEMS, Listener, items_of_two_sets, respondent, small_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch)


@pytest.fixture
def two_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch, items_of_two_sets())


def test_replies_are_stored_one_file_a_task_in_the_folder_of_the_condition(study: Study) -> None:
    engine = Listener(lambda item: RULES[item.task](item.text) or "")
    replies = ask(study, respondent(engine), 4)
    assert len(replies) == engine.asked == len(TASKS) * TEST_ITEMS
    assert all(reply.reply == reply.item.label for reply in replies)
    condition = condition_of(study, respondent(engine), "chat", 4)
    assert {reply.condition for reply in replies} == {condition}
    folder = study.replies_folder / condition.name()
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"fresh-2-{task}.jsonl" for task in TASKS)
    assert read_replies(folder / "fresh-2-rhyme.jsonl") == [reply for reply in replies if reply.item.task == "rhyme"]
    assert sorted(reply.item.key for reply in stored_replies(study)) == sorted(reply.item.key for reply in replies)


def test_what_is_stored_is_not_asked_again(study: Study) -> None:
    first, second = Listener(), Listener(lambda item: "B")
    told = ask(study, respondent(first), 4)
    assert ask(study, respondent(second), 4) == told
    assert second.items == []


def test_a_larger_limit_asks_the_missing_items_only(study: Study) -> None:
    first, second = Listener(), Listener(lambda item: "B")
    ask(study, respondent(first), 4, ["rhyme"], limit=2)
    condition = condition_of(study, respondent(first), "chat", 4)
    assert stored_count(study, condition, "fresh-2", "rhyme") == 2
    assert stored_count(study, condition, "fresh-2", "uppercase") == 0
    replies = ask(study, respondent(second), 4, ["rhyme"])
    assert [item.row for (call,) in [second.items] for item in call] == [3, 4]
    assert [reply.item for reply in replies] == select(study.items, "rhyme", "test")
    assert [reply.reply for reply in replies] == ["A", "A", "B", "B"]
    assert ask(study, respondent(Listener()), 4, ["rhyme"], limit=2) == replies[:2]
    assert stored_count(study, condition, "fresh-2", "rhyme") == 4  # a smaller limit takes nothing away


def test_after_a_breakdown_the_tasks_that_were_done_are_not_asked_again(study: Study) -> None:
    broken, healthy = Listener(fails_at=4), Listener()
    with pytest.raises(ConnectionError, match="the line went dead"):
        ask(study, respondent(broken), 4)
    assert {reply.item.task for reply in stored_replies(study)} == set(list(TASKS)[:3])
    assert len(ask(study, respondent(healthy), 4)) == len(TASKS) * TEST_ITEMS
    assert [{item.task for item in call} for call in healthy.items] == [{task} for task in list(TASKS)[3:]]


def test_an_engine_that_answers_too_little_leaves_nothing(study: Study) -> None:
    short = Respondent("short", "", "chat", lambda items, prompts, condition: [])
    with pytest.raises(ValueError, match="short gave 0 answers to 4 prompts"):
        ask(study, short, 4, ["rhyme"])
    assert stored_replies(study) == []


@pytest.mark.parametrize(
    "change",
    [{"k": 6}, {"form": "completion"}, {"shuffle_seed": 0}, {"max_tokens": 7}, {"name": "else"}, {"revision": "2"}],
)
def test_another_condition_is_asked_by_itself(study: Study, change: dict) -> None:
    first, second = Listener(), Listener()
    ask(study, respondent(first), 4, ["rhyme"])
    named = {key: change.pop(key) for key in ("name", "revision") if key in change}
    ask(study, respondent(second, **named), tasks=["rhyme"], **({"k": 4} | change))
    assert second.asked == TEST_ITEMS
    assert len(list(study.replies_folder.iterdir())) == 2


def test_the_condition_takes_temperature_and_seed_from_the_config_and_tokens_from_the_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path, monkeypatch, temperature=0.7, seed=3)
    asked = respondent(Listener(), "some/model", "abc")
    condition = condition_of(study, asked, "chat", 14, shuffle_seed=2)
    assert (condition.model, condition.revision, condition.k, condition.shuffle_seed) == ("some/model", "abc", 14, 2)
    assert (condition.temperature, condition.seed) == (0.7, 3)
    tokens = {form: condition_of(study, asked, form, 4).max_tokens for form in ("chat", "completion", "bare")}
    assert tokens == {"chat": 5, "completion": 1, "bare": 1}  # five: as in the paper
    assert condition_of(study, asked, "chat", 4, max_tokens=9).max_tokens == 9


def test_folders_of_conditions_say_who_was_asked_and_how(study: Study) -> None:
    asked = respondent(Listener(), "api:openai/gpt-4o")
    names = [condition_of(study, asked, "chat", k, seed).name() for k in (4, 14) for seed in (None, 0, 1)]
    assert len(set(names)) == 6
    assert all(name.startswith("api-openai-gpt-4o-chat-k") for name in names)


def test_shots_are_those_of_the_same_set_of_items(two_sets: Study) -> None:
    engine = Listener()
    ask(two_sets, respondent(engine), 4, ["rhyme"])
    assert [call[0].item_set for call in engine.items] == [OTHER, "fresh-2"]
    assert [prompt.text.count('"Other ') for prompt in engine.prompts] == [5] * TEST_ITEMS + [0] * TEST_ITEMS


def test_one_set_of_items_may_be_asked_alone(two_sets: Study) -> None:
    engine = Listener()
    replies = ask(two_sets, respondent(engine), 0, item_sets=["fresh-2"])
    assert {reply.item.item_set for reply in replies} == {"fresh-2"}
    assert engine.asked == len(TASKS) * TEST_ITEMS


def test_shuffled_shots_are_other_ones_or_in_another_order(study: Study) -> None:
    prompts = {}
    for shuffle_seed in (None, 0, 1):
        engine = Listener()
        ask(study, respondent(engine), 6, ["rhyme"], shuffle_seed=shuffle_seed)
        prompts[shuffle_seed] = [prompt.text for prompt in engine.prompts]
        assert all(prompt.count("Label: A\n") == 3 for prompt in prompts[shuffle_seed])
    assert len({tuple(texts) for texts in prompts.values()}) == 3


def test_more_shots_than_there_are_are_refused(study: Study) -> None:
    with pytest.raises(ValueError, match=r"k=52: the dev split holds \[25, 25\]"):
        ask(study, respondent(Listener()), 52, ["rhyme"])


def test_items_of_a_caller_are_asked_once_too(study: Study) -> None:
    engine = Listener()
    items = [replace(item, item_set="mine") for item in select(study.items, "rhyme", "test")]
    condition = condition_of(study, respondent(engine), "bare", 0)
    first = ask_items(study, respondent(engine), condition, items, [])
    assert first == ask_items(study, respondent(engine), condition, items, [])
    assert engine.asked == TEST_ITEMS
    assert engine.prompts == render(items, [], "bare")
    assert stored_count(study, condition, "mine", "rhyme") == TEST_ITEMS


def test_every_model_is_asked_with_every_number_of_shots(two_sets: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Listener()
    opened: list[str] = []

    def open_respondent(
        name: str, items: list[Item], form: str, device: str, seed: int, api: ApiSettings, local: LocalSettings
    ) -> Respondent:
        opened.append(name)
        assert items == two_sets.items
        assert api.logs.is_relative_to(two_sets.folder)
        assert replace(local, commit=None) == two_sets.local_settings
        return respondent(engine, name)

    monkeypatch.setattr("saelib.htest.study.open_respondent", open_respondent)
    replies = ask_models(two_sets, ["one", "two"], [0, 4], ["fresh-2"])
    assert opened == ["one", "two"]
    parts = dict.fromkeys((reply.condition.model, reply.condition.k) for reply in replies)
    assert list(parts) == [("one", 0), ("one", 4), ("two", 0), ("two", 4)]
    assert len(replies) == engine.asked == 4 * len(TASKS) * TEST_ITEMS
    assert len(ask_models(two_sets, ["one"], [0])) == 2 * len(TASKS) * TEST_ITEMS  # both sets unless one is named


def test_controls_answer_all_tasks(study: Study) -> None:
    replies = ask_controls(study)
    by_name = {name: [r for r in replies if r.condition.model == CONTROL + name] for name in CONTROLS}
    assert {len(told) for told in by_name.values()} == {len(TASKS) * TEST_ITEMS}
    assert all(reply.reply == reply.item.label for reply in by_name["oracle"])
    assert {reply.reply for reply in by_name["constant_b"]} == {"B"}
    assert {reply.condition.k for reply in replies} == {0}


def test_all_ninety_questions_of_letter_geometry_are_asked_without_shots(study: Study) -> None:
    engine = Listener(lambda item: item.label)
    replies = ask_letter_geometry(study, respondent(engine))
    assert len(replies) == engine.asked == 90 > TEST_ITEMS
    (condition,) = engine.conditions
    assert (condition.form, condition.k, condition.max_tokens) == ("letter_geometry", 0, 1)
    assert stored_count(study, condition, "fresh-2", "letter_geometry") == 90


def test_an_api_is_not_asked_for_more_than_may_be_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, api_requests=TEST_ITEMS + 1)
    engine = Listener(budget=study.budget)
    paid = respondent(engine, "api:openai/gpt-4o")
    replies = ask(study, paid, 4, ["rhyme"])
    assert study.requests_left == 1
    assert ask(study, paid, 4, ["rhyme"]) == replies  # stored: free
    with pytest.raises(
        PermissionError, match=f"{TEST_ITEMS} requests are needed and 1 of api_requests={TEST_ITEMS + 1}"
    ):
        ask(study, paid, 14, ["rhyme"])
    assert engine.asked == TEST_ITEMS
    assert study.requests_left == 1
    assert len(ask(study, respondent(Listener(), "on this machine"), 4)) == len(TASKS) * TEST_ITEMS  # costs nothing


def test_where_not_all_may_be_paid_nothing_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, api_requests=2 * TEST_ITEMS)
    engine = Listener(budget=study.budget)
    paid = respondent(engine, "api:openai/gpt-4o")
    with pytest.raises(PermissionError, match=f"{3 * TEST_ITEMS} requests are needed and {2 * TEST_ITEMS} of"):
        ask(study, paid, 4, list(TASKS)[:3])
    assert engine.items == []
    assert study.requests_left == 2 * TEST_ITEMS
    ask(study, paid, 4, ["rhyme"])
    assert len(ask(study, paid, 4, ["rhyme", "uppercase"])) == 2 * TEST_ITEMS  # half of it is there already
    assert study.requests_left == 0


@pytest.mark.parametrize("changed", ["item", "shot"])
def test_replies_to_items_or_prompts_that_have_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    study = small_study(tmp_path, monkeypatch)
    told = ask(study, respondent(Listener()), 4, ["rhyme"])
    split = {"item": "test", "shot": "dev"}[changed]
    (old, *_) = select(study.items, "rhyme", split)
    items = [replace(item, text="other words") if item == old else item for item in study.items]
    engine = Listener()
    named = r"fresh-2-rhyme\.jsonl, line 1, holds a reply to another item or prompt.*another run"
    with pytest.raises(ValueError, match=named):
        ask(small_study(tmp_path, monkeypatch, items), respondent(engine), 4, ["rhyme"])
    assert engine.items == []
    assert stored_replies(study) == told


def test_a_subset_of_tasks_is_what_every_stage_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, tasks=["uppercase", "rhyme"])
    engine = Listener()
    assert {reply.item.task for reply in ask(study, respondent(engine), 0)} == {"uppercase", "rhyme"}
    assert {reply.item.task for reply in ask_controls(study)} == {"uppercase", "rhyme"}


def test_samples_are_stored_item_by_item_and_asking_goes_on_after_whole_items(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path, monkeypatch, tasks=["rhyme"], temperature=0.7, samples=3)

    class Sampler(Listener):
        def __call__(self, items, prompts, condition):
            return [answer for answer in super().__call__(items, prompts, condition) for _ in range(condition.samples)]

    engine = Sampler()
    first = ask(study, respondent(engine), 0, limit=2)
    replies = ask(study, respondent(engine), 0)
    assert replies[:6] == first
    assert [(reply.item.row, reply.sample) for reply in replies] == [
        (row, sample) for row in range(1, TEST_ITEMS + 1) for sample in range(3)
    ]
    assert engine.asked == TEST_ITEMS
    assert len(ask_controls(study)) == len(CONTROLS) * TEST_ITEMS  # once each


def test_settings_of_the_config_are_the_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, max_tokens=9, system="Be good.")
    chat = condition_of(study, respondent(Listener(), "api:mockllm/model"), "chat", 0)
    assert (chat.max_tokens, chat.system) == (9, "Be good.")
    assert condition_of(study, respondent(Listener(), "api:mockllm/model"), "completion", 0).system == ""
    assert condition_of(study, respondent(Listener()), "chat", 0, max_tokens=1).max_tokens == 1
    assert condition_of(study, study.respondent("embedded"), "completion", 0).first_token == ""


def test_what_a_server_refused_is_asked_again_on_request_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(Listener):
        """Refuses the first item of a call, and says B to the others."""

        def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
            first, *others = super().__call__(items, prompts, condition)
            return [first._replace(reply=None, log_probabilities=None, problem="refused: 400 too long"), *others]

    study = small_study(tmp_path, monkeypatch)
    replies = ask(study, respondent(Refusing(lambda item: "B")), 4, ["rhyme"])
    assert [reply.problem for reply in replies] == ["refused: 400 too long", None, None, None]
    engine = Listener(lambda item: "A")
    assert ask(study, respondent(engine), 4, ["rhyme"]) == replies and engine.asked == 0
    again = open_study(preset="smoke", run="small", test_items=TEST_ITEMS, ask_refused=True)
    assert [reply.reply for reply in ask(again, respondent(engine), 4, ["rhyme"])] == ["A", "B", "B", "B"]
    assert [item.key for (item,) in engine.items] == [replies[0].item.key]
    assert [reply.problem for reply in ask(study, respondent(engine), 4, ["rhyme"])] == [None] * 4, "it is stored"
    assert engine.asked == 1


def test_what_was_refused_is_asked_again_also_where_the_run_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = small_study(tmp_path, monkeypatch, ask_refused=True)
    refusing = Listener(lambda item: "B")

    def refuse_first(items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        first, *others = refusing(items, prompts, condition)
        return [first._replace(reply=None, log_probabilities=None, problem="refused: 400 too long"), *others]

    ask(study, Respondent("listener", "1", "chat", refuse_first), 4, ["rhyme"], limit=2)
    engine = Listener(lambda item: "A")
    replies = ask(study, respondent(engine), 4, ["rhyme"])
    assert [reply.reply for reply in replies] == ["A", "B", "A", "A"]
    assert [[item.row for item in call] for call in engine.items] == [[1], [3, 4]]
    assert ask(study, respondent(engine), 4, ["rhyme"]) == replies and engine.asked == 3


def test_the_shortcut_leaves_out_what_it_cannot_be_fitted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items = [item for item in items_of_two_sets() if (item.item_set, item.split) != (OTHER, "dev")]
    replies = ask_controls(small_study(tmp_path, monkeypatch, items))
    counts = {name: {item_set: sum((reply.condition.model, reply.item.item_set) == (CONTROL + name, item_set)
                                   for reply in replies) for item_set in (OTHER, "fresh-2")}
              for name in CONTROLS}  # fmt: skip
    every = len(TASKS) * TEST_ITEMS
    assert counts.pop("shortcut") == {OTHER: 0, "fresh-2": every}
    assert set(map(str, counts.values())) == {str({OTHER: every, "fresh-2": every})}
