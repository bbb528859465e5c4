import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.asking.judge import judge_prompt
from saelib.htest.asking.parsers import PARSERS
from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.engines.inspect_logs import import_logs
from saelib.htest.engines.inspect_tasks import HTEST, htest_letter_geometry, make_task
from saelib.htest.items.item import Item, write_items
from saelib.htest.tasks import TASKS
from saelib.run.files import PROJECT
from tests.helpers.asked import COUNT, asked, items_of, mock_model, run_task
from tests.helpers.faulty_proxy import NO_FAULTS, serve

MOCK = "api:mockllm/model"


def label_of(prompt: str) -> str:
    return "BA"[int(prompt.split("“")[-1].split("”")[0]) % 2]


REPLIERS = {
    "oracle": (label_of, 1.0, 1.0),
    "constant": (lambda prompt: "A", 0.5, 0.5),
    "refusing": (lambda prompt: "I cannot tell", 0.5, 0.0),  # "cannot" has an a and no b
    "talkative": (lambda prompt: f"Answer: {label_of(prompt)}", 0.5, 1.0),  # "Answer: B" has an a, too
    "mute": (lambda prompt: "", 0.0, 0.0),
    "gibberish": (lambda prompt: "\n\n#&b0b", 0.5, 0.0),
}


@pytest.mark.parametrize("replier", REPLIERS)
def test_known_repliers_have_their_known_accuracies_under_both_parsers(tmp_path, replier):
    say, paper, strict = REPLIERS[replier]
    log = run_task(make_task(*asked(MOCK)), mock_model(say), tmp_path)
    shown = {score.name: score.metrics["accuracy"].value for score in log.results.scores}
    assert shown == {"paper": paper, "strict": strict}
    replies = import_logs(tmp_path)
    right = {name: [parse(str(reply.reply), reply.item.options) == reply.item.label for reply in replies]
             for name, parse in PARSERS.items()}  # fmt: skip
    assert {name: sum(found) / COUNT for name, found in right.items()} == shown


def test_a_chain_of_thought_is_read_by_the_grader(tmp_path):
    asked_of_judge: list[str] = []
    judge = mock_model(lambda prompt: "B.", asked_of_judge)
    task = make_task(*asked(MOCK, form="chain_of_thought", max_tokens=None), judged=True)
    log = run_task(task, mock_model(lambda prompt: "Let me think"), tmp_path, model_roles={"grader": judge})
    assert set(asked_of_judge) == {
        "Assistant: Let me think \n\n What does the Assistant think the sentence belongs to?\nA\nB\n"
        "None (Respond in one word and nothing else)"
    }
    assert len(asked_of_judge) == COUNT
    assert {score.name: score.metrics["accuracy"].value for score in log.results.scores} == {
        "paper": 0.5,
        "strict": 0.5,
    }
    replies = import_logs(tmp_path)
    assert {(reply.reply, reply.judge, reply.verdict) for reply in replies} == {("Let me think", MOCK, "B.")}
    assert {reply.condition.max_tokens for reply in replies} == {None}


def test_without_a_grader_nothing_is_asked(tmp_path):
    told: list[str] = []
    task = make_task(*asked(MOCK, form="chain_of_thought"), judged=True)
    log = run_task(task, mock_model(lambda prompt: "hm", told), tmp_path)
    assert (log.status, told) == ("error", [])
    assert "no model has the role 'grader'" in log.error.message


@pytest.fixture
def items_file(tmp_path) -> Path:
    geometry = Item("letter_geometry", "test", 1, "p upside down", "d", ("p", "q", "d", "b"), 3, "fresh-2")
    write_items(tmp_path / "items.jsonl", [*items_of("dev", 50), *items_of(), geometry])
    return tmp_path / "items.jsonl"


def test_a_task_asks_its_items_with_explicit_ids(items_file):
    task = HTEST["uppercase"](items=str(items_file), k=14, form="chat", shuffle_seed=2)
    prompts = render(items_of(), choose_shots(items_of("dev", 50), 14, 2), "chat")
    assert [sample.input for sample in task.dataset] == [prompt.text for prompt in prompts]
    assert [sample.id for sample in task.dataset] == [item.key for item in items_of()]
    assert (task.config.temperature, task.config.max_tokens) == (0.7, 5)


def test_a_chain_of_thought_has_no_limit(items_file):
    assert HTEST["uppercase"](items=str(items_file), form="chain_of_thought").config.max_tokens is None


def test_letter_geometry_is_asked_for_one_token(items_file, tmp_path):
    task = htest_letter_geometry(items=str(items_file))
    assert task.config.max_tokens == 1
    (sample,) = task.dataset
    assert sample.input == "p upside down\np\nq\nd\nb(Respond in one letter and nothing else)"
    log = run_task(task, mock_model(lambda prompt: "d"), tmp_path / "logs")
    assert {score.name: score.metrics["accuracy"].value for score in log.results.scores} == {"paper": 1, "strict": 1}


