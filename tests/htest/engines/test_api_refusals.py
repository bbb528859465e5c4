"""Servers that do not answer: what costs a request, what counts as none, what is an error of the run."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saelib.htest.engines.api import ask_api
from saelib.htest.engines.refusals import ENOUGH
from saelib.htest.scoring.accuracy import accuracy_table
from saelib.htest.scoring.readings import readings_of
from saelib.language.request_budget import RequestBudget, RequestsSpentError
from tests.helpers.asked import COUNT, asked
from tests.helpers.choices import filtered, refused_by_the_model, tool_call, with_chances
from tests.helpers.faulty_proxy import NO_FAULTS, FaultyProxy, serve

NAME = "api:openai-api/loopback/served-1"
pytestmark = pytest.mark.enable_socket


def row_of(prompt: str) -> int:
    return int(prompt.split("“")[-1].split("”")[0])


def label_of(prompt: str) -> str:
    """The right answer to a prompt of `asked`: odd numbers are A."""
    return "BA"[row_of(prompt) % 2]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inspect waits three seconds and more between its retries; here it does not, and tries three times."""
    from inspect_ai.model import ModelAPI
    from tenacity import wait_fixed

    monkeypatch.setattr(ModelAPI, "retry_wait", lambda self: wait_fixed(0.01))
    monkeypatch.setattr("saelib.language.api.RETRIES", 3)


@pytest.fixture
def point_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[FaultyProxy], None]:
    def point(server: FaultyProxy) -> None:
        monkeypatch.setenv("LOOPBACK_BASE_URL", server.address)
        monkeypatch.setenv("LOOPBACK_API_KEY", "key")

    return point


def asking(server: FaultyProxy, point_at: Any, folder: Path, count: int = COUNT, **options: Any) -> list[Any]:
    point_at(server)
    condition = options.pop("condition", {})
    return ask_api(*asked(NAME, count=count, **condition), folder, **options)


FOR_EVER = {"stall": ["stall"] * 99, "mixed": ["500", "redirect", "drop", "429", "stall"] * 20}


@pytest.mark.parametrize("fault", FOR_EVER)
def test_no_request_beyond_the_budget_reaches_a_server_that_never_answers(tmp_path, point_at, monkeypatch, fault):
    monkeypatch.setattr("saelib.language.api.ATTEMPT_SECONDS", 1)  # until a stalled request is given up
    with serve(label_of, faults=[FOR_EVER[fault]]) as server:
        for _ in range(2):  # the second time, as another process would: the account is in the file
            budget = RequestBudget(7, tmp_path / "requests.jsonl")
            with pytest.raises(RequestsSpentError, match="all of 7 allowed requests were sent"):
                asking(server, point_at, tmp_path / "logs", count=4, budget=budget)
            assert budget.sent == 7
            assert 5 <= server.attempts.total() <= 7  # a request may be given up on its way


def test_what_was_answered_within_the_budget_is_kept(tmp_path, point_at):
    with serve(label_of, faults=NO_FAULTS) as server:
        with pytest.raises(RequestsSpentError, match="all of 6 allowed requests were sent.*4 of 10 items lack"):
            asking(server, point_at, tmp_path, budget=RequestBudget(6), connections=1)
        assert server.completions.total() == 6
        more = RequestBudget(4)
        replies = asking(server, point_at, tmp_path, budget=more)
    assert [reply.reply for reply in replies] == [reply.item.label for reply in replies]
    assert (server.completions.total(), more.left) == (COUNT, 0)


def test_usage_counts_every_request_and_every_token(tmp_path, point_at):
    budget = RequestBudget(100, tmp_path / "requests.jsonl")
    with serve(label_of, faults=[("500", "429"), ("redirect",)]) as server:
        replies = asking(server, point_at, tmp_path / "logs", budget=budget)
    usage = budget.usage["openai-api/loopback/served-1"]
    assert usage["requests"] == server.attempts.total() > COUNT
    assert usage["input_tokens"] == sum(reply.usage["input_tokens"] for reply in replies)
    assert usage["output_tokens"] == COUNT


@pytest.mark.parametrize("content", [None, "A"])
def test_a_tool_call_is_no_reply_and_is_asked_for_once(tmp_path, point_at, content):
    budget = RequestBudget(100)
    with serve(lambda prompt: tool_call(content), faults=NO_FAULTS) as server:
        replies = asking(server, point_at, tmp_path, count=2, budget=budget)
        assert asking(server, point_at, tmp_path, count=2, budget=budget) == replies
    assert server.attempts.total() == budget.sent == 2
    assert {reply.problem for reply in replies} == {"tool call: classify"}
    assert readings_of(replies)[["paper", "strict"]].isna().all(axis=None)


