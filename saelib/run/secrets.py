"""Keys of the user, and texts without them: a server that repeats a key must not get it into a file or onto a screen.

In: texts, nested values, errors and log records from outside. Out: the same with "[key]" in the place of each secret.
Secrets are the values of environment variables whose names say so, what follows "Bearer" in them, and passwords in
addresses such as a proxy's. They are known as they are, percent-encoded, escaped as in JSON or HTML, and in base64.
"""

import base64
import functools
import html
import logging
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS|AUTHORIZATION", re.IGNORECASE)  # in variables' names
SCHEME = re.compile(r"(?:bearer|basic|token)\s+", re.IGNORECASE)  # before the key, in a header's value
PASSWORD = re.compile(r"[a-z][a-z0-9+.-]*://[^/@\s:]*:([^/@\s]+)@", re.IGNORECASE)
SHORTEST = 8  # signs of a key; what is shorter may stand in any sentence
IN_ITS_PLACE = "[key]"
LONGEST_LINE = 500  # signs of a text from outside in a message
NOT_READ = re.compile(r"<(script|style|title)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>", re.IGNORECASE | re.DOTALL)


def without_keys(value: Any) -> Any:
    """A text, bytes, or lists and dicts of them, without secrets; pydantic models are changed in their place."""
    if not (pattern := _pattern(tuple(sorted(set(_secrets()), key=len, reverse=True)))):
        return value
    return _without(value, pattern)


def one_line(said: object) -> str:
    """A text from outside without the marks of a page, without signs that a terminal obeys, without keys, cut short."""
    text = str(without_keys(str(said)))
    if "<" in text:
        text = html.unescape(NOT_READ.sub(" ", text))
    text = "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(text.split()))
    return f"{text[:LONGEST_LINE]}..." if len(text) > LONGEST_LINE else text


def clean_error(error: BaseException | None) -> None:
    """Take keys out of an error and of those that it came from; their text is what logs and tracebacks show."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop()
        if found is None or id(found) in seen:
            continue
        seen.add(id(found))
        for name in ("args", "strerror", "filename", "object", "reason", *vars(found)):
            value = getattr(found, name, None)
            with suppress(AttributeError, TypeError):  # some are for reading only
                if not isinstance(value, BaseException) and (cleaned := without_keys(value)) != value:
                    setattr(found, name, cleaned)
        waiting += [found.__cause__, found.__context__, *getattr(found, "exceptions", ())]


def keep_out_of_logs() -> None:
    """See that no record with a key passes the handlers that there are now; call it again when others have come."""
    named = [logger for logger in logging.root.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    for handler in [logging.lastResort, *(handler for logger in [logging.root, *named] for handler in logger.handlers)]:
        if handler is not None:
            handler.addFilter(_clean_record)  # adds it once


def _clean_record(record: logging.LogRecord) -> bool:
    message = record.getMessage()
    if (cleaned := without_keys(message)) != message:
        record.msg, record.args = cleaned, None
    for name, value in vars(record).items():
        if isinstance(value, str | dict | list):
            setattr(record, name, without_keys(value))
    if record.exc_info:
        clean_error(record.exc_info[1])
    return True


def _without(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(IN_ITS_PLACE, value)
    if isinstance(value, bytes):
        return pattern.sub(IN_ITS_PLACE, value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    if isinstance(value, dict):
        return {_without(name, pattern): _without(part, pattern) for name, part in value.items()}
    if isinstance(value, list):
        return [_without(part, pattern) for part in value]
    if type(value) is tuple:
        return tuple(_without(part, pattern) for part in value)
    if isinstance(value, BaseModel):
        for name, part in vars(value).items():
            vars(value)[name] = _without(part, pattern)
        for name, part in (value.model_extra or {}).items():
            (value.model_extra or {})[name] = _without(part, pattern)
    return value


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        found = PASSWORD.findall(value)
        if SECRET.search(name):
            found += [value.strip(), SCHEME.sub("", value.strip(), count=1)]
        yield from (secret for secret in found if len(secret) >= SHORTEST)


@functools.lru_cache(maxsize=8)
def _pattern(secrets: tuple[str, ...]) -> re.Pattern[str] | None:
    """Any of the secrets in any of its forms; None without secrets."""
    forms = ["".join(map(_forms_of_sign, secret)) for secret in secrets]
    forms += [re.escape(form) for secret in secrets for form in _base64_forms(secret)]
    return re.compile("|".join(forms)) if forms else None


def _forms_of_sign(sign: str) -> str:
    """A sign as it is, escaped by a backslash, as percent-encoded bytes, as a JSON escape, or as an HTML entity."""
    percent = "".join(f"%{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape"))
    forms = (rf"\\?{re.escape(sign)}", rf"(?i:{percent})", rf"(?i:\\u{ord(sign):04x})", rf"(?i:\\x{ord(sign):02x})",
             re.escape(html.escape(sign)), rf"&#0*{ord(sign)};", rf"(?i:&#x0*{ord(sign):x};)")  # fmt: skip
    return f"(?:{'|'.join(forms)})"


def _base64_forms(secret: str) -> Iterator[str]:
    """What base64 makes of a secret, whatever stands before and behind it: the signs that depend on it alone."""
    content = secret.encode("utf-8", "surrogateescape")
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + content).decode()
        first, bits = -(-before * 8 // 6), (before + len(content)) * 8
        alone = whole[first : bits // 6]
        yield from {alone, alone.replace("+", "-").replace("/", "_")}
