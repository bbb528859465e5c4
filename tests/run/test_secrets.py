"""No key of the user's stays in a text, an error or a log record, however a server writes it."""

import base64
import html
import json
import logging
from urllib.parse import quote

import pytest
from pydantic import BaseModel

from saelib.run.secrets import clean_error, keep_out_of_logs, without_keys

KEY = "sk-a/b+c=<0123456789>&é"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)


def test_secrets_of_the_environment_are_taken_out_wherever_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("SHORT_KEY", "key")  # would be in any sentence
    monkeypatch.setenv("PLAIN", "a plain value")
    found = without_keys({"error": [f"wrong key {KEY}", ("hf_0123456789", 401)], "code": None, KEY: KEY.encode()})
    assert found["error"] == ["wrong key [key]", ("[key]", 401)]
    assert found["code"] is None and found["[key]"] == b"[key]"
    assert without_keys(b"\xff" + KEY.encode() + b"\xfe") == b"\xff[key]\xfe"
    assert without_keys("a plain value, no key") == "a plain value, no key"


@pytest.mark.parametrize("write", [
    str, quote, lambda key: quote(key, safe=""), lambda key: quote(key, safe="").lower(), html.escape,
    lambda key: json.dumps(key)[1:-1], lambda key: json.dumps(key).replace("/", "\\/")[1:-1],
    lambda key: "".join(f"&#{ord(sign)};" for sign in key), lambda key: "".join(f"\\u{ord(sign):04X}" for sign in key),
    lambda key: f"x{key}x",
])  # fmt: skip
def test_every_way_of_writing_a_key_is_known(write) -> None:
    assert without_keys(f"wrong: {write(KEY)}.").replace("x[key]x", "[key]") == "wrong: [key]."


@pytest.mark.parametrize("around", ["", "u:", "us:", "user:", "a longer one:"])
@pytest.mark.parametrize("behind", ["", "a", "ab"])
def test_base64_is_known_whatever_stands_around(around: str, behind: str) -> None:
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        written = encode(f"{around}{KEY}{behind}".encode()).decode()
        assert "[key]" in without_keys(f"Basic {written}")
        assert len(written) - len(without_keys(written)) > len(KEY), "at most the ends are left"


def test_a_header_and_a_proxy_have_their_secret_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("X_AUTHORIZATION", "Bearer abcdefgh-1")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass-word-1@proxy:8080")
    assert without_keys("abcdefgh-1, Bearer abcdefgh-1; pass-word-1") == "[key], [key]; [key]"


class Part(BaseModel, extra="allow"):
    text: str


def test_models_are_cleaned_in_their_place() -> None:
    part = Part.model_validate({"text": KEY, "more": {"deep": [KEY]}})
    assert without_keys([part])[0] is part
    assert part.model_dump() == {"text": "[key]", "more": {"deep": ["[key]"]}}


def test_errors_are_cleaned_with_those_that_they_came_from() -> None:
    first = OSError(5, f"no {KEY}", f"/tmp/{KEY}")
    first.add_note(f"note {KEY}")
    second = UnicodeDecodeError("utf-8", b"abc", 0, 1, f"why {KEY}")
    group = ExceptionGroup("both", [first, ValueError({"body": [KEY]})])
    second.__cause__ = group
    first.__context__ = second  # a circle, as a wrong use of errors makes
    clean_error(second)
    shown = [f"{error!r}{error}{getattr(error, '__notes__', None)}" for error in (second, *group.exceptions)]
    assert KEY not in "".join(shown)
    assert "[key]" in str(first)


def test_no_log_record_holds_a_key(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("some.library")
    keep_out_of_logs()
    keep_out_of_logs()
    try:
        raise ValueError(KEY)
    except ValueError:
        logger.exception("at %s", f"http://host/{KEY}", extra={"detail": KEY})
    (record,) = caplog.records
    assert (record.getMessage(), vars(record)["detail"]) == ("at http://host/[key]", "[key]")
    assert KEY not in caplog.text
