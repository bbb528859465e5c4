"""A study is a run on disk: opened without a trace, claimed by its first file; its items are made once and stay."""

import shutil
from pathlib import Path

import pytest

from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import read_items, write_items
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.items.words import FRESH_SET
from saelib.htest.stages import ask
from saelib.htest.study import Study, open_study
from saelib.run.reading import DamagedFileError, read_json
from tests.helpers.small_studies import TEST_ITEMS, Listener, respondent, small_study
from tests.helpers.some_items import OFFICIAL, needs_official, official_items


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch)


def test_items_are_made_once_and_then_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    parameters = {"preset": "smoke", "run": "kept", "test_items": 2, "seed": 5}
    study = open_study(**parameters)
    assert study.items == fresh_items(5, test=2)
    assert list(tmp_path.iterdir()) == []  # to look at items makes no run
    study.claim()
    assert study.items_path == tmp_path / "kept" / "htest" / "items.jsonl"
    assert read_items(study.items_path) == study.items
    write_items(study.items_path, study.items[:-1])
    assert open_study(**parameters).items == study.items[:-1]  # read, not made again


def test_a_run_has_a_config_and_refuses_another(study: Study) -> None:
    assert read_json(study.folder / "htest" / "config.json")["test_items"] == TEST_ITEMS
    with pytest.raises(
        FileExistsError, match=r"seed was 0, is 7\); only official, models, .* may change: .* another run"
    ):
        open_study(preset="smoke", run="small", test_items=TEST_ITEMS, seed=7)
    again = open_study(preset="smoke", run="small", test_items=TEST_ITEMS, device="cpu", api_requests=9)
    assert again.config.api_requests == 9


def test_a_run_can_be_opened_anew_with_another_config_until_something_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    first = open_study(preset="smoke", run="x", seed=2, test_items=2)
    study = open_study(preset="smoke", run="x", seed=4, test_items=2)
    assert list(tmp_path.iterdir()) == []
    ask(study, respondent(Listener()), 4, ["rhyme"])
    assert read_json(study.config_path)["seed"] == 4
    with pytest.raises(FileExistsError, match=r"seed was 4, is 2"):
        open_study(preset="smoke", run="x", seed=2, test_items=2)
    engine = Listener()
    with pytest.raises(FileExistsError, match="seed was"):  # it was opened before the other one claimed the run
        ask(first, respondent(engine), 2, ["rhyme"])
    assert engine.items == []


def test_items_that_cannot_be_made_claim_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    study = open_study(preset="smoke", run="x", official=str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="nowhere"):
        _ = study.items
    assert not study.folder.exists()
    assert open_study(preset="smoke", run="x").items


def test_the_run_is_claimed_before_its_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    study = open_study(preset="smoke", run="x", test_items=2)
    study.claim()
    written = sorted((study.folder / "htest").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert [path.name for path in written] == ["config.json", "items.jsonl"]
    times = [path.stat().st_mtime_ns for path in written]
    study.claim()  # again, and nothing changes
    assert [path.stat().st_mtime_ns for path in written] == times


def test_items_that_another_process_kept_meanwhile_are_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    study, same, other = (open_study(preset="smoke", run="x", test_items=2) for _ in range(3))
    kept = study.items[:-1]
    assert same.items == other.items == study.items
    study.claim()
    same.claim()
    write_items(study.items_path, kept)
    with pytest.raises(ValueError, match=r"items\.jsonl was made meanwhile with other items; open the study again"):
        other.claim()
    study.claim()  # it has claimed the run before, and what was kept then is not looked at again
    assert open_study(preset="smoke", run="x", test_items=2).items == kept


def test_a_study_is_shown_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    study = open_study(preset="smoke", run="x", models=["embedded", "my/model"], test_items=2)
    assert repr(study) == "Study('x', preset smoke, models embedded, my/model, items not made yet)"
    assert list(tmp_path.iterdir()) == []  # to show it makes nothing
    study.claim()
    assert repr(study) == f"Study('x', preset smoke, models embedded, my/model, items {FRESH_SET})"


def test_a_run_of_an_earlier_release_goes_on(study: Study) -> None:
    """Its files call a set of items "version"."""
    first, second = Listener(), Listener(lambda item: "B")
    told = ask(study, respondent(first), 4)
    for path in (study.folder / "htest").rglob("*.jsonl"):
        path.write_text(path.read_text(encoding="utf-8").replace('"item_set": ', '"version": '), encoding="utf-8")
    again = open_study(preset="smoke", run="small", test_items=TEST_ITEMS)
    assert again.items == study.items
    assert ask(again, respondent(second), 4) == told
    assert second.items == []


def test_an_unknown_parameter_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match="'shot' is unknown"):
        open_study(preset="smoke", run="typo", shot=[4])
    assert list(tmp_path.iterdir()) == []


