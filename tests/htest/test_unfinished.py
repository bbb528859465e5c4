"""Whoever is ended while a task is answered loses seconds of it: the next call goes on, to the same bytes."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from saelib.htest.asking import unfinished
from saelib.htest.asking.prompts import Prompt, render
from saelib.htest.asking.replies import Condition, read_replies, write_replies
from saelib.htest.asking.unfinished import ENDING
from saelib.htest.engines.local import LocalEngine
from saelib.htest.items.generators import generate_items
from saelib.htest.items.item import Item
from saelib.htest.respondents import Respondent
from saelib.htest.stages import ask, condition_of, stored_replies
from saelib.htest.study import Study, open_study
from saelib.language.loading import load_language_model
from tests.helpers.small_studies import TEST_ITEMS, OneByOne, small_study


def slow(engine: OneByOne) -> Respondent:
    return Respondent("embedded", "1", "chat", engine)


def asked(study: Study, engine: OneByOne) -> bytes:
    ask(study, slow(engine), 4, ["rhyme"])
    return path_of(study).read_bytes()


def path_of(study: Study) -> Path:
    return study.path_of(condition_of(study, slow(OneByOne()), "chat", 4), "fresh-2", "rhyme")


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.setattr(unfinished, "SECONDS", 0.0)
    return small_study(tmp_path, monkeypatch)


@pytest.fixture
def undisturbed(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> bytes:
    return asked(small_study(tmp_path_factory.mktemp("whole"), monkeypatch), OneByOne())


@pytest.fixture
def ended(undisturbed: bytes, study: Study) -> Study:
    """A study in which three of four items of a task were answered when it ended."""
    with pytest.raises(KeyboardInterrupt):
        asked(study, OneByOne(ends_at=3))
    assert not path_of(study).exists() and stored_replies(study) == []
    return study


def test_what_was_answered_is_not_asked_again_and_the_file_is_the_same(ended: Study, undisturbed: bytes) -> None:
    rest = OneByOne()
    assert asked(ended, rest) == undisturbed
    assert rest.given == [0]
    assert [path.name for path in path_of(ended).parent.iterdir()] == ["fresh-2-rhyme.jsonl"]


@pytest.mark.parametrize("damage", ["cut", "changed", "empty", "another library", "another item"])
def test_what_cannot_be_used_is_asked_again(ended: Study, undisturbed: bytes, damage: str) -> None:
    left = path_of(ended).with_name(path_of(ended).name + ENDING)
    text = left.read_bytes()
    if damage in ("cut", "empty"):
        left.write_bytes(text[: len(text) // 2] if damage == "cut" else b"")
    elif damage == "changed":
        left.write_bytes(text.replace(b"-2.0", b"-2.5", 1))
    else:
        changed = {"another library": {"library": "f" * 64}, "another item": {"prompt": "something else"}}[damage]
        replies = read_replies(left)
        write_replies(left, [type(reply)(**{**vars(reply), **changed}) for reply in replies])
    rest = OneByOne()
    assert asked(ended, rest) == undisturbed
    assert rest.given == [3, 2, 1, 0]


def test_what_a_process_left_that_ended_before_it_tidied_up_goes_with_the_next_call(
    study: Study, undisturbed: bytes
) -> None:
    assert asked(study, OneByOne()) == undisturbed
    left = path_of(study).with_name(path_of(study).name + ENDING)
    left.write_bytes(undisturbed)
    nobody = OneByOne()
    assert asked(study, nobody) == undisturbed and nobody.given == []
    assert not left.exists()


WHOLE = ["A 0", "B 1", "A 2", "B 3"]  # what `OneByOne` says to four items


def ask_first(study: Study, engine: OneByOne, limit: int | None = None) -> list[str | None]:
    return [reply.reply for reply in ask(study, slow(engine), 4, ["rhyme"], limit=limit)]


def test_a_smaller_request_takes_what_it_needs_and_leaves_the_others(ended: Study) -> None:
    few = OneByOne()
    ask_first(ended, few, limit=2)  # items 3, 2 and 1 are there
    assert few.given == [0]
    again, nobody = OneByOne(), OneByOne()
    assert ask_first(ended, nobody, limit=2) and nobody.given == []
    assert ask_first(ended, again) == WHOLE
    assert again.given == []
    assert [path.name for path in path_of(ended).parent.iterdir()] == ["fresh-2-rhyme.jsonl"]


def test_a_smaller_request_that_is_ended_too_loses_nothing(study: Study) -> None:
    with pytest.raises(KeyboardInterrupt):
        asked(study, OneByOne(ends_at=1))  # item 3
    with pytest.raises(KeyboardInterrupt):
        ask_first(study, OneByOne(ends_at=1), limit=2)  # item 1
    rest = OneByOne()
    assert ask_first(study, rest) == WHOLE
    assert rest.given == [2, 0]


def test_what_is_left_to_others_does_not_open_a_finished_task_for_writing(
    ended: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ask_first(ended, OneByOne(), limit=2)

    def nobody_writes(_: Study) -> None:
        raise AssertionError("the run was locked to read it")

    monkeypatch.setattr("saelib.htest.stages.answered.writing", nobody_writes)
    assert ask_first(ended, OneByOne(ends_at=0), limit=2) == few


def test_nothing_is_kept_more_often_than_the_clock_says(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unfinished, "SECONDS", 1e9)
    with pytest.raises(KeyboardInterrupt):
        asked(study, OneByOne(ends_at=TEST_ITEMS - 1))
    assert not path_of(study).with_name(path_of(study).name + ENDING).exists()


CHILD = dedent("""
    import os, signal, sys
    from saelib.htest.asking import unfinished
    from saelib.htest.stages import ask
    from saelib.htest.study import open_study

    unfinished.SECONDS = 0.0
    whole = unfinished.write_replies
    def write(path, replies):
        kept = list(replies)
        whole(path, kept)
        if len(kept) >= 30:
            os.kill(os.getpid(), signal.SIGKILL)
    unfinished.write_replies = write
    study = open_study(preset="smoke", run="small", test_items=60, tasks=["rhyme"])
    ask(study, study.respondent("embedded"), 4)