def test_a_task_without_items_says_so(items_file):
    with pytest.raises(ValueError, match="test items of the task 'rhyme': none"):
        HTEST["rhyme"](items=str(items_file), k=0)


def test_another_number_of_shots_is_another_version_of_the_task(items_file):
    versions = {HTEST["uppercase"](items=str(items_file), k=k).version for k in (4, 14, 4)}
    assert len(versions) == 2


def test_the_logs_of_earlier_releases_are_those_of_the_same_task():
    _, prompts, condition = asked("api:openai/gpt-4o")
    items = [replace(item, item_set="fresh-1") for item in items_of()]
    assert make_task(items, prompts, condition).version == "a33895fd78bc8c09"


def test_every_task_is_registered():
    from inspect_ai._util.registry import registry_info

    assert [registry_info(task).name for task in HTEST.values()] == [f"saelib/htest_{name}" for name in TASKS]
    assert registry_info(htest_letter_geometry).name == "saelib/htest_letter_geometry"
    assert "hyphenated word" in str(HTEST["hyphenated_word"].__doc__)


def test_the_judges_question_is_the_papers():
    assert judge_prompt("x").startswith("Assistant: x \n\n What does")


@pytest.mark.enable_socket
def test_the_command_line_finds_a_task_by_its_registered_name(items_file, tmp_path):
    program = Path(sys.executable).with_name("inspect")
    options = ["--limit", "3", "-T", f"items={items_file}", "-T", "k=4", "--log-dir", "logs", "--display", "none"]
    command = [str(program), "eval", "saelib/htest_uppercase", "--model", "openai-api/loopback/served-1", *options]
    with serve(label_of, faults=NO_FAULTS) as server:
        environment = os.environ | {"LOOPBACK_BASE_URL": server.address, "LOOPBACK_API_KEY": "key"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr[-2000:]
    replies = import_logs(tmp_path / "logs")
    assert [(reply.item.row, reply.reply) for reply in replies] == [(1, "A"), (2, "B"), (3, "A")]
    assert {(reply.condition.k, reply.condition.temperature) for reply in replies} == {(4, 0.7)}


@pytest.mark.enable_socket
def test_inspect_lists_and_runs_all_eleven_tasks(items_file, tmp_path):
    """In the folder of the library; a reader of other files there would find tasks that nobody means."""
    program = str(Path(sys.executable).with_name("inspect"))
    listed = subprocess.run(
        [program, "list", "tasks", "saelib"], cwd=PROJECT, capture_output=True, text=True, timeout=180
    )
    names = {line.rsplit("@", 1)[-1] for line in listed.stdout.splitlines() if "@" in line}
    assert names == {f"htest_{name}" for name in (*TASKS, "letter_geometry")}, listed.stderr[-2000:]
    items = [*(item for name in TASKS for split, count in (("dev", 4), ("test", 2)) for item in
               items_of(split, count, name)), Item("letter_geometry", "test", 1, "p upside down", "d",
                                                   ("p", "q", "d", "b"), 3, items_of()[0].item_set)]  # fmt: skip
    write_items(items_file, items)
    options = ["-T", f"items={items_file}", "-T", "k=4", "--log-dir", str(tmp_path / "logs"), "--display", "none"]
    command = [program, "eval", "saelib", "--model", "openai-api/loopback/served-1", *options]
    with serve(lambda prompt: "A", faults=NO_FAULTS) as server:
        environment = os.environ | {"LOOPBACK_BASE_URL": server.address, "LOOPBACK_API_KEY": "key"}
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-2000:]
    replies = import_logs(tmp_path / "logs")
    assert {reply.item.task for reply in replies} == {*TASKS, "letter_geometry"}
    assert len(replies) == 2 * 10 + 1


def test_a_setting_that_no_task_has_is_refused(items_file):
    with pytest.raises(ValueError, match="-T shots: unknown; choose among items, seed"):
        HTEST["uppercase"](items=str(items_file), shots=4)


def test_an_item_that_is_asked_about_twice_keeps_both_prompts(tmp_path):
    """A judge reads several replies to one item."""
    items, prompts, condition = asked(MOCK, count=2)
    twice = [prompt._replace(text=f"{prompt.text} {number}") for prompt in prompts for number in (1, 2)]
    task = make_task([item for item in items for _ in (1, 2)], twice, condition)
    run_task(task, mock_model(lambda prompt: prompt[-1]), tmp_path)
    assert [(reply.item.row, reply.reply) for reply in import_logs(tmp_path)] == [
        (1, "1"), (1, "2"), (2, "1"), (2, "2"),
    ]  # fmt: skip
