"""An API's server fails, once or for good: the study ends with its answers, or says why not, and goes on later.

Once: the request is sent again, and the replies are those of a sound server. For good: an error that names the model
and what the server said; what was answered is kept, and a sound server is asked for the rest.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from saelib.htest.engines.refusals import NoReplyError
from saelib.htest.stages import ask
from saelib.htest.study import open_study
from saelib.language import api
from tests.faults.injection import Ending, in_child
from tests.faults.tally import Outcome, Tally
from tests.helpers.faulty_proxy import NO_FAULTS, serve

NAME = "api:openai-api/loopback/served-1"
ALWAYS = 10_000  # attempts
FAULTS = ("429", "500", "drop", "stall", "502 page", "200 page", "half a JSON", "cut body", "no choices")
"""The others of `BROKEN` are in tests/htest/engines/test_api_broken.py."""
QUICK = ("502 page",)
REFUSALS = {NoReplyError.__name__, "PermissionError", "ConnectionError", "RuntimeError", "ValueError"}
PROBLEMS = ("refused", "filtered", "tool call")  # how `Reply.problem` begins
AskBy = Callable[..., Ending]
every_fault = pytest.mark.parametrize(
    "fault", [fault if fault in QUICK else pytest.param(fault, marks=pytest.mark.faults) for fault in FAULTS]
)


@pytest.fixture
def ask_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AskBy:
    """Asks one study by a server with faults; how that ended, and what was answered."""
    from inspect_ai.model import ModelAPI
    from tenacity import wait_fixed

    monkeypatch.setenv("LOOPBACK_BASE_URL", "http://127.0.0.1")
    monkeypatch.setenv("LOOPBACK_API_KEY", "a-key-that-is-secret")
    api.open_api_model(NAME.removeprefix("api:"))  # loads the libraries, once for all children
    monkeypatch.setattr(ModelAPI, "retry_wait", lambda self: wait_fixed(0.01))
    monkeypatch.setattr(api, "SHORTEST_ATTEMPT", 2)
    monkeypatch.setattr(api, "RETRIES", 2)
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))

    def asked() -> list[str | None]:
        study = open_study(preset="smoke", run="small", models=[NAME], test_items=2, tasks=["end_ly"],
                           api_requests=ALWAYS, official="none")  # fmt: skip
        return [reply.problem or reply.reply for reply in ask(study, study.respondent(NAME), 0)]

    def by_server(*faults: str) -> Ending:
        with serve(lambda prompt: "A", faults=[faults] if faults else NO_FAULTS) as server:
            monkeypatch.setenv("LOOPBACK_BASE_URL", server.address)
            return in_child(asked)

    return by_server


def is_clear(said: list[str | None]) -> bool:
    """Whether what is stored is the answer, or a problem that is no answer: never a page, nor half a reply."""
    return all(reply == "A" or str(reply).startswith(PROBLEMS) for reply in said)


def check(tally: Tally, kind: str, failing: Ending, sound: Ending) -> None:
    """What a failing server gave, and a sound one after it, which is asked for what is missing."""
    recovered = failing.said == ["A", "A"]
    clear = is_clear(failing.said) if failing.code == 0 else failing.kind in REFUSALS and "served-1" in failing.message
    goes_on = sound.code == 0 and sound.said in (["A", "A"], failing.said)
    outcome = Outcome.RECOVERED if recovered else Outcome.REFUSED if clear and goes_on else Outcome.WRONG
    tally.add(kind, outcome)
    assert outcome is not Outcome.WRONG, f"it {failing}; then it {sound} {sound.said}"


@pytest.mark.parametrize(
    ("said", "clear"),
    [(["A", "refused: 400 too long"], True), (["filtered: by the server", "tool call"], True),
     (["A", "<html><h1>502 Bad Gateway</h1>"], False), (['{"id": "1", "choices"', "A"], False), (["", "A"], False),
     ([None, "A"], False)],
)  # fmt: skip
def test_only_answers_and_named_problems_are_clear(said: list[str | None], clear: bool) -> None:
    assert is_clear(said) is clear


@pytest.mark.enable_socket
@every_fault
@pytest.mark.parametrize("times", [1, ALWAYS], ids=["once", "always"])
def test_a_server_that_fails_is_asked_again_or_named(ask_by: AskBy, tally: Tally, fault: str, times: int) -> None:
    kind = "server fails once" if times == 1 else "server fails for good"
    check(tally, kind, ask_by(*[fault] * times), ask_by())
