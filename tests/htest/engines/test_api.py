import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import nbformat
import pytest

from saelib.htest.asking.judge import judge_prompt
from saelib.htest.asking.prompts import render
from saelib.htest.engines.api import ApiEngine, answers_kept, ask_api, estimate_cost
from saelib.htest.engines.inspect_logs import import_logs
from saelib.htest.items.item import content_free_items
from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.run.files import PROJECT
from tests.helpers.asked import COUNT, asked
from tests.helpers.faulty_proxy import FAULTS, NO_FAULTS, serve
from tests.helpers.local_server import MODEL
from tests.helpers.small_studies import small_study

KEY = "a-key-that-is-secret"
NAME = "api:openai-api/loopback/served-1"
AGAIN = """
from pathlib import Path
from saelib.htest.engines.api import ask_api
from tests.helpers.asked import asked
replies = ask_api(*asked({name!r}), Path({folder!r}), connections=2)
print("".join(sorted(reply.reply for reply in replies)))
"""


def label_of(prompt: str) -> str:
    """The right answer to a prompt of `asked`: odd numbers are A."""
    return "BA"[int(prompt.split("“")[-1].split("”")[0]) % 2]


@pytest.fixture
def address(monkeypatch):
    def point_at(server):
        monkeypatch.setenv("LOOPBACK_BASE_URL", server.address)
        monkeypatch.setenv("LOOPBACK_API_KEY", KEY)

    return point_at


@pytest.fixture
def no_waits(monkeypatch):
    """Inspect waits three seconds and more between its own retries; here it does not."""
    from inspect_ai.model import ModelAPI
    from tenacity import wait_fixed

    monkeypatch.setattr(ModelAPI, "retry_wait", lambda self: wait_fixed(0.01))


@pytest.mark.enable_socket
def test_prompts_arrive_byte_for_byte_with_the_settings_of_the_condition(tmp_path, address):
    items, prompts, condition = asked(NAME, k=14, max_tokens=5, seed=8)
    with serve(label_of, faults=NO_FAULTS) as server:
        address(server)
        replies = ask_api(items, prompts, condition, tmp_path)
    sent = [body["messages"] for body in server.bodies]
    assert sorted(map(str, sent)) == sorted(str([{"role": "user", "content": prompt.text}]) for prompt in prompts)
    assert {(body["temperature"], body["max_tokens"], body["seed"]) for body in server.bodies} == {(0.7, 5, 8)}
    assert [reply.item for reply in replies] == items
    assert [reply.prompt for reply in replies] == [prompt.text for prompt in prompts]
    assert [reply.reply for reply in replies] == [item.label for item in items]
    assert {(reply.condition.model, reply.condition.revision) for reply in replies} == {(NAME, "served-1")}
    assert replies[0].usage == {"input_tokens": len(prompts[0].text), "output_tokens": 1}


@pytest.mark.enable_socket
def test_content_free_questions_are_asked_with_the_items(tmp_path, address):
    items, prompts, condition = asked(NAME, count=2)
    free = content_free_items(items[0].item_set, items[0].task, items[0].seed)
    prompts = [*prompts, *render(free, [], condition.form)]
    with serve(lambda prompt: "A", faults=NO_FAULTS) as server:
        address(server)
        replies = ask_api([*items, *free], prompts, condition, tmp_path)
    assert [reply.item for reply in replies] == [*items, *free]
    assert [reply.reply for reply in replies] == ["A"] * 5


@pytest.mark.enable_socket
def test_keys_do_not_reach_the_logs(tmp_path, address):
    with serve(label_of, faults=NO_FAULTS) as server:
        address(server)
        ask_api(*asked(NAME, count=2), tmp_path)
    assert server.keys == {f"Bearer {KEY}"}
    for path in tmp_path.rglob("*.eval"):
        with zipfile.ZipFile(path) as log:
            assert not [name for name in log.namelist() if KEY.encode() in log.read(name)]
    assert not [path for path in tmp_path.rglob("*.json") if KEY in path.read_text()]


@pytest.mark.enable_socket
def test_faults_lose_nothing_and_pay_nothing_twice(tmp_path, address):
    items, prompts, condition = asked(NAME, count=30)
    with serve(label_of) as server:
        address(server)
        replies = ask_api(items, prompts, condition, tmp_path)
        assert [reply.reply for reply in replies] == [item.label for item in items]
        assert server.completions == dict.fromkeys((prompt.text for prompt in prompts), 1)
        assert server.attempts.total() > len(prompts) + len(FAULTS), "no faults happened"
        ask_api(items, prompts, condition, tmp_path)
        assert server.completions.total() == len(prompts), "the same call again asks nothing"
        ask_api(*asked(NAME, k=2, count=30), tmp_path)
        assert server.completions.total() == 2 * len(prompts), "another number of shots is another condition"


