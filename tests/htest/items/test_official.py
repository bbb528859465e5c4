"""The released files load whole, from a folder or by pooch; what is missing, changed or broken is named."""

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from saelib.htest.items import official
from saelib.htest.items.item import hash_items
from saelib.htest.items.official import OfficialItemsUnavailable, fetch_official, load_official, released_sums
from saelib.htest.items.sources import official_items as items_of_a_run
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.run.files import cache_folder, sha256_of_file, write_json
from saelib.run.reading import DamagedFileError
from tests.helpers.some_items import OFFICIAL, needs_official, official_items

LINES = {
    "one/rhyme_dev.jsonl": {"question": "night kite", "options": ["A", "B"], "correct_options": [0]},
    "one/rhyme_test.jsonl": {"centerpiece": "night know", "options": ["A", "B"], "correct_options": [1]},
    "two/letter_geometry_test.jsonl": {"centerpiece": "Which?", "options": ["O", "Ɛ"], "correct_options": [1]},
}


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder laid out as the authors' repository, but with three small files; they count as the released ones."""
    folder = tmp_path / "repository"
    for path, values in LINES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(json.dumps(values, ensure_ascii=False) + "\n", encoding="utf-8")
    write_json(tmp_path / "sums.json", {path: sha256_of_file(folder / path) for path in LINES})
    monkeypatch.setattr(official, "SUMS", tmp_path / "sums.json")
    return folder


