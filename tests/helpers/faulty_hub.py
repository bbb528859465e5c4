"""A Hugging Face Hub on loopback with one file, that stalls or cuts its downloads on a schedule."""

import hashlib
import re
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.helpers.loopback import LoopbackServer, running

COMMIT = "1" * 40


class FaultyHub(LoopbackServer):
    """Answers for every repository that it holds `content`, under any name."""

    def __init__(self, content: bytes, faults: Sequence[str]) -> None:
        """Listen on a free port; each download meets the next fault: "cut", "stall", "echo" (of the key), or none."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.content, self.faults = content, list(faults)
        self.ranges: list[str | None] = []
        self.closing = threading.Event()


class _Handler(BaseHTTPRequestHandler):
    server: FaultyHub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(200, len(self.server.content))

    def do_GET(self) -> None:
        hub, asked = self.server, self.headers.get("Range")
        hub.ranges.append(asked)
        fault = hub.faults.pop(0) if hub.faults else ""
        start = int(re.sub(r"\D", "", asked)) if asked else 0
        content = hub.content[start:]
        if fault == "stall":
            hub.closing.wait()
        elif fault == "echo":
            words = f"not allowed: {self.headers.get('Authorization')}".encode()
            self._answer(403, len(words))
            self.wfile.write(words)
        else:
            self._answer(206 if asked else 200, len(content), start)
            self.wfile.write(content[: len(content) // 2] if fault == "cut" else content)
            self.close_connection = fault == "cut"

    def _answer(self, status: int, length: int, start: int = 0) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", f'"{hashlib.sha256(self.server.content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if status == 206:
            whole = len(self.server.content)
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def serve_hub(content: bytes = b"", faults: Sequence[str] = ()) -> AbstractContextManager[FaultyHub]:
    """A running hub; the test is skipped where loopback cannot be bound."""
    return running(lambda: FaultyHub(content, faults))
