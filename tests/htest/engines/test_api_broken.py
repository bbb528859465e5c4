"""Servers that break in every way of `BROKEN`: an error of the run that says what the server said, where, and soon."""

import re
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from saelib.htest.engines.api import answers_kept, ask_api
from saelib.language.request_budget import RequestBudget
from saelib.run.reading import DamagedFileError
from tests.helpers.asked import asked
from tests.helpers.broken_replies import BROKEN
from tests.helpers.faulty_proxy import NO_FAULTS, FaultyProxy, serve

NAME = "api:openai-api/loopback/served-1"
pytestmark = pytest.mark.enable_socket

REFUSED = {  # what the message holds of a reply after which nothing is tried again
    "wrong key": "refused: 401 Incorrect API key provided.; nothing was scored: check the key in the environment",
    "forbidden": "refused: 403 Your country is not supported; .*check what the key may do",
    "404 model": "refused: 404 The model `served-1` does not exist; .*check the model's name and the address",
    "404 path": "refused: 404 Not Found no such path; .*check the model's name and the address",
    "wrong method": "refused: 405 .*Method Not Allowed.*check the address",
    "429 quota": "refused: account spent: 429 You exceeded your current quota; .*top it up",
    "200 page": "refused: unreadable answer .*502 Bad Gateway nginx/1.24.*check that the address is that of an API",
    "no choices": r'refused: unreadable answer \(200 with {.*"choices": \[\]',
    "null choices": r'refused: unreadable answer \(200 with {"id": "1"',
    "null message": r'refused: unreadable answer \(200 with {"id": "1".*"message": null',
    "error in 200": "refused: unreadable answer .*an error: 502 the model is overloaded",
    "error text in 200": "refused: unreadable answer .*an error: CUDA out of memory",
    "a list": r"refused: unreadable answer .*\[\]",
    "a text": "refused: unreadable answer .*busy",
    "nothing": "refused: unreadable answer",
    "half a JSON": r'refused: unreadable answer \(200 with {"id": "1".*"choices": \[{"\)',
    "not UTF-8": "refused: unreadable answer .*byte 0xff in position 171",
    "bad gzip": "refused: unreadable answer",
}
FAILED = {  # and of one that is tried again, until the tries or the patience end
    "rate limit": "429 Rate limit reached for requests",
    "dead engine": "500 the engine is dead",
    "500 text": "500 Internal Server Error",
    "502 page": "502 Bad Gateway nginx/1.24",
    "loading": "503 loading the model",
    "cut body": "no whole answer within|closed|Connection error",
    "cut chunks": "no whole answer within|closed|Connection error",
    "no HTTP": "no whole answer within|Connection error",
    "half a head": "no whole answer within|Connection error",
    "stalled body": "no whole answer within 1 s",
    "stalled chunks": "no whole answer within 1 s",
    "a byte at a time": "no whole answer within 1 s",
    "blanks for ever": "no whole answer within 1 s",
    "stall": "no whole answer within 1 s",
    "drop": "no whole answer within|disconnected",
}
QUICK = {"wrong key", "429 quota", "200 page", "no choices", "not UTF-8", "502 page", "cut body", "stall"}
"""One of each kind: a status, a spent account, and pages, JSON and bytes that are no answer; then a status that passes,
half a body, and none."""