@pytest.mark.parametrize("status", ["400", "422", "403"])
def test_an_item_refused_for_ever_counts_as_none_beside_the_others(tmp_path, point_at, status):
    """Some servers say 403 of an item that their moderation dislikes, too."""
    items, prompts, condition = asked(NAME)
    with serve(label_of, faults=[()]) as server:
        server.next_fault = lambda prompt: status if row_of(prompt) == 3 else None  # type: ignore[method-assign]
        point_at(server)
        replies = ask_api(items, prompts, condition, tmp_path)
        assert [reply.item for reply in replies] == items
        assert [reply.problem for reply in replies if reply.item.row == 3] == [f"refused: {status} a fault on schedule"]
        assert [reply.reply for reply in replies if not reply.problem] == [
            item.label for item in items if item.row != 3
        ]
        line = accuracy_table(readings_of(replies), ["task"]).set_index("reader").loc["strict"]
        assert line[["items", "answered", "correct", "accuracy"]].tolist() == [10, 9, 9, 0.9]
        server.next_fault = lambda prompt: None  # type: ignore[method-assign]
        again = ask_api(items, prompts, condition, tmp_path)
    assert [reply.reply for reply in again] == [item.label for item in items], "the same call asks it again"
    assert server.completions == dict.fromkeys((prompt.text for prompt in prompts), 1)


@pytest.mark.parametrize("body", [
    {"message": "This model's maximum context length is 8 tokens", "code": "context_length_exceeded"},
    {"message": "input length 9 is longer than 8"},
    "too long, says a server that writes no JSON",
])  # fmt: skip
def test_a_context_too_long_is_a_refusal_and_its_text_no_reply(tmp_path, point_at, body):
    with serve(label_of, faults=NO_FAULTS) as server:
        server.error = json.dumps({"error": body}).encode() if isinstance(body, dict) else body.encode()
        server.next_fault = lambda prompt: "400" if row_of(prompt) == 1 else None  # type: ignore[method-assign]
        replies = asking(server, point_at, tmp_path, count=4)
    said = body["message"] if isinstance(body, dict) else body
    assert replies[0].problem is not None and replies[0].problem.startswith("refused: ") and said in replies[0].problem
    assert [reply.reply for reply in replies] == [None, "B", "A", "B"]


@pytest.mark.parametrize("status", ["401", "404"])
def test_a_server_that_refuses_everybody_is_an_error_of_the_run_and_early(tmp_path, point_at, status):
    with serve(label_of, faults=[[status] * 99]) as server:
        with pytest.raises(
            ValueError, match=rf"answered none of 60 requests.*{status} a fault on schedule; nothing was"
        ):
            asking(server, point_at, tmp_path, count=60)
        assert ENOUGH <= server.attempts.total() <= ENOUGH + 10, "what was under way, and nothing after it"
        server.faults = NO_FAULTS
        replies = asking(server, point_at, tmp_path, count=60)
    assert [reply.reply for reply in replies] == [reply.item.label for reply in replies]


def test_settings_that_a_server_does_not_know_are_an_error_of_the_run(tmp_path, point_at):
    with serve(label_of, faults=[["400"] * 99]) as server:
        with pytest.raises(ValueError, match="answered none of 60 requests.*400 a fault on schedule"):
            asking(server, point_at, tmp_path, count=60)
        assert server.attempts.total() <= ENOUGH + 10


QUOTA = {"message": "You exceeded your current quota", "code": "insufficient_quota", "type": "insufficient_quota"}


@pytest.mark.parametrize("status, body, seen", [
    ("429", QUOTA, "account spent: .*exceeded your current quota"),
    ("402", {"message": "Insufficient Balance"}, "402 Insufficient Balance"),
    ("401", {"message": "This key was revoked"}, "401 This key was revoked"),
])  # fmt: skip
def test_an_account_that_is_spent_on_the_way_is_no_fault_of_the_items(tmp_path, point_at, status, body, seen):
    budget = RequestBudget(100)
    with serve(label_of, faults=NO_FAULTS) as server:
        server.error = json.dumps({"error": body}).encode()
        server.next_fault = lambda prompt: status if row_of(prompt) > 6 else None  # type: ignore[method-assign]
        with pytest.raises(ValueError, match=f"4 of 10 items lack an answer.*refused: {seen}"):
            asking(server, point_at, tmp_path, budget=budget)
        assert budget.sent <= 6 + 4 * 3, "the client's own tries, and none of Inspect's"
        server.next_fault = lambda prompt: None  # type: ignore[method-assign]
        replies = asking(server, point_at, tmp_path, budget=budget)
    assert [reply.reply for reply in replies] == [reply.item.label for reply in replies]


@pytest.mark.parametrize("body", [
    b'{"id": "1", "object": "chat.completion", "choices": []}', b'{"error": {"message": "busy", "code": 502}}',
    b"<html>Please log in</html>",
])  # fmt: skip
def test_an_answer_that_is_none_counts_as_none_and_keeps_no_other_from_being_scored(tmp_path, point_at, body):
    with serve(label_of, faults=NO_FAULTS) as server:
        whole = server.complete
        server.complete = lambda raw, prompt: body if row_of(prompt) == 1 else whole(raw, prompt)  # type: ignore[method-assign, assignment]
        replies = asking(server, point_at, tmp_path, count=4)
    assert str(replies[0].problem).startswith("refused: unreadable answer (")
    assert [reply.reply for reply in replies] == [None, "B", "A", "B"]