@needs_official
def test_official_items_in_the_cache_make_the_main_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    folder = tmp_path / "cache" / "htest_official"
    folder.mkdir(parents=True)
    for path in OFFICIAL.rglob("*.jsonl"):
        shutil.copyfile(path, folder / path.name)
    parameters = {"preset": "smoke", "run": "both", "official": "auto", "test_items": 2}
    study = open_study(**parameters)
    assert study.item_sets == (OFFICIAL_SET, FRESH_SET)
    assert study.has_official and study.caveat == ""
    assert study.items[: len(official_items())] == list(official_items())
    study.claim()
    shutil.rmtree(folder)
    assert open_study(**parameters).items == study.items  # a run does not change with what the cache holds


@pytest.mark.parametrize("choice", ["auto", "none"])
def test_without_official_items_the_fresh_ones_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    study = open_study(preset="smoke", run="alone", official=choice, test_items=2)
    assert study.item_sets == (FRESH_SET,)
    assert not study.has_official
    why = "are left out" if choice == "none" else "were not to be had"
    assert study.caveat == f"on fresh items: the released ones {why}"
    other = open_study(preset="smoke", run="other", official=choice, test_items=2, models=["embedded", "smollm2"])
    assert other.caveat == f"smollm2: 4-bit weights (Q4_1), instruction-tuned; {study.caveat}"
    for field, names in {"family": ["embedded", "smollm2"], "judge": "smollm2", "ablation_model": "smollm2"}.items():
        named = open_study(preset="smoke", run="other", official=choice, test_items=2, **{field: names})
        assert named.caveat == other.caveat


def test_a_study_that_another_one_overtook_is_refused_before_it_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    first, second = (open_study(preset="smoke", run="r", seed=seed, test_items=2) for seed in (4, 2))
    ask(second, respondent(Listener()), 0, ["rhyme"])
    with pytest.raises(FileExistsError, match="seed was 2, is 4"):
        _ = first.items


def test_a_set_that_lacks_tasks_has_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    mine = tmp_path / "mine.csv"
    mine.write_text("task,split,text,label\nrhyme,test,cat hat,A\nuppercase,test,a cat,B\n")
    study = open_study(preset="smoke", run="mine", official=str(mine), tasks=["rhyme", "palindrome", "uppercase"])
    assert study.main_tasks == ("uppercase", "rhyme")
    assert study.tasks_of(FRESH_SET) == study.config.tasks


def test_a_set_without_any_of_the_tasks_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    mine = tmp_path / "mine.csv"
    mine.write_text("task,split,text,label\nrhyme,test,cat hat,A\n")
    study = open_study(preset="smoke", run="mine", official=str(mine), tasks=["palindrome"])
    with pytest.raises(
        ValueError, match=r"official='.*mine\.csv'.*test items of rhyme, and tasks=\['palindrome'\] are"
    ):
        _ = study.items
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "shape"])
def test_damaged_items_are_named_and_made_again_once_they_are_deleted(study: Study, damage: str) -> None:
    told = ask(study, respondent(Listener()), 4, ["rhyme"])
    items, content = study.items, study.items_path.read_bytes()
    study.items_path.write_bytes({
        "cut": b"".join(content.splitlines(keepends=True)[:-3]), "empty": b"", "shape": b"[1, 2]",
        "flipped": content.replace(b'"label": "A"', b'"label": "B"', 1)}[damage])  # fmt: skip
    again = {"preset": "smoke", "run": "small", "test_items": TEST_ITEMS}
    with pytest.raises(DamagedFileError, match=r"items\.jsonl.*put the file back from a copy, or delete it"):
        _ = open_study(**again).items
    study.items_path.unlink()
    engine = Listener()
    assert ask(open_study(**again), respondent(engine), 4, ["rhyme"]) == told and engine.items == []
    made = open_study(**again)
    made.claim()
    assert made.items == items and study.items_path.read_bytes() == content