@pytest.mark.enable_socket
def test_a_longer_outage_than_the_client_bears_is_waited_out(tmp_path, address, no_waits):
    with serve(label_of, faults=[("500", "429", "500", "drop", "429")]) as server:
        address(server)
        replies = ask_api(*asked(NAME, count=4), tmp_path)
    assert len(replies) == server.completions.total() == 4


@pytest.mark.enable_socket
def test_a_killed_run_goes_on_where_it_was(tmp_path, address):
    items, prompts, condition = asked(NAME)
    with serve(label_of, paid_until=COUNT - 3) as server:
        address(server)
        program = subprocess.Popen([sys.executable, "-c", AGAIN.format(name=NAME, folder=str(tmp_path))], cwd=PROJECT)
        try:
            wait_for_answers(tmp_path, COUNT - 3)
        finally:
            program.kill()
            program.wait()
        server.paid_until = None
        replies = ask_api(items, prompts, condition, tmp_path)
    assert [reply.reply for reply in replies] == [item.label for item in items]
    assert server.completions == dict.fromkeys((prompt.text for prompt in prompts), 1)
    assert import_logs(tmp_path) == replies


@pytest.fixture
def interruptible():
    """Ctrl-C interrupts, also where the suite runs in the background of a shell, which has it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.enable_socket
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_run_stops_and_goes_on_later(tmp_path, address):
    def interrupt():
        wait_for_answers(tmp_path, COUNT - 3)
        os.kill(os.getpid(), signal.SIGINT)

    items, prompts, condition = asked(NAME)
    with serve(label_of, paid_until=COUNT - 3) as server:
        address(server)
        keyboard = threading.Thread(target=interrupt, daemon=True)
        keyboard.start()
        with pytest.raises(KeyboardInterrupt):
            ask_api(items, prompts, condition, tmp_path)
        server.paid_until = None
        assert [reply.item for reply in ask_api(items, prompts, condition, tmp_path)] == items
    assert server.completions == dict.fromkeys((prompt.text for prompt in prompts), 1)


def wait_for_answers(folder: Path, count: int) -> None:
    """Until the log in the folder, a zip file that is replaced with every answer, holds as many samples."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in folder.glob("*.eval"):
            with zipfile.ZipFile(path) as log:
                if sum(name.startswith("samples/") for name in log.namelist()) == count:
                    return
        time.sleep(0.1)
    raise TimeoutError(f"{folder}: no log with {count} samples after two minutes")


@pytest.mark.enable_socket
def test_it_works_in_a_notebook(tmp_path, address):
    papermill = pytest.importorskip("papermill")
    source = AGAIN.format(name=NAME, folder=str(tmp_path / "logs"))
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for _ in range(2)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "in.ipynb")
    with serve(label_of) as server:
        address(server)
        done = papermill.execute_notebook(
            str(tmp_path / "in.ipynb"), str(tmp_path / "out.ipynb"), engine_name="ipc", cwd=str(PROJECT),
            progress_bar=False, log_output=False,
        )  # fmt: skip
    shown = [[output.get("text") for output in cell.outputs] for cell in done.cells]
    assert shown == [["AAAAABBBBB\n"]] * 2, "the replies and nothing else"
    assert server.completions.total() == COUNT, "the second cell asked nothing"


@pytest.mark.enable_socket
def test_a_real_server_with_faults_before_it(tmp_path, address, local_server):
    items, prompts, condition = asked(f"api:openai-api/loopback/{MODEL}", max_tokens=5)
    with serve(local_server) as server:
        address(server)
        replies = ask_api(items, prompts, condition, tmp_path)
    assert [reply.item for reply in replies] == items
    assert server.completions == dict.fromkeys((prompt.text for prompt in prompts), 1)
    assert {reply.condition.revision for reply in replies} == {f"{MODEL}@main"}
    assert all(0 < reply.usage["output_tokens"] <= 5 for reply in replies)
    assert all(reply.usage["input_tokens"] > 50 for reply in replies)


@pytest.mark.enable_socket
def test_the_engine_gives_answers_and_serves_as_a_judge_too(tmp_path, address):
    items, prompts, condition = asked(NAME, form="chain_of_thought", max_tokens=None)
    with serve(lambda prompt: "it is B" if "Assistant" in prompt else "hm ", faults=NO_FAULTS) as server:
        address(server)
        engine = ApiEngine(NAME.removeprefix("api:"), tmp_path)
        thoughts = engine(items, prompts, condition)
        assert not {"max_tokens", "max_completion_tokens"} & set(server.bodies[0])
        questions = [prompt._replace(text=judge_prompt(str(thought.reply)) + str(row))
                     for row, (prompt, thought) in enumerate(zip(prompts, thoughts, strict=True))]  # fmt: skip
        verdicts = engine(items, questions, asked(NAME, k=0)[2])
    assert {answer.reply for answer in thoughts} == {"hm "}
    assert {(answer.reply, answer.revision) for answer in verdicts} == {("it is B", "served-1")}
    assert server.completions.total() == 2 * COUNT


