"""A run grows: what is new is asked, and nothing else; what it has read may not become something else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from saelib.htest.config import HTestConfig
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item, read_items, write_items
from saelib.htest.items.words import FRESH_SET
from saelib.htest.respondents import Respondent
from saelib.htest.scoring.stored import score_study
from saelib.htest.stages import ask, stored_replies
from saelib.htest.study import Study, open_study
from saelib.run.files import write_json
from saelib.run.reading import read_json
from tests.helpers.small_studies import TEST_ITEMS, Listener, few_items, respondent, small_study

TASKS = ("uppercase", "rhyme")
Opened = Callable[..., Study]


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Opens one run, with what is given changed."""
    small_study(tmp_path, monkeypatch, tasks=TASKS)
    return lambda **changes: open_study(
        **{"preset": "smoke", "run": "small", "test_items": TEST_ITEMS, "tasks": TASKS, **changes}
    )


def asked_by(study: Study, name: str = "listener", shots: tuple[int, ...] = (4,)) -> Listener:
    """A listener that was asked the study's tasks with these shots."""
    engine = Listener()
    for k in shots:
        ask(study, respondent(engine, name), k)
    return engine


@pytest.mark.parametrize(
    ("changes", "more", "new"),
    [
        ({"models": ["embedded", "second"]}, {"name": "second"}, 2 * TEST_ITEMS),
        ({"shots": [4, 6]}, {"shots": (4, 6)}, 2 * TEST_ITEMS),
        ({"tasks": [*TASKS, "palindrome"]}, {}, TEST_ITEMS),
        ({"test_items": TEST_ITEMS + 2}, {}, 2 * 2),
        ({"max_tokens": 9}, {}, 2 * TEST_ITEMS),
        ({"temperature": 0.7}, {}, 2 * TEST_ITEMS),
        ({"shuffles": 5, "judge": "the judge", "family": ["a", "b"], "ablation_shots": [2, 4]}, {}, 0),
        ({"fine_tuning": {"epochs": 2}, "api_requests": 7, "device": "cpu"}, {}, 0),
    ],
)
def test_only_what_is_new_is_asked(opened: Opened, changes: dict, more: dict, new: int) -> None:
    assert asked_by(opened()).asked == 2 * TEST_ITEMS
    before = {path: path.read_bytes() for path in opened().replies_folder.rglob("*.jsonl")}
    grown = opened(**changes)
    assert asked_by(grown, **more).asked == new
    assert asked_by(grown, **more).asked == asked_by(opened()).asked == 0
    for path, content in before.items():
        assert path.read_bytes().startswith(content)
    score_study(grown)  # replies under both configs stand side by side


def test_the_newest_config_is_kept(opened: Opened) -> None:
    asked_by(opened())
    grown = opened(models=["second"])
    assert read_json(grown.config_path)["models"] == ["embedded"]  # to open it changes nothing
    asked_by(grown, "second")
    assert read_json(grown.config_path) == grown.config.as_dict() | {"inputs": grown.inputs}


@pytest.mark.parametrize("change", [{"seed": 1}, {"api_log_probabilities": True}, {"revision": "main"}])
def test_what_decides_replies_and_is_in_no_condition_is_another_run(opened: Opened, change: dict) -> None:
    asked_by(opened())
    with pytest.raises(FileExistsError, match=f"{next(iter(change))} was .* name another run"):
        opened(**change)


def test_every_field_either_grows_or_not_on_purpose() -> None:
    fixed = set(HTestConfig.model_fields) - {*HTestConfig.GROWS, *HTestConfig.WITHOUT_EFFECT}
    assert fixed == {"preset", "seed", "api_log_probabilities", "revision"}


def test_two_settings_of_a_run_are_scored_apart(opened: Opened) -> None:
    asked_by(opened())
    asked_by(opened(max_tokens=9))
    table = score_study(opened())
    assert table.groupby(["condition", "task", "reader"]).size().eq(1).all()
    assert table["condition"].nunique() == 2
    assert set(table["items"]) == {TEST_ITEMS}


