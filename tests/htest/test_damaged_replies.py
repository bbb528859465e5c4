"""Damaged, swapped and mixed files of replies: nothing paid is lost, nothing wrong is scored, and a way on is named."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest import respondents, stages
from saelib.htest.asking.replies import Reply, read_replies, write_replies
from saelib.htest.scoring.stored import score_study
from saelib.htest.stages import answered, ask, ask_controls, stored_replies
from saelib.htest.study import Study
from saelib.run.lock import writing
from saelib.run.reading import DamagedFileError
from tests.helpers.small_studies import OTHER, TEST_ITEMS, Listener, items_of_two_sets, respondent, small_study

PAID = "api:openai/some"


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch, api_requests=1000)


def asked(study: Study, name: str, task: str = "rhyme", k: int = 4) -> tuple[list[Reply], Path]:
    """Replies to one task, and their file."""
    replies = ask(study, respondent(Listener(lambda item: item.label), name), k, [task])
    condition = stages.condition_of(study, respondent(Listener(), name), "chat", k)
    return replies, study.path_of(condition, "fresh-2", task)


def cut_in_its_last_line(content: bytes) -> bytes:
    return content[:-40]


def cut_at_a_line(content: bytes) -> bytes:
    return b"".join(content.splitlines(keepends=True)[:2])


def spoilt_in_the_middle(content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    return b"".join([lines[0], b"\0" * len(lines[1]), *lines[2:]])


def with_another_number(content: bytes) -> bytes:
    return content.replace(b'"A": -1.0', b'"A": -1.1', 1)


def no_utf_8(content: bytes) -> bytes:
    return content.replace(b'"prompt": "', b'"prompt": "\xff', 1)


def empty(content: bytes) -> bytes:
    return b""


def of_another_shape(content: bytes) -> bytes:
    return json.dumps([1, 2]).encode()


DAMAGE = [cut_in_its_last_line, cut_at_a_line, spoilt_in_the_middle, with_another_number, no_utf_8, empty,
          of_another_shape]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_of_a_model_on_this_machine_is_asked_again(
    study: Study, damage: Callable[[bytes], bytes]
) -> None:
    told, path = asked(study, "listener")
    content = path.read_bytes()
    path.write_bytes(damage(content))
    engine = Listener(lambda item: item.label)
    with pytest.warns(UserWarning, match=r"fresh-2-rhyme\.jsonl.*put aside as fresh-2-rhyme\.jsonl\.damaged"):
        assert ask(study, respondent(engine), 4, ["rhyme"]) == told
    assert engine.asked == TEST_ITEMS
    assert path.read_bytes() == content
    assert path.with_name(f"{path.name}.damaged").read_bytes() == damage(content)
    assert stored_replies(study) == told


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_that_was_paid_for_is_left_and_named(study: Study, damage: Callable[[bytes], bytes]) -> None:
    _, path = asked(study, PAID)
    path.write_bytes(spoilt := damage(path.read_bytes()))
    engine = Listener()
    for call in (lambda: ask(study, respondent(engine, PAID), 4, ["rhyme"]), lambda: score_study(study)):
        with pytest.raises(DamagedFileError, match=r"fresh-2-rhyme\.jsonl.*put the file back.*inspect_logs"):
            call()
    assert engine.items == [] and path.read_bytes() == spoilt


@pytest.mark.parametrize("name", ["listener", PAID])
def test_replies_of_another_condition_are_refused(study: Study, name: str) -> None:
    """Files of two conditions were swapped: items are the same, and without shots the prompts would be too."""
    (_, one), (_, other) = asked(study, name, k=0), asked(study, "another", k=0)
    contents = one.read_bytes(), other.read_bytes()
    one.write_bytes(contents[1]), other.write_bytes(contents[0])
    engine = Listener()
    for call in (lambda: ask(study, respondent(engine, name), 0, ["rhyme"]), lambda: score_study(study)):
        with pytest.raises(ValueError, match="line 1: a reply of .* under the condition .* belongs into"):
            call()
    assert engine.items == []
    assert (other.read_bytes(), one.read_bytes()) == contents


def test_one_line_of_another_condition_is_refused(study: Study) -> None:
    (told, path), (others, _) = asked(study, "listener"), asked(study, "another")
    write_replies(path, [told[0], others[1], *told[2:]])
    with pytest.raises(ValueError, match=r"fresh-2-rhyme\.jsonl, line 2: a reply of another under"):
        score_study(study)


def test_replies_to_another_task_are_refused(study: Study) -> None:
    (_, path), (_, other) = asked(study, "listener"), asked(study, "listener", "uppercase")
    shutil.copyfile(other, path)
    with pytest.raises(ValueError, match=r"fresh-2-rhyme.*which belongs into fresh-2-uppercase\.jsonl"):
        score_study(study)


@pytest.mark.parametrize("change", [
    {"reply": 3}, {"prompt": None}, {"sample": "0"}, {"usage": {"output_tokens": "1"}}, {"log_probabilities": [1, 2]},
    {"log_probabilities": {"A": "-1", "B": -2.0}}, {"log_probabilities": {"A": -1.0}}, {"unknown": 1}, {"item": None},
    {"log_probabilities": {"A": 3.0, "B": -2.0}}, {"condition": {"model": "x"}}, {"condition": 3}, {"item": []},
])  # fmt: skip
def test_a_line_that_is_no_reply_is_named(study: Study, change: dict) -> None:
    """As an earlier release would have written it, without sums."""
    _, path = asked(study, PAID)
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    plain = [{name: part for name, part in line.items() if name not in ("sha256", "lines")} for line in lines]
    plain[1] |= change
    path.write_text("".join(json.dumps(line) + "\n" for line in plain), encoding="utf-8")
    with pytest.raises(DamagedFileError, match=r"fresh-2-rhyme\.jsonl, line 2, cannot be read"):
        score_study(study)


def test_replies_of_an_earlier_release_are_read_and_gone_on_with(study: Study) -> None:
    told, path = asked(study, PAID)
    plain = [{name: part for name, part in json.loads(line).items() if name not in ("sha256", "lines", "library")}
             for line in path.read_bytes().splitlines()]  # fmt: skip
    path.write_text("".join(json.dumps(line) + "\n" for line in plain[:2]), encoding="utf-8")
    engine = Listener(lambda item: item.label)
    assert ask(study, respondent(engine, PAID), 4, ["rhyme"]) == told
    assert engine.asked == TEST_ITEMS - 2


def test_a_condition_is_asked_by_one_library(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    told, path = asked(study, "listener")
    assert {len(reply.library) for reply in told} == {64}
    asked(study, PAID)
    monkeypatch.setattr(respondents, "code_digest", lambda *rooms: "f" * 64)
    engine = Listener()
    assert ask(study, respondent(engine), 4, ["rhyme"]) == told  # what is finished is read
    with pytest.raises(
        FileExistsError, match=rf"was {told[0].library[:12]}, is f{{12}}.*delete the folder .*another run"
    ):
        ask(study, respondent(engine), 4, ["uppercase"])
    assert engine.items == []
    shutil.rmtree(path.parent)
    assert {reply.library for reply in ask(study, respondent(engine), 4, ["rhyme", "uppercase"])} == {"f" * 64}
    assert not any(reply.library for reply in ask(study, respondent(engine, PAID), 4, ["rhyme", "uppercase"]))
    assert engine.asked == 3 * TEST_ITEMS  # an API is never asked again for a new library


def test_another_set_of_items_is_the_same_condition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch, items_of_two_sets(), official="none")
    ask(study, respondent(Listener()), 4, ["rhyme"], [OTHER])
    monkeypatch.setattr(respondents, "code_digest", lambda *rooms: "f" * 64)
    engine = Listener()
    with pytest.raises(FileExistsError, match=rf"{OTHER}-rhyme\.jsonl was asked by another version of the library"):
        ask(study, respondent(engine), 4, ["rhyme"], ["fresh-2"])
    assert engine.items == []
    assert ask(study, respondent(engine), 0, ["rhyme"], ["fresh-2"])  # another condition is


def test_a_condition_of_a_control_is_by_one_library(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ask_controls(study)
    assert {len(reply.library) for reply in told} == {64}
    assert {reply.library for reply in told}.isdisjoint({reply.library for reply in asked(study, "listener")[0]})
    monkeypatch.setattr(respondents, "code_digest", lambda *rooms: "f" * 64)
    assert ask_controls(study) == told  # what is finished is read
    coin = study.respondent("control:coin")
    path = study.path_of(stages.condition_of(study, coin, coin.form, 0), "fresh-2", "rhyme")
    path.unlink()
    with pytest.raises(FileExistsError, match=r"another version of the library.*delete the folder .*coin"):
        ask_controls(study)
    shutil.rmtree(path.parent)
    assert {reply.library for reply in ask_controls(study) if reply.condition.model == "control:coin"} == {"f" * 64}


def test_what_another_process_asked_meanwhile_is_not_asked_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = Listener(lambda item: "B"), Listener()

    @contextmanager
    def after_another(run: Study) -> Iterator[None]:
        monkeypatch.setattr(answered, "writing", writing)
        ask(study, respondent(first, PAID), 4, ["rhyme"])
        with writing(run):
            yield

    monkeypatch.setattr(answered, "writing", after_another)
    assert {reply.reply for reply in ask(study, respondent(second, PAID), 4, ["rhyme"])} == {"B"}
    assert (first.asked, second.asked) == (TEST_ITEMS, 0)


def test_a_reply_that_is_no_unicode_is_kept(study: Study) -> None:
    engine = Listener(lambda item: "\ud83d")
    (first, *_) = ask(study, respondent(engine, PAID), 4, ["rhyme"])
    assert first.reply == "\ud83d"
    assert stored_replies(study)[0] == first


def test_log_probabilities_that_are_no_numbers_are_not_written(study: Study) -> None:
    told, path = asked(study, "listener")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_replies(path, [replace(told[0], log_probabilities={"A": float("nan"), "B": -1.0})])
    assert read_replies(path) == told