def test_a_missing_key_is_named_before_anything_is_sent(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(RuntimeError, match="openai/gpt-4o: .*OPENAI_API_KEY.* in the environment"):
        ask_api(*asked("api:openai/gpt-4o"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_address_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LOOPBACK_API_KEY", "key")
    monkeypatch.delenv("LOOPBACK_BASE_URL", raising=False)
    with pytest.raises(RuntimeError, match="LOOPBACK_BASE_URL"):
        ask_api(*asked(NAME), tmp_path)


def test_a_model_that_is_no_api_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'embedded' is no model of an API"):
        ask_api(*asked("embedded"), tmp_path)


def test_cost_counts_requests_and_tokens_and_those_of_the_judge():
    _, prompts, condition = asked(NAME, max_tokens=6)
    prompts = [prompt._replace(text="x" * 31) for prompt in prompts]
    plain = estimate_cost(prompts, condition)
    assert (plain.requests, plain.input_tokens, plain.output_tokens) == (10, 110, 60)
    assert (plain.judge_requests, plain.judge_input_tokens, plain.judge_output_tokens) == (0, 0, 0)
    judged = estimate_cost(prompts, condition, judged=True)
    assert (judged.judge_requests, judged.judge_output_tokens) == (10, 50)
    assert judged.judge_input_tokens == 60 + 10 * -(-len(judge_prompt("")) // 3)


def test_cost_counts_samples_and_the_system_message():
    _, prompts, condition = asked(NAME, max_tokens=6, samples=3, system="x" * 9)
    prompts = [prompt._replace(text="x" * 31) for prompt in prompts]
    cost = estimate_cost(prompts, condition, judged=True)
    assert (cost.requests, cost.input_tokens, cost.output_tokens) == (30, 3 * 10 * (3 + 11), 180)
    assert (cost.judge_requests, cost.judge_output_tokens) == (30, 150)


def test_cost_without_a_limit_is_unknown():
    _, prompts, condition = asked(NAME, max_tokens=None)
    cost = estimate_cost(prompts, condition, judged=True)
    assert cost.output_tokens is None
    assert cost.judge_input_tokens is None


def test_the_estimate_is_of_the_size_of_a_real_count():
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(EMBEDDED_FOLDER)
    _, prompts, condition = asked(NAME, k=50)
    counted = sum(len(tokenizer(prompt.text)["input_ids"]) for prompt in prompts)
    assert counted / 2 < estimate_cost(prompts, condition).input_tokens < counted * 2


@pytest.mark.enable_socket
def test_an_exact_budget_is_enough_to_go_on_with_what_was_killed(tmp_path, address, monkeypatch):
    study = small_study(tmp_path, monkeypatch, api_requests=COUNT, models=[NAME])
    items, prompts, condition = asked(NAME)
    assert answers_kept(items, prompts, condition, study.logs_folder) == 0
    study.logs_folder.mkdir(parents=True)
    (study.logs_folder / "eval-set.json").write_text("{}")  # as Inspect does before its first log
    assert answers_kept(items, prompts, condition, study.logs_folder) == 0
    (study.logs_folder / "eval-set.json").unlink()
    with serve(label_of, faults=NO_FAULTS, paid_until=COUNT - 3) as server:
        address(server)
        code = AGAIN.format(name=NAME, folder=str(study.logs_folder))
        program = subprocess.Popen([sys.executable, "-c", code], cwd=PROJECT)
        try:
            wait_for_answers(study.logs_folder, COUNT - 3)
        finally:
            program.kill()
            program.wait()
        for _ in range(COUNT - 3):  # the killed program had no account of its own
            study.budget.take(NAME.removeprefix("api:"))
        server.paid_until = None
        assert answers_kept(items, prompts, condition, study.logs_folder) == COUNT - 3
        assert answers_kept(items[1:], prompts[1:], condition, study.logs_folder) == 0, "another call"
        respondent = study.respondent(NAME)
        assert study.requests_for(respondent, items, prompts, condition) == study.requests_left == 3
        answers = [answer for _, answer in study.answers(respondent, items, prompts, condition)]
    assert [answer.reply for answer in answers] == [item.label for item in items]
    assert server.completions == dict.fromkeys((prompt.text for prompt in prompts), 1)
    assert study.requests_left == 0
    assert study.requests_for(respondent, items, prompts, condition) == 0
