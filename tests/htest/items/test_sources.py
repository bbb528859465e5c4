"""Items come from where they are said to come from; only the lack of a network is borne in silence."""

import shutil
from pathlib import Path

import pytest

from saelib.htest.items import official, sources
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import content_free_items, write_items
from saelib.htest.items.sources import load_items
from saelib.run.files import cache_folder
from tests.helpers.some_items import OFFICIAL, made, needs_official, official_items


def fill_cache() -> None:
    """The released files side by side, as they lie after they were fetched."""
    folder = cache_folder() / "htest_official"
    folder.mkdir(parents=True)
    for path in OFFICIAL.rglob("*.jsonl"):
        shutil.copyfile(path, folder / path.name)


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))


def test_fresh_items_have_the_seed_and_the_number_that_were_asked_for() -> None:
    items = load_items("fresh", seed=3, test=2)
    assert items == fresh_items(3, test=2)
    assert {item.seed for item in items} == {3}
    assert sum(item.task == "rhyme" and item.split == "test" for item in items) == 2


def test_items_of_a_file_come_back(tmp_path: Path) -> None:
    mine = made("rhyme", "find mind/sun bun", "A", item_set="mine")
    write_items(tmp_path / "mine.jsonl", mine)
    assert load_items(str(tmp_path / "mine.jsonl")) == mine


def test_a_file_that_is_not_there_or_holds_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"mine\.jsonl: no such file or folder; give 'official', 'fresh'"):
        load_items(str(tmp_path / "mine.jsonl"))
    (tmp_path / "mine.jsonl").write_text('{"task": "rhyme"}\n')
    with pytest.raises(ValueError, match=r"mine\.jsonl, line 1"):
        load_items(str(tmp_path / "mine.jsonl"))


def test_questions_without_content_are_no_items_of_ones_own(tmp_path: Path) -> None:
    mine = tmp_path / "mine.jsonl"
    write_items(
        mine, [*made("rhyme", "find mind/sun bun", "A", item_set="mine"), *content_free_items("mine", "rhyme", 0)]
    )
    told = r"mine\.jsonl: 3 items are of the split 'content_free' \(mine/0/rhyme/content_free/1\).*take them out"
    for source in (mine, tmp_path):
        with pytest.raises(ValueError, match=told if source == mine else "3 items are of the split 'content_free'"):
            load_items(str(source))


@needs_official
def test_a_folder_is_one_of_released_files() -> None:
    assert load_items(str(OFFICIAL)) == list(official_items())


@needs_official
def test_what_stands_before_the_fresh_items() -> None:
    assert sources.official_items(str(OFFICIAL)) == list(official_items())
    fill_cache()
    assert sources.official_items("auto") == sources.official_items("released") == list(official_items())
    assert sources.official_items("none") == []


def test_auto_goes_on_without_official_items_where_there_is_no_network() -> None:
    assert sources.official_items("auto") == []
    with pytest.raises(official.OfficialItemsUnavailable, match="HF_HUB_OFFLINE"):
        load_items("official")


def test_a_folder_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such file or folder"):
        sources.official_items(str(tmp_path / "nowhere"))
    tmp_path.joinpath("empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty lacks uppercase_dev\.jsonl"):
        sources.official_items(str(tmp_path / "empty"))


def test_auto_does_not_hide_items_that_are_not_what_was_released(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt() -> dict[str, Path]:
        raise ValueError("SHA-256 of rhyme_dev.jsonl does not match")

    monkeypatch.setattr(official, "fetch_official", spoilt)
    with pytest.raises(ValueError, match="does not match"):
        sources.official_items("auto")


def test_a_folder_with_one_name_of_a_released_file_is_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "rhyme_test.jsonl").write_text('{"text": "cat hat", "label": "A"}\n')
    (tmp_path / "mine.csv").write_text("task,split,text,label\nrhyme,test,cat dog,B\n")
    assert [item.text for item in sources.official_items(str(tmp_path))] == ["cat dog", "cat hat"]


@needs_official
def test_a_folder_with_one_released_file_lacks_the_others(tmp_path: Path) -> None:
    (released,) = OFFICIAL.rglob("rhyme_test.jsonl")
    shutil.copyfile(released, tmp_path / released.name)
    with pytest.raises(FileNotFoundError, match=r"lacks uppercase_dev\.jsonl"):
        load_items(str(tmp_path))