def test_more_items_come_behind_those_that_are_there(opened: Opened) -> None:
    before = opened().items_path.read_bytes()
    more = opened(test_items=TEST_ITEMS + 2)
    assert set(more.items) == set(fresh_items(0, test=TEST_ITEMS + 2))
    assert opened().items_path.read_bytes() == before
    asked_by(more)
    assert more.items_path.read_bytes().startswith(before)
    assert read_items(more.items_path) == more.items
    assert opened().items == more.items  # fewer are asked, and none is lost


def test_more_items_than_this_release_can_make_of_the_old_ones_are_refused(opened: Opened) -> None:
    path = opened().items_path
    write_items(path, [replace(item, item_set="fresh-0") for item in few_items()])
    assert opened().item_sets == ("fresh-0",)
    with pytest.raises(
        ValueError, match=rf"test_items=6: the run has 4 .* \(fresh-0\), .* \({FRESH_SET}\); name another"
    ):
        _ = opened(test_items=6).items


def official_folder(monkeypatch: pytest.MonkeyPatch, folder: Path, items: list[Item]) -> str:
    """A path whose items are these."""
    folder.mkdir(exist_ok=True)
    monkeypatch.setattr("saelib.htest.items.kept.official_items", lambda official: list(items))
    return str(folder)


def some_set(name: str, mark: str) -> list[Item]:
    return [replace(item, item_set=name, text=f"{mark} {item.text}") for item in few_items()]


