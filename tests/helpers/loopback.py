"""A server on loopback for as long as a test needs it."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from typing import Any, TypeVar

import pytest


class LoopbackServer(ThreadingHTTPServer):
    """Handlers that wait for the client to go away wait for `closing`."""

    daemon_threads = True
    closing: threading.Event

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Keep quiet about clients that went away."""


Server = TypeVar("Server", bound=LoopbackServer)


@contextmanager
def running(make: Callable[[], Server]) -> Iterator[Server]:
    """A server at work; the test is skipped where loopback cannot be bound."""
    try:
        server = make()
    except OSError as error:
        pytest.skip(f"127.0.0.1 cannot be bound ({error}): this test needs a server on loopback")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