""")


def test_a_local_model_that_is_killed_inside_a_task_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = []
    for name in ("whole", "killed"):
        monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / name))
        if name == "killed":
            child = subprocess.run([sys.executable, "-c", CHILD], env=os.environ, capture_output=True, check=False)
            assert child.returncode == -signal.SIGKILL, child.stderr.decode()
            (left,) = (tmp_path / name).rglob(f"*{ENDING}")
            assert len(read_replies(left)) >= 30
            assert not list((tmp_path / name).rglob("*-rhyme.jsonl"))
        study = open_study(preset="smoke", run="small", test_items=60, tasks=["rhyme"])
        ask(study, study.respondent("embedded"), 4)
        (file,) = (tmp_path / name).rglob("*-rhyme.jsonl")
        files.append(file.read_bytes())
    assert files[0] == files[1]
    assert not list(tmp_path.rglob(f"*{ENDING}"))


def test_packs_of_a_local_model_that_are_done_are_left_out_and_the_others_are_the_same_to_the_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items, prompts, condition = _questions(tmp_path, monkeypatch)
    engine = LocalEngine(load_language_model("embedded", "cpu"), batch_tokens=64)
    whole = dict(engine.answers(items, prompts, condition))
    assert list(whole) == list(range(len(items)))
    rest = dict(engine.answers(items, prompts, condition, done=range(20)))
    assert 0 < len(rest) < len(items) and {*range(20, len(items))} <= {*rest}
    assert all(whole[place] == answer for place, answer in rest.items())
    assert engine(items, prompts, condition) == list(whole.values())


def _questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Item], list[Prompt], Condition]:
    study = small_study(tmp_path, monkeypatch)
    items = generate_items("uppercase", 40, 1)
    condition = condition_of(study, study.respondent("embedded"), "chat", 0)
    return items, render(items, [], "chat"), condition
