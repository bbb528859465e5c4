"""In batch: one line per minute and a last one, nothing for short work. Otherwise a bar. Standard error only."""

from itertools import pairwise

import pytest

from saelib.run.progress import QUIET_SECONDS, progress, rate_in_words, time_in_words


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("time.monotonic", clock)
    return clock


@pytest.fixture
def batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAELIB_BATCH", "1")


Captured = pytest.CaptureFixture[str]


@pytest.mark.usefixtures("batch")
def test_lines_say_how_much_is_done_how_fast_and_how_long_it_will_take(clock: Clock, capsys: Captured) -> None:
    with progress("scratch", 12_000) as advance:
        for seconds, amount in ((60, 3_000), (30, 1_000), (60, 2_000), (450, 6_000)):
            clock.seconds += seconds
            advance(amount)
    assert capsys.readouterr().err.splitlines() == [
        "scratch: 60 s so far, about 3 min to go (3,000 of 12,000 tokens, 50 per second)",
        "scratch: 2 min so far, about 2 min to go (6,000 of 12,000 tokens, 40 per second)",
        "scratch: 10 min so far, done (12,000 of 12,000 tokens, 20 per second)",
    ]


@pytest.mark.usefixtures("batch")
@pytest.mark.parametrize("pause", [0.5, 7, QUIET_SECONDS, 100])
def test_there_is_one_line_per_minute_at_most_and_a_last_one(clock: Clock, capsys: Captured, pause: float) -> None:
    spoken: list[float] = []
    with progress("asking", 1_000, unit="item") as advance:
        for _ in range(1_000):
            clock.seconds += pause
            advance(1)
            if capsys.readouterr().err:
                spoken.append(clock.seconds)
    assert all(later - earlier >= QUIET_SECONDS for earlier, later in pairwise(spoken[:-1]))
    assert len(spoken) >= 1_000 * pause // (QUIET_SECONDS + pause)
    assert spoken[-1] == clock.seconds


@pytest.mark.usefixtures("batch")
def test_work_of_less_than_a_minute_says_nothing(clock: Clock, capsys: Captured) -> None:
    with progress("evaluation", 59, unit="SAE") as advance:
        for _ in range(59):
            clock.seconds += 1
            advance(1)
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("batch")
def test_what_an_interrupted_run_has_done_counts_as_done_but_not_for_the_rate(clock: Clock, capsys: Captured) -> None:
    with progress("scratch", 1_000, done=400) as advance:
        clock.seconds += 100
        advance(100)
    assert capsys.readouterr() == (
        "",
        "scratch: 2 min so far, about 8 min to go (500 of 1,000 tokens, 1.0 per second)\n",
    )


@pytest.mark.usefixtures("batch")
def test_slow_work_has_the_time_of_each_in_place_of_a_rate_of_nought(clock: Clock, capsys: Captured) -> None:
    with progress("asking", 3, unit="request") as advance:
        clock.seconds += 61
        advance(0)  # nothing yet: no rate, no time to go
        clock.seconds += 269
        advance(1)
    assert capsys.readouterr().err == "asking: 6 min so far, about 11 min to go (1 of 3 requests, 6 min each)\n"


@pytest.mark.parametrize(
    ("rate", "words"),
    [(12_345.6, "12,346 per second"), (10, "10 per second"), (2.34, "2.3 per second"), (1, "1.0 per second"),
     (0.4, "2.5 s each"), (0.05, "20 s each"), (0.001, "17 min each"), (1e-4, "2 h 47 min each")],
)  # fmt: skip
def test_no_rate_is_nought(rate: float, words: str) -> None:
    assert rate_in_words(rate) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "60 s"),
        (99, "99 s"),
        (100, "2 min"),
        (3_600, "60 min"),
        (6_000, "1 h 40 min"),
        (86_400, "24 h 0 min"),
    ],
)
def test_times_are_in_words(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


@pytest.mark.usefixtures("batch")
@pytest.mark.parametrize("pause", [0, QUIET_SECONDS])
def test_no_work_and_a_clock_that_stands_still_are_no_errors(clock: Clock, capsys: Captured, pause: float) -> None:
    with progress("nothing", 0) as advance:
        clock.seconds += pause
    with progress("at once", 10) as advance:
        advance(10)
    assert capsys.readouterr() == ("", "")


def test_a_bar_goes_to_standard_error_and_leaves_no_trace_on_the_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.delenv("SAELIB_BATCH", raising=False)
    with progress("scratch", 10, done=4, unit="SAE") as advance:
        advance(6)
    out, err = capsys.readouterr()
    assert out == ""
    assert "scratch" in err and "4.00/10.0" in err
    assert err.split("\r")[-1].strip() == ""  # it is wiped when the work ends
