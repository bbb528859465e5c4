"""How long a silent server is borne: with a clock by hand, so that no test waits."""

import time

import pytest

from saelib.language import patience
from saelib.language.patience import Patience, ServerSilentError, patience_seconds


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("saelib.language.patience.time.monotonic", clock.monotonic)
    return clock


def test_a_server_that_answers_nothing_is_given_up_after_the_stated_time(clock: Clock) -> None:
    server = Patience("api:a at http://host/v1", 600)
    server.begin()
    clock.now += 599
    server.failed("502 Bad Gateway", was_reached=True)
    server.begin()
    assert server.left == 1
    clock.now += 1
    with pytest.raises(
        ServerSilentError,
        match=r"^api:a at http://host/v1 gave no answer for 10 min \(2 requests "
        r"failed; the last: 500 dead\), so nothing more.*run the same call again.*SAELIB_PATIENCE=",
    ):
        server.failed("500 dead", was_reached=True)  # fmt: skip
    with pytest.raises(ServerSilentError, match="the last: 500 dead"):
        server.begin()


def test_every_answer_begins_the_time_anew(clock: Clock) -> None:
    server = Patience("a", 600)
    server.begin()
    for _ in range(5):
        clock.now += 599
        server.failed("500", was_reached=True)
        server.answered()
    assert server.left == 600


def test_a_server_that_was_never_reached_is_given_up_sooner(clock: Clock) -> None:
    server = Patience("a", 600)
    server.begin()
    clock.now += 29
    server.failed("refused", was_reached=False)
    clock.now += 1
    with pytest.raises(ServerSilentError, match="could not be reached for 30 s"):
        server.failed("refused", was_reached=False)


def test_a_server_that_was_reached_once_is_waited_for(clock: Clock) -> None:
    server = Patience("a", 600)
    server.begin()
    server.answered()
    clock.now += 100
    server.failed("refused", was_reached=False)
    assert server.left == 500


@pytest.mark.parametrize("said, seconds", [("", 600), (" 90 ", 90), ("0.5", 0.5)])
def test_the_environment_sets_the_time(monkeypatch: pytest.MonkeyPatch, said: str, seconds: float) -> None:
    monkeypatch.setenv("SAELIB_PATIENCE", said)
    assert patience_seconds() == seconds


@pytest.mark.parametrize("said", ["0", "-1", "nan", "inf", "ten"])
def test_a_time_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("SAELIB_PATIENCE", said)
    with pytest.raises(ValueError, match=f"SAELIB_PATIENCE='{said}' in the environment is no number of seconds"):
        patience_seconds()


@pytest.mark.parametrize("batch, said", [("", True), ("1", False)])
def test_waiting_is_said_but_not_in_the_first_minute_of_a_batch(monkeypatch, capsys, batch: str, said: bool) -> None:
    monkeypatch.setattr(patience, "SAID_EVERY", 0.05)
    monkeypatch.setenv("SAELIB_BATCH", batch)
    server = Patience("api:a", 600)
    with server.watched():
        server.begin()
        server.failed("500 dead", was_reached=True)
        time.sleep(0.3)
    shown = capsys.readouterr().err
    assert ("api:a: no answer for 0 s (the last: 500 dead); given up after 10 min without any" in shown) is said
    assert bool(shown) is said