@pytest.fixture
def fetched(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that pooch asked for; what lies in `repository` is what it gets."""
    asked: list[str] = []

    def downloader(timeout: int) -> Callable[..., None]:
        def download(url: str, output_file: str, files: object) -> None:
            asked.append(url)
            shutil.copyfile(repository / url.removeprefix(f"{official.SOURCE}/"), output_file)

        return download

    monkeypatch.setattr("pooch.HTTPDownloader", downloader)
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return asked


@needs_official
def test_all_released_files_load() -> None:
    items = official_items()
    counts = Counter((item.task, item.split) for item in items)
    assert counts == {(task, "dev"): 50 for task in TASKS} | {(task, "test"): 200 for task in TASKS} | {
        (LETTER_GEOMETRY, "test"): 90
    }
    assert {(item.seed, item.item_set) for item in items} == {(12062023, "official-4787987")}
    assert len({item.key for item in items}) == len(items) == 2590
    assert all(len(item.options) == 4 for item in items if item.task == LETTER_GEOMETRY)


@needs_official
@pytest.mark.parametrize(
    "name", ["dev/start_vowel_dev.jsonl", "test/rhyme_test.jsonl", "test/letter_geometry_test.jsonl"]
)
def test_rows_are_the_lines_of_the_file(name: str) -> None:
    task, split = Path(name).stem.rsplit("_", 1)
    items = [item for item in official_items() if (item.task, item.split) == (task, split)]
    (path,) = OFFICIAL.rglob(Path(name).name)  # in folders dev and test, or side by side
    for line, item in zip(path.read_text(encoding="utf-8").splitlines(), items, strict=True):
        assert item.text in json.loads(line).values()
        assert item.label == json.loads(line)["options"][json.loads(line)["correct_options"][0]]
    assert [item.row for item in items] == list(range(1, len(items) + 1))


def test_the_table_of_sums_names_every_file() -> None:
    names = [Path(path).stem for path in released_sums()]
    assert names == [f"{task}_{split}" for task in TASKS for split in ("dev", "test")] + ["letter_geometry_test"]
    assert {len(digest) for digest in released_sums().values()} == {64}


@pytest.mark.parametrize("place", ["{path}", "{split}/{name}", "{name}"])
def test_three_ways_to_lay_out_a_folder(repository: Path, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "mine"
    for path in LINES:
        name = Path(path).name
        target = folder / place.format(path=path, name=name, split="dev" if "dev" in name else "test")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(repository / path, target)
    items = load_official(folder)
    assert [(item.key, item.text, item.label) for item in items] == [
        ("official-4787987/12062023/rhyme/dev/1", "night kite", "A"),
        ("official-4787987/12062023/rhyme/test/1", "night know", "B"),
        ("official-4787987/12062023/letter_geometry/test/1", "Which?", "Ɛ"),
    ]


def test_a_changed_folder_is_loaded_under_another_name(repository: Path) -> None:
    path = repository / "one" / "rhyme_test.jsonl"
    path.write_text(path.read_text(encoding="utf-8").replace("know", "knew"), encoding="utf-8")
    items = load_official(repository)
    (item_set,) = {item.item_set for item in items}
    assert item_set.startswith("local-")
    assert len(item_set) == len("local-1234567")
    assert items[1].text == "night knew"
    path.write_text(path.read_text(encoding="utf-8").replace("knew", "new"), encoding="utf-8")
    assert load_official(repository)[0].item_set not in (item_set, official.OFFICIAL_SET)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "JSONDecodeError"),
        ("[]", "TypeError"),
        ('{"options": ["A", "B"], "correct_options": [0]}', "there is no text .* one of centerpiece, question"),
        ('{"question": 7, "options": ["A", "B"], "correct_options": [0]}', "there is no text"),
        ('{"question": "a b", "options": ["A", "B"], "correct_options": [0, 1]}', r"correct_options is \[0, 1\]"),
        ('{"question": "a b", "options": ["A", "B"], "correct_options": []}', r"correct_options is \[\]"),
        ('{"question": "a b", "options": ["A", "B"], "correct_options": [2]}', r"one of the options \['A', 'B'\]"),
        ('{"question": "a b", "options": ["A", "C"], "correct_options": [0]}', r"rhyme/test/2: options"),
        ('{"question": "a b", "correct_options": [0]}', "KeyError: 'options'"),
    ],
)
def test_a_line_that_is_no_item_is_named(repository: Path, line: str, problem: str) -> None:
    path = repository / "one" / "rhyme_test.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"rhyme_test\.jsonl, line 2, cannot be read .*({problem})"):
        load_official(repository)


def test_a_missing_folder_or_file_is_named(repository: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"folder .*nowhere .* does not exist; clone https://github\.com"):
        load_official(repository / "nowhere")
    (repository / "one" / "rhyme_dev.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"repository lacks rhyme_dev\.jsonl; they are in https://github\.com"):
        load_official(repository)


def test_files_are_fetched_from_the_pinned_commit_once(repository: Path, fetched: list[str]) -> None:
    items = load_official()
    assert items == load_official(repository)
    assert fetched == [f"https://raw.githubusercontent.com/brucewlee/h-test/{official.COMMIT}/{path}" for path in LINES]
    fetched.clear()
    assert hash_items(load_official()) == hash_items(items)
    assert fetched == []


def test_the_cache_serves_a_machine_without_a_network(
    repository: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_official()
    fetched.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert len(load_official()) == 3
    (cache_folder() / "htest_official" / "rhyme_dev.jsonl").unlink()
    absent = r"one/rhyme_dev\.jsonl is not cached, and cannot be fetched \(HF_HUB_OFFLINE .*clone"
    with pytest.raises(OfficialItemsUnavailable, match=absent):
        load_official()
    assert fetched == []


def test_without_a_network_a_spoilt_cache_is_no_empty_one(
    repository: Path, fetched: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run would else go on without the released items, as if they had never been there."""
    path = fetch_official()["rhyme_test.jsonl"]
    path.write_bytes(path.read_bytes()[:-9])
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DamagedFileError, match=r"rhyme_test\.jsonl is not what was released, and cannot be .*clone"):
        items_of_a_run("auto")


def test_what_is_not_what_was_released_is_refused(repository: Path, fetched: list[str]) -> None:
    (repository / "one" / "rhyme_test.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(
        ValueError, match=r"\(rhyme_test\.jsonl\) does not match .* expected .* or give a clone of https"
    ):
        load_official()
    assert not (cache_folder() / "htest_official" / "rhyme_test.jsonl").exists()


def test_a_spoilt_cache_is_fetched_again(repository: Path, fetched: list[str]) -> None:
    path = fetch_official()["rhyme_test.jsonl"]
    path.write_text("{}\n", encoding="utf-8")
    fetched.clear()
    assert load_official()[1].text == "night know"
    assert fetched == [f"{official.SOURCE}/one/rhyme_test.jsonl"]


def test_without_a_network_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from requests import ConnectTimeout

    def unreachable(timeout: int) -> Callable[..., None]:
        def download(url: str, output_file: str, files: object) -> None:
            raise ConnectTimeout(f"no answer within {timeout} seconds")

        return download

    monkeypatch.setattr("pooch.HTTPDownloader", unreachable)
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(
        OfficialItemsUnavailable, match=r"cannot be fetched \(no answer within 10 seconds\); clone .* or run"
    ):
        load_official()
    assert list(tmp_path.rglob("*.jsonl")) == []
