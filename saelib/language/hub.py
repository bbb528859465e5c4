"""The Hugging Face Hub with an end: whatever is asked of it comes, or fails, within a stated time.

In: a call of `huggingface_hub` or transformers. Out: what it gives. By themselves these libraries wait for ever for a
hub that accepts a connection and says nothing. Offline, nothing is tried: HF_HUB_OFFLINE=1.
"""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from saelib.language.patience import said_every
from saelib.run.progress import time_in_words
from saelib.run.secrets import clean_error, keep_out_of_logs

Given = TypeVar("Given")

SILENT_SECONDS = 10.0  # without a byte, in one try; downloads are taken up five times where they stopped
ANSWER_SECONDS = 60.0  # for names, commits and lists of files, all tries together


class HubError(OSError):
    """The hub did not give what was asked of it; the message says why, in a line and without keys."""


def ask_hub(what: str, call: Callable[[], Given]) -> Given:
    """What a short question to the hub gives, or nothing after `ANSWER_SECONDS`.

    Args:
        what: is asked for, in messages.

    Raises:
        HubError: no answer came in time.
        Exception: what `call` raises, without keys.
    """
    given: list[Given] = []
    errors: list[BaseException] = []

    def ask() -> None:
        try:
            given.append(call())
        except BaseException as error:  # noqa: BLE001 (raised below, in the thread that waits)
            errors.append(error)

    with fetching(what):
        asker = threading.Thread(target=ask, daemon=True)  # a hub that sends a byte now and then would hold it for ever
        asker.start()
        asker.join(ANSWER_SECONDS)
        if errors:
            raise errors[0]
        if not given:
            raise HubError(f"the hub did not answer within {time_in_words(ANSWER_SECONDS)}")
    return given[0]


@contextmanager
def fetching(what: str) -> Iterator[None]:
    """While something is fetched: no try lasts without end, it is said that one waits, and no key is in an error."""
    _end_silence()
    keep_out_of_logs()
    ended = threading.Event()
    watcher = threading.Thread(target=_say, args=[what, ended], daemon=True)
    watcher.start()
    try:
        yield
    except Exception as error:
        clean_error(error)
        raise
    finally:
        ended.set()
        watcher.join()


def network_errors() -> tuple[type[Exception], ...]:
    """What the hub's libraries raise where it cannot be reached or refuses."""
    import httpx2
    from huggingface_hub.errors import RevisionResolutionError

    return OSError, ValueError, RevisionResolutionError, httpx2.HTTPError


def _end_silence() -> None:
    """Give every request of huggingface_hub an end, whose client has none of its own."""
    from huggingface_hub.utils import _http

    make = getattr(_http, "default_client_factory")  # noqa: B009 (it is private)
    if getattr(_http, "_GLOBAL_CLIENT_FACTORY") is not make:  # noqa: B009
        return  # ours, or the user's own

    def with_an_end() -> Any:
        client = make()
        build, client.timeout = client.build_request, SILENT_SECONDS

        def build_request(*arguments: Any, **settings: Any) -> Any:
            if settings.get("timeout", 0) is None:  # as the library asks for most of its requests
                settings["timeout"] = SILENT_SECONDS
            return build(*arguments, **settings)

        client.build_request = build_request
        return client

    _http.set_client_factory(with_an_end)


def _say(what: str, ended: threading.Event) -> None:
    """Say on standard error, now and then, what is waited for."""
    from huggingface_hub import constants

    began = time.monotonic()
    while not ended.wait(said_every()):
        waited = time_in_words(time.monotonic() - began)
        print(f"{what}: waiting for the hub ({constants.ENDPOINT}) for {waited}", file=sys.stderr, flush=True)