def test_a_set_of_items_that_is_added_is_asked_and_comes_first(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked_by(opened())
    before = opened().items_path.read_bytes()
    path = official_folder(monkeypatch, tmp_path / "mine", some_set("mine", "My"))
    grown = opened(official=path)
    assert asked_by(grown).asked == 2 * TEST_ITEMS
    assert grown.item_sets == ("mine", FRESH_SET)
    assert grown.items_path.read_bytes().startswith(before)
    (tmp_path / "mine").rmdir()  # the run has its own copy
    assert opened(official=path).item_sets == ("mine", FRESH_SET)
    assert opened(official=path).caveat == "on the items mine of one's own in place of the released ones"
    assert asked_by(opened(official=path)).asked == 0


def test_a_path_whose_items_have_changed_is_refused(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = official_folder(monkeypatch, tmp_path / "mine", some_set("mine", "My"))
    asked_by(opened(official=path))
    replies = stored_replies(opened())
    for other in (some_set("mine", "Your"), some_set("yours", "Your")):
        official_folder(monkeypatch, tmp_path / "mine", other)
        engine = Listener()
        with pytest.raises(
            FileExistsError, match=rf"made from another content \(official {path} was .*, is .* another run"
        ):
            ask(opened(official=path), respondent(engine), 4)
        assert engine.items == []
    assert stored_replies(opened()) == replies
    elsewhere = official_folder(monkeypatch, tmp_path / "yours", some_set("mine", "Your"))
    with pytest.raises(ValueError, match="a set 'mine' with other items; give this one another name"):
        _ = opened(official=elsewhere).items


def test_released_items_are_added_when_they_are_asked_for(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_by(opened())
    released = some_set("official-4787987", "Released")
    monkeypatch.setattr("saelib.htest.items.kept.official_items", lambda official: released)
    assert opened(official="auto").item_sets == (FRESH_SET,)  # it looks once, when the run's items are made
    grown = opened(official="released")
    assert asked_by(grown).asked == 2 * TEST_ITEMS
    for choice in ("auto", "released"):
        assert opened(official=choice).item_sets == ("official-4787987", FRESH_SET)


def test_a_local_model_that_has_changed_is_refused_before_it_is_asked(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, engine = ["1" * 64], Listener()

    def open_one(name: str, *_: Any) -> Respondent:
        return Respondent(name, content[0] if not name.startswith("api:") else "", "chat", engine)

    monkeypatch.setattr("saelib.htest.study.open_respondent", open_one)
    study = opened()
    ask(study, study.respondent("my/model"), 4)
    ask(study, study.respondent("api:some"), 4) if study.config.api_requests else None
    assert read_json(study.config_path)["inputs"] == {"model my/model": "1" * 64}
    assert set(score_study(study)["inputs"]) == {'{"model my/model": "' + "1" * 64 + '"}'}
    content[0] = "2" * 64
    for again in (study, opened()):
        with pytest.raises(FileExistsError, match=r"\(model my/model was 111111111111, is 222222222222\): put the old"):
            again.respondent("my/model")
    assert engine.asked == 2 * TEST_ITEMS
    opened().respondent("another/model")
    opened().respondent("api:some")


def test_in_a_run_of_an_earlier_release_apis_are_asked_and_local_models_only_read(opened: Opened) -> None:
    study = opened(api_requests=100)
    asked_by(study)
    values = read_json(study.config_path)
    del values["inputs"]
    write_json(study.config_path, values)
    assert asked_by(opened()).asked == 0
    with pytest.raises(FileExistsError, match="written by an earlier release"):
        asked_by(opened(), shots=(6,))
    assert asked_by(opened(api_requests=100), "api:some").asked == 2 * TEST_ITEMS


def test_a_hub_model_stays_at_the_commit_that_was_asked(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str | None]] = []

    def load(name: str, device: str, revision: str | None, *_: object) -> SimpleNamespace:
        told.append((name, revision))
        tokenizer = SimpleNamespace(chat_template=None, encode=lambda text, **_: [*text.encode()])
        return SimpleNamespace(revision="c" * 40 if revision in (None, "main") else revision, tokenizer=tokenizer)

    monkeypatch.setattr("saelib.language.loading.load_language_model", load)
    monkeypatch.setattr("saelib.htest.respondents.first_token_text", lambda *_: "")
    for name in ("some/model", "some/model@main"):
        study = opened()
        study.respondent(name)
        study.claim()
        opened().respondent(name)
    commit = "c" * 40
    assert told == [("some/model", None), ("some/model", commit), ("some/model", "main"), ("some/model", commit)]


def test_items_of_another_run_are_its_fresh_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    path = tmp_path / "items.jsonl"
    mine = some_set("mine", "My")
    write_items(path, [*mine, *few_items()])
    for test_items in (TEST_ITEMS, TEST_ITEMS + 2):  # more are made beside them
        for _ in range(2):
            study = open_study(preset="smoke", run=f"run{test_items}", official=str(path), test_items=test_items)
            assert set(study.items) == {*mine, *fresh_items(0, test=test_items)}
            assert (study.item_sets, study.fresh_set) == (("mine", FRESH_SET), FRESH_SET)
            study.claim()


def test_a_run_takes_its_own_items_for_what_they_are(opened: Opened) -> None:
    study = opened()
    study.claim()
    for _ in range(2):
        again = opened(official=str(study.items_path))
        assert again.items == study.items
        again.claim()


def test_fresh_items_of_another_seed_are_refused(opened: Opened, tmp_path: Path) -> None:
    write_items(tmp_path / "items.jsonl", fresh_items(3, test=2))
    with pytest.raises(ValueError, match=rf"its set '{FRESH_SET}' was generated from seed 3.*open the run with seed=3"):
        _ = opened(official=str(tmp_path / "items.jsonl")).items


def test_a_file_that_is_called_fresh_holds_no_fresh_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    path = tmp_path / "fresh-ideas.csv"
    path.write_text("task,text,label\nrhyme,cat hat,A\n")
    study = open_study(preset="smoke", run="mine", official=str(path), test_items=2)
    own, fresh = study.item_sets
    assert own.startswith("fresh-ideas-") and fresh == study.fresh_set == FRESH_SET
    assert not study.has_official and study.caveat.startswith(f"on the items {own} of one's own")
