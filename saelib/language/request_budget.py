"""What may be sent to APIs and what was sent: a budget that a killed process, a retry or a second notebook cannot pass.

In: how many requests are allowed, and the file that keeps account. Out: `take`, which writes a request down before it
leaves or refuses it. The file is JSON lines, `{"model": ..., "sent": ...}` for each request, and for each answer
`{"model": ..., "input_tokens": ..., "output_tokens": ...}`; processes that share it take turns.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from saelib.run.files import naming_full_disk

USAGE = ("requests", "input_tokens", "output_tokens")


class RequestsSpentError(PermissionError):
    """The budget is spent; this request was not sent."""


class RequestBudget:
    """Requests that may be sent, those that failed and were sent again included."""

    def __init__(self, allowed: int, path: Path | None = None) -> None:
        """A budget of `allowed` requests; without a file, the account ends with this process."""
        self.allowed, self.path = allowed, path
        self._usage: dict[str, dict[str, int]] = {}
        self._read = 0  # bytes of the file that are counted already
        self._is_torn = False  # its last line, by a kill
        self._one_thread = threading.Lock()

    @property
    def sent(self) -> int:
        """Requests that have left, whatever came back."""
        return sum(of_model["requests"] for of_model in self.usage.values())

    @property
    def left(self) -> int:
        """Requests that may still leave."""
        return max(0, self.allowed - self.sent)

    @property
    def usage(self) -> dict[str, dict[str, int]]:
        """By model in Inspect AI: requests sent, and the tokens that the answers say were used (`USAGE`)."""
        with self._one_thread:
            self._count_new_lines()
            return {model: dict(counts) for model, counts in self._usage.items()}

    def take(self, model: str) -> None:
        """Write down that a request leaves now.

        Raises:
            RequestsSpentError: none is left; nothing must be sent.
        """
        with self._turn():
            sent = sum(of_model["requests"] for of_model in self._usage.values())
            if sent >= self.allowed:
                raise RequestsSpentError(f"{sent} of {self.allowed} allowed requests were sent; {model} gets no other")
            self._note({"model": model, "sent": datetime.now(UTC).isoformat(timespec="milliseconds")})

    def note_tokens(self, model: str, input_tokens: int, output_tokens: int) -> None:
        """Write down what an answer says that it used."""
        with self._turn():
            self._note({"model": model, "input_tokens": input_tokens, "output_tokens": output_tokens})

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Have the account to oneself, with what others wrote meanwhile."""
        with self._one_thread:
            if self.path is None:
                yield
                return
            with naming_full_disk(self.path):
                self.path.parent.mkdir(parents=True, exist_ok=True)
                lock = FileLock(self.path.with_suffix(".lock")).acquire()
            with lock:
                self._count_new_lines()
                yield

    def _note(self, line: dict[str, Any]) -> None:
        if self.path is None:
            self._add(line)
            return
        with naming_full_disk(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write("\n" * self._is_torn + json.dumps(line) + "\n")
        self._count_new_lines()

    def _count_new_lines(self) -> None:
        if self.path is None or not self.path.is_file():
            return
        with self.path.open("rb") as file:
            file.seek(self._read)
            new = file.read()
        self._read += len(new)
        self._is_torn = not new.endswith(b"\n") if new else self._is_torn
        for line in filter(None, new.split(b"\n")):
            try:
                self._add(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError):  # a damaged line may have been a request
                self._add({"model": "?", "sent": ""})

    def _add(self, line: dict[str, Any]) -> None:
        counts = self._usage.setdefault(line["model"], dict.fromkeys(USAGE, 0))
        if "sent" in line:
            counts["requests"] += 1
        else:
            counts["input_tokens"] += line["input_tokens"]
            counts["output_tokens"] += line["output_tokens"]