def test_a_fault_that_stays_is_told_in_the_servers_words(tmp_path, point_at):
    with serve(label_of, faults=[["500"] * 99]) as server, pytest.raises(ValueError, match="a fault on schedule"):
        asking(server, point_at, tmp_path, count=2)


@pytest.mark.parametrize("status", ["400", "401", "500"])
def test_a_key_that_a_server_repeats_is_in_no_log_and_no_message(tmp_path, point_at, monkeypatch, status):
    from inspect_ai.log import read_eval_log

    key = "sk-secret-0123456789"
    with serve(label_of, faults=NO_FAULTS) as server:
        server.error = json.dumps({"error": {"message": f"Incorrect API key: {key}."}}).encode()
        server.next_fault = lambda prompt: status if row_of(prompt) == 1 else None  # type: ignore[method-assign]
        point_at(server)
        monkeypatch.setenv("LOOPBACK_API_KEY", key)
        try:
            said = str(ask_api(*asked(NAME, count=4), tmp_path)[0].problem)
        except ValueError as error:
            said = str(error)
        assert server.keys == {f"Bearer {key}"}
    assert "Incorrect API key: [key]." in said
    logs = [read_eval_log(str(path)).model_dump_json() for path in tmp_path.glob("*.eval")]
    assert logs and key not in "".join([*logs, said])


@pytest.mark.parametrize("say, seen", [
    (lambda prompt: filtered("The answer was withheld: A violates our policy"), "withheld: A violates"),
    (lambda prompt: refused_by_the_model("I cannot help. A"), "I cannot help. A"),
])  # fmt: skip
def test_a_filters_message_is_not_the_models_reply(tmp_path, point_at, say, seen):
    with serve(lambda prompt: say(prompt) if row_of(prompt) == 1 else label_of(prompt), faults=NO_FAULTS) as server:
        replies = asking(server, point_at, tmp_path, count=4)
    assert [(reply.problem or "")[:9] for reply in replies] == ["filtered:", "", "", ""]
    assert seen in str(replies[0].problem)
    assert readings_of(replies)["paper"].tolist() == [None, "B", "A", "B"]


def test_a_filter_that_takes_everything_is_a_result(tmp_path, point_at):
    with serve(lambda prompt: filtered("no"), faults=NO_FAULTS) as server:
        replies = asking(server, point_at, tmp_path, count=4)
    line = accuracy_table(readings_of(replies), ["task"]).set_index("reader").loc["strict"]
    assert line[["accuracy", "share_none"]].tolist() == [0, 1]


def test_the_system_message_the_limit_and_a_seed_for_each_sample_arrive(tmp_path, point_at):
    told: dict[str, Any] = {"system": "Be brief.", "samples": 3, "max_tokens": 7, "temperature": 0.7, "seed": 5}
    items, prompts, condition = asked(NAME, count=2, **told)
    with serve(label_of, faults=NO_FAULTS) as server:
        point_at(server)
        replies = ask_api(items, prompts, condition, tmp_path)
        assert ask_api(items, prompts, condition, tmp_path) == replies
    assert server.completions.total() == 6, "the same call again asks nothing"
    assert [(reply.item.row, reply.sample) for reply in replies] == [(row, n) for row in (1, 2) for n in range(3)]
    sent = [([message["role"] for message in body["messages"]], body["messages"][0]["content"], body["max_tokens"])
            for body in server.bodies]  # fmt: skip
    assert sent == [(["system", "user"], "Be brief.", 7)] * 6
    seeds = [body["seed"] for body in server.bodies]
    assert sorted(seeds) == sorted([5, 1_000_008, 2_000_011] * 2)
    assert {reply.condition.name() for reply in replies} == {
        asked(NAME, count=2, **told, revision="served-1")[2].name()
    }


def test_an_option_that_an_api_leaves_out_takes_only_the_margin(tmp_path, point_at):
    def say(prompt: str) -> dict[str, Any]:
        others = {"B": -3.0} if row_of(prompt) > 1 else {"The": -4.0}
        return with_chances(label_of(prompt), **({"A": -0.1} | others))

    with serve(say, faults=NO_FAULTS) as server:
        replies = asking(server, point_at, tmp_path, log_probabilities=True)
    assert [reply.log_probabilities for reply in replies[:2]] == [None, {"A": -0.1, "B": -3.0}]
    table = accuracy_table(readings_of(replies), ["task"])
    assert table["reader"].tolist() == ["paper", "strict"]
    assert table[["items", "scored", "accuracy"]].values.tolist() == [[10, 9, 1.0]] * 2
    assert table["auroc"].isna().all()


def test_a_server_that_answers_without_a_choice_is_named(tmp_path, point_at):
    with serve(label_of, faults=NO_FAULTS) as server:
        server.complete = lambda body, prompt: b'{"id": "1", "object": "chat.completion", "choices": []}'  # type: ignore[method-assign]
        point_at(server)
        with pytest.raises(ValueError) as caught:
            ask_api(*asked(NAME, count=2), tmp_path)
    assert re.search("lack an answer|answered none", str(caught.value))
