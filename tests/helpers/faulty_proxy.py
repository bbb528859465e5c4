"""An OpenAI-compatible server on loopback that fails on a schedule, in front of a real server or of a function.

Which faults a prompt meets depends on the prompt alone, so that a test does not depend on the order of requests.
"""

import json
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from types import MappingProxyType
from typing import Any
from urllib.request import Request, urlopen

from tests.helpers.broken_replies import BROKEN, Broken
from tests.helpers.loopback import LoopbackServer, running

NO_FAULTS: tuple[tuple[str, ...], ...] = ((),)
FAULTS: tuple[tuple[str, ...], ...] = ((), ("429",), ("500", "drop"), ("drop", "429"), ("500",))
Upstream = str | Callable[[str], str | dict[str, Any]]


class FaultyProxy(LoopbackServer):
    """Counts what it was asked and what was completed, that is paid for, by prompt."""

    def __init__(self, upstream: Upstream, faults: Sequence[Sequence[str]] = FAULTS, paid_until: int | None = None):
        """Listen on a free port of loopback.

        Args:
            upstream: address of the real server, or a function from the prompt to the reply: its text, or a choice as
                the API writes it.
            faults: for the first attempts of a prompt; each prompt meets one of these lists, of a status, "drop",
                "stall" (no answer until the client goes away), "redirect", or a name of `BROKEN`.
            paid_until: as many completions; every later request is left hanging, until the client goes away.
        """
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream, self.faults, self.paid_until = upstream, faults, paid_until
        self.error = json.dumps({"error": {"message": "a fault on schedule"}}).encode()
        self.attempts: Counter[str] = Counter()
        self.completions: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str | None] = set()
        self.lock = threading.Lock()
        self.closing = threading.Event()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, *_: Any) -> None:
        """Keep quiet about clients that went away; a killed one does."""

    def next_fault(self, prompt: str) -> str | None:
        """What happens to this attempt; None lets it pass."""
        with self.lock:
            schedule = self.faults[zlib.crc32(prompt.encode()) % len(self.faults)]
            attempt = self.attempts[prompt]
            self.attempts[prompt] += 1
            return schedule[attempt] if attempt < len(schedule) else None

    def pay(self, prompt: str) -> bool:
        """Count a completion; False where no more are wanted."""
        with self.lock:
            if self.paid_until is not None and self.completions.total() >= self.paid_until:
                return False
            self.completions[prompt] += 1
            return True

    def complete(self, body: bytes, prompt: str) -> bytes:
        if isinstance(self.upstream, str):
            request = Request(f"{self.upstream}/chat/completions", body, {"Content-Type": "application/json"})
            with urlopen(request, timeout=60) as response:
                return bytes(response.read())
        said = self.upstream(prompt)
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}
        choice |= said if isinstance(said, dict) else {}
        usage = {"prompt_tokens": len(prompt), "completion_tokens": 1, "total_tokens": len(prompt) + 1}
        completion = {"id": "1", "object": "chat.completion", "created": 0, "model": "served-1", "choices": [choice]}
        return json.dumps(completion | {"usage": usage}).encode()


class _Handler(BaseHTTPRequestHandler):
    server: FaultyProxy
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(raw)
        prompt = body["messages"][-1]["content"]
        with self.server.lock:
            self.server.bodies.append(body)
            self.server.keys.add(self.headers["Authorization"])
        fault = self.server.next_fault(prompt)
        if fault == "drop":
            self.close_connection = True
        elif fault == "stall":
            self.server.closing.wait()
        elif fault == "redirect":
            self._answer(307, b"", {"Location": f"{self.server.address}/chat/completions"})
        elif fault in BROKEN:
            self._break(BROKEN[fault])
        elif fault is not None:
            self._answer(int(fault), self.server.error)
        elif self.server.pay(prompt):
            self._answer(200, self.server.complete(raw, prompt))
        else:
            self.server.closing.wait()

    def _answer(self, status: int, content: bytes, headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("retry-after-ms", "10")  # else the client waits for half a second and more
        self.end_headers()
        self.wfile.write(content)

    def _break(self, broken: Broken) -> None:
        """Write a reply of a broken server; a client that went away ends it."""
        self.close_connection = True
        for number, piece in enumerate(broken.pieces):
            if number and self.server.closing.wait(broken.pause):
                return
            self.wfile.write(piece)
            self.wfile.flush()
        if broken.hangs:
            self.server.closing.wait()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def serve(upstream: Upstream, **options: Any) -> AbstractContextManager[FaultyProxy]:
    """A running proxy; the test is skipped where loopback cannot be bound."""
    return running(lambda: FaultyProxy(upstream, **options))
