"""How long a server that does not answer is waited for, and what is said meanwhile.

In: what comes back of all requests to one server. Out: whether another one is sent. A single request is given up after
some time and sent again; once the server has answered none of them for `seconds`, nothing more is sent. A server that
was never reached, as its name or port is wrong, is given up sooner.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from saelib.run.progress import QUIET_SECONDS, time_in_words

VARIABLE = "SAELIB_PATIENCE"  # in the environment: seconds
SECONDS = 600.0  # without any answer: an outage that is over by then costs nothing but time
UNREACHED_SECONDS = 30.0  # without any connection from the beginning on
SAID_EVERY = 10.0  # seconds, where a person watches


class ServerSilentError(TimeoutError):
    """A server has not answered for so long that nothing more is sent to it."""


class Patience:
    """With one server, over all requests to it, whichever thread or task sends them."""

    def __init__(self, server: str, seconds: float | None = None) -> None:
        """Patience for a server with this name; of `SAELIB_PATIENCE` or else `SECONDS` if none is given.

        Raises:
            ValueError: `SAELIB_PATIENCE` is no number of seconds.
        """
        self.server, self.seconds = server, patience_seconds() if seconds is None else seconds
        self.is_reached = False
        self._since: float | None = None  # last sign of life, or the first request
        self._last, self._failures, self._given_up = "", 0, ""

    @property
    def silent(self) -> float:
        """Seconds without an answer."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    @property
    def left(self) -> float:
        """Seconds until the server is given up, if it goes on so."""
        return max(0.0, self.seconds - self.silent)

    def begin(self) -> None:
        """A request is about to be sent.

        Raises:
            ServerSilentError: the server is given up.
        """
        if self._given_up:
            raise ServerSilentError(self._given_up)
        self._since = self._since or time.monotonic()

    def answered(self) -> None:
        """The server has answered a request, if only by a refusal."""
        self._since, self._failures, self.is_reached = time.monotonic(), 0, True

    def failed(self, reason: str, was_reached: bool) -> None:
        """A request got no answer.

        Raises:
            ServerSilentError: there has been none for too long.
        """
        self.is_reached |= was_reached
        self._last, self._failures = reason, self._failures + 1
        bears = self.seconds if self.is_reached else min(self.seconds, UNREACHED_SECONDS)
        if self.silent >= bears - 0.01:  # an attempt ends when what is left does, and clocks are not exact
            state = "gave no answer" if self.is_reached else "could not be reached"
            self._given_up = (
                f"{self.server} {state} for {time_in_words(self.silent)} ({self._failures} requests failed; the last: "
                f"{reason}), so nothing more is sent; see whether it works and run the same call again, which keeps "
                f"what was answered ({VARIABLE}=seconds in the environment waits longer, now {self.seconds:g})"
            )
            raise ServerSilentError(self._given_up)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Say on standard error, now and then, that nothing comes; in batch at most once a minute."""
        self._since, ended = None, threading.Event()
        watcher = threading.Thread(target=self._watch, args=[ended], daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _watch(self, ended: threading.Event) -> None:
        every, said = said_every(), 0.0
        while not ended.wait(min(1.0, every)):
            if self._given_up or self.silent < every:
                said = 0.0
            elif self.silent >= said + every:
                said, last = self.silent, f" (the last: {self._last})" if self._failures else ""
                print(f"{self.server}: no answer for {time_in_words(said)}{last}; given up after "
                      f"{time_in_words(self.seconds)} without any", file=sys.stderr, flush=True)  # fmt: skip


def said_every() -> float:
    """Seconds between lines that say that one waits: a minute in batch, as for all progress."""
    return QUIET_SECONDS if os.environ.get("SAELIB_BATCH") else SAID_EVERY


def patience_seconds() -> float:
    """How long a silent server is borne, by the environment or else `SECONDS`.

    Raises:
        ValueError: the variable is no positive number.
    """
    said = os.environ.get(VARIABLE, "").strip()
    try:
        seconds = float(said or SECONDS)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ValueError(f"{VARIABLE}={said!r} in the environment is no number of seconds above 0, such as 600")
    return seconds
