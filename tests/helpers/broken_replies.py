"""Replies of broken servers, byte by byte: what `FaultyProxy` writes for a fault that has one of these names.

In: a name of `BROKEN`. Out: the bytes that go over the wire, in the pieces in which they go, and whether the
connection is closed behind them or left hanging. A status of `FaultyProxy`, "drop" and "stall" are beside them.
"""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

PAGE = (
    b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title><style>p {color: red}</style></head>"
    b"<body><center><h1>502 Bad Gateway</h1></center><hr><p>nginx/1.24</p><script>alert(1)</script></body></html>"
)
WHOLE = json.dumps({
    "id": "1", "object": "chat.completion", "created": 0, "model": "served-1",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "A"}}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}).encode()  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """One reply on the wire."""

    pieces: Sequence[bytes]
    pause: float = 0.0
    """Seconds before each piece after the first."""
    hangs: bool = False
    """The connection stays open behind the last piece, until the client or the server goes away."""


def http_reply(status: str, kind: str, body: bytes, *headers: str, length: int | None = None) -> bytes:
    """A whole reply; `length` is what it says of its body, if that is not true."""
    length = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {length}", "retry-after-ms: 10",
             *headers, "", ""]  # fmt: skip
    return "\r\n".join(lines).encode() + body


def _json(value: object, status: str = "200 OK") -> Broken:
    return Broken([http_reply(status, "application/json", json.dumps(value).encode())])


def _error(status: str, message: str, **more: object) -> Broken:
    return _json({"error": {"message": message, **more}}, status)


def _head(**headers: str) -> bytes:
    return b"HTTP/1.1 200 OK\r\n" + "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()
                                            ).encode() + b"\r\n"  # fmt: skip


_CHUNK = b"%x\r\n%s\r\n" % (len(WHOLE) // 2, WHOLE[: len(WHOLE) // 2])
_JSON = {"Content_Type": "application/json"}

BROKEN: dict[str, Broken] = {
    # refusals, as the servers of the field write them
    "wrong key": _error("401 Unauthorized", "Incorrect API key provided.", code="invalid_api_key"),
    "forbidden": _error("403 Forbidden", "Your country is not supported"),
    "404 model": _error("404 Not Found", "The model `served-1` does not exist", code="model_not_found"),
    "404 path": Broken([http_reply("404 Not Found", "text/html", b"<html><h1>Not Found</h1>no such path</html>")]),
    "wrong method": _json({"detail": "Method Not Allowed"}, "405 Method Not Allowed"),
    "429 quota": _error("429 Too Many Requests", "You exceeded your current quota", code="insufficient_quota"),
    "rate limit": _error("429 Too Many Requests", "Rate limit reached for requests"),
    "dead engine": _error("500 Internal Server Error", "the engine is dead"),
    "500 text": Broken([http_reply("500 Internal Server Error", "text/plain", b"Internal Server Error")]),
    "502 page": Broken([http_reply("502 Bad Gateway", "text/html", PAGE)]),
    "loading": Broken([http_reply("503 Service Unavailable", "text/plain", b"loading the model", "Retry-After: 1")]),
    # answers that are none, with status 200
    "200 page": Broken([http_reply("200 OK", "text/html", PAGE)]),
    "no choices": _json({"id": "1", "object": "chat.completion", "choices": []}),
    "null choices": _json({"id": "1", "object": "chat.completion", "choices": None}),
    "null message": _json({"id": "1", "choices": [{"index": 0, "finish_reason": "stop", "message": None}]}),
    "error in 200": _error("200 OK", "the model is overloaded", code=502),
    "error text in 200": _json({"error": "CUDA out of memory"}),
    "a list": _json([]),
    "a text": _json("busy"),
    "nothing": Broken([http_reply("200 OK", "application/json", b"")]),
    "half a JSON": Broken([http_reply("200 OK", "application/json", WHOLE[:90])]),
    "not UTF-8": Broken([http_reply("200 OK", "application/json", WHOLE.replace(b'"A"', b'"\xff\xfe"'))]),
    "bad gzip": Broken([http_reply("200 OK", "application/json", gzip.compress(WHOLE)[:40], "Content-Encoding: gzip")]),
    # replies that stop
    "cut body": Broken([http_reply("200 OK", "application/json", WHOLE[:90], length=len(WHOLE))]),
    "cut chunks": Broken([_head(Transfer_Encoding="chunked", **_JSON) + _CHUNK]),
    "no HTTP": Broken([b"SSH-2.0-OpenSSH_9.6\r\n"]),
    "half a head": Broken([b"HTTP/1.1 200 OK\r\nContent-Ty"]),
    # replies that never end
    "stalled body": Broken([http_reply("200 OK", "application/json", WHOLE[:90], length=len(WHOLE))], hangs=True),
    "stalled chunks": Broken([_head(Transfer_Encoding="chunked", **_JSON) + _CHUNK], hangs=True),
    "a byte at a time": Broken([_head(Content_Length=str(len(WHOLE)), **_JSON), *(bytes([byte]) for byte in WHOLE)],
                               pause=0.2),
    "blanks for ever": Broken([_head(Transfer_Encoding="chunked", **_JSON), *([b"1\r\n \r\n"] * 10_000)], pause=0.05),
}  # fmt: skip