def one_of_each_kind(faults: Iterable[str]) -> pytest.MarkDecorator:
    """The parameter `fault`; all but the quick ones in `make test-faults` alone."""
    marks = {fault: [] if fault in QUICK else [pytest.mark.faults] for fault in faults}
    return pytest.mark.parametrize("fault", [pytest.param(fault, marks=marks[fault], id=fault) for fault in faults])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One second for a request, two tries, no waits between them."""
    from inspect_ai.model import ModelAPI
    from tenacity import wait_fixed

    monkeypatch.setattr(ModelAPI, "retry_wait", lambda self: wait_fixed(0.01))
    monkeypatch.setattr("saelib.language.api.RETRIES", 1)
    monkeypatch.setattr("saelib.language.api.ATTEMPT_SECONDS", 1)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Any]]:
    def ask(server: FaultyProxy, folder: Path, count: int = 2, **options: Any) -> list[Any]:
        monkeypatch.setenv("LOOPBACK_BASE_URL", server.address)
        monkeypatch.setenv("LOOPBACK_API_KEY", "key")
        return ask_api(*asked(NAME, count=count), folder, **options)

    return ask


def label_of(prompt: str) -> str:
    return "BA"[int(prompt.split("“")[-1].split("”")[0]) % 2]


def test_every_broken_reply_is_tried() -> None:
    assert set(BROKEN) | {"stall", "drop"} == set(REFUSED) | set(FAILED) and set(REFUSED) | set(FAILED) > QUICK


@one_of_each_kind(REFUSED)
def test_a_refusal_shows_server_status_words_and_remedy(tmp_path: Path, ask: Any, fault: str) -> None:
    with serve(label_of, faults=[[fault] * 99]) as server:
        with pytest.raises(ValueError, match=f"answered none of 2 requests .*{REFUSED[fault]}") as caught:
            ask(server, tmp_path)
        assert str(caught.value).startswith(f"{NAME} at {server.address}: ")
        server.faults = NO_FAULTS
        assert [reply.reply for reply in ask(server, tmp_path)] == ["A", "B"], "the same call goes on"


@one_of_each_kind(FAILED)
def test_a_failure_ends_and_shows_server_words_and_how_many_lack_an_answer(tmp_path, ask, fault: str) -> None:
    with serve(label_of, faults=[[fault] * 99]) as server:
        with pytest.raises(ValueError, match=f"2 of 2 items lack an answer, .*({FAILED[fault]})") as caught:
            ask(server, tmp_path)
        assert str(caught.value).startswith(f"{NAME} at {server.address}: ")
        assert "run the same call again" in str(caught.value)


def test_a_silent_server_is_given_up_for_all_items(tmp_path: Path, ask: Any, monkeypatch, capsys) -> None:
    """Not each item for itself: forty would take as many times as long."""
    monkeypatch.setenv("SAELIB_PATIENCE", "3")
    monkeypatch.setattr("saelib.language.api.RETRIES", 99)
    monkeypatch.setattr("saelib.language.patience.SAID_EVERY", 1)
    budget = RequestBudget(999)
    with serve(label_of, faults=[["stall"] * 999]) as server:
        with pytest.raises(
            ValueError, match=r"40 of 40 items lack an answer.*gave no answer for \d+ s .*SAELIB_PATIENCE"
        ):
            ask(server, tmp_path, count=40, budget=budget)
        assert server.attempts.total() <= budget.sent < 40, "nothing was taken for what was not sent"
        monkeypatch.setenv("SAELIB_PATIENCE", "60")
        server.faults = NO_FAULTS
        assert len(ask(server, tmp_path, count=40)) == 40
    assert re.search(f"{NAME} at {server.address}: no answer for [1-9]", capsys.readouterr().err)


def spoil_sample(path: Path) -> None:
    whole, spoilt = path.read_bytes(), path.with_suffix(".new")
    path.write_bytes(whole)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(spoilt, "w") as new:
        for name in old.namelist():
            new.writestr(name, b'{"id"' if name.startswith("samples/") else old.read(name))
    spoilt.replace(path)


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 255
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], Any]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-200]),
    "empty": lambda path: path.write_bytes(b""),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "flipped byte": flip,
    "wrong JSON in it": spoil_sample,
    "another file beside": lambda path: path.with_name("2026-01-01T00-00-00-00-00_htest-uppercase_x.json").write_text(
        '{"version": 2, "st'
    ),
}


def test_a_damaged_log_is_refused_by_name_and_nothing_is_paid_twice(tmp_path: Path, ask: Any) -> None:
    with serve(label_of, faults=NO_FAULTS) as server:
        for name, spoil in DAMAGE.items():
            folder = tmp_path / name.replace(" ", "-")
            ask(server, folder)
            (log,) = folder.glob("*.eval")
            whole = log.read_bytes()
            spoil(log)
            paid = server.completions.total()
            with pytest.raises(DamagedFileError, match=r"\.(eval|json) is no whole log .* put a copy of it back"):
                ask(server, folder)
            with pytest.raises(DamagedFileError):
                answers_kept(*asked(NAME, count=2), folder)
            assert server.completions.total() == paid, name
            log.write_bytes(whole)
            for other in folder.glob("2026-01-01*.json"):
                other.unlink()
            assert len(ask(server, folder)) == 2
            assert server.completions.total() == paid, name
