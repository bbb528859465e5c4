"""What a server says instead of an answer: in its own words, without the user's keys, asked again where that may help.

In: a model of Inspect AI. Out: the same model, whose answers and errors can be stored and shown. Servers repeat a wrong
key in their messages, and Inspect writes those into logs that people share. A request without an answer is given up
after some time, and a server that answers none of them is, too (`patience`).
"""

import json
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from pydantic import ValidationError

from saelib.language.patience import Patience, ServerSilentError
from saelib.run.progress import time_in_words
from saelib.run.secrets import clean_error, keep_out_of_logs, one_line, without_keys

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelAPI

SPENT = ("insufficient_quota", "billing_hard_limit_reached", "credit balance is too low")  # with status 429 or 400
PASSING = frozenset({408, 409, 425, 429})  # of 400 to 499, those after which the same request may well be answered
# What a provider's package ends in over a 200 that holds no answer.
NO_ANSWER = (json.JSONDecodeError, UnicodeDecodeError, ValidationError, TypeError, LookupError, AttributeError)
NO_COMPLETION = "non-ChatCompletion"  # Inspect's word for such a 200
UNREACHED = ("ConnectError", "ConnectTimeout", "ClientConnectorError", "NewConnectionError")  # of HTTP libraries
LONGEST_WAIT = 60  # seconds between two tries of a request, which begin with 3


_came: ContextVar[Any] = ContextVar("came", default=None)
"""The last JSON that came with a 200 in this call."""


class UnreadableAnswerError(RuntimeError):
    """A server says that all is well, and sends something else than an answer."""

    def __init__(self, said: str, may_pass: bool = False) -> None:
        """An error with what the server said instead; `may_pass` where another try may be answered."""
        super().__init__(f"unreadable answer ({said})")
        self.may_pass = may_pass


class StalledError(TimeoutError):
    """A request that had no whole answer in time."""


def guard(model: "Model", seconds_for: Callable[[int | None], float]) -> "Model":
    """The model; from now on nothing that comes from it holds a key, and nothing waits for ever.

    An error about a spent account is not tried again.

    Args:
        seconds_for: until a request is given up, from the longest answer that it allows, in tokens.
    """
    api: ModelAPI = model.api
    if hasattr(api, "patience"):  # it is guarded
        return model
    guarded = _Guarded(model, seconds_for)
    keep_out_of_logs()
    if heard := getattr(api, "on_response", None):  # of what speaks OpenAI's language
        api.on_response = lambda response: (_came.set(response), heard(response))[1]  # type: ignore[attr-defined]
    api.patience = guarded.patience  # type: ignore[attr-defined]
    api.generate, api.retry_wait = guarded.generate, guarded.retry_wait  # type: ignore[method-assign]
    api.should_retry = guarded.should_retry  # type: ignore[method-assign]
    return model


class _Guarded:
    """What stands in for three methods of a model's API, and calls them."""

    def __init__(self, model: "Model", seconds_for: Callable[[int | None], float]) -> None:
        api = model.api
        self.ask, self.may_pass, self.wait = api.generate, api.should_retry, api.retry_wait
        self.seconds_for, self.patience = seconds_for, Patience(server_of(model))

    async def generate(self, *arguments: Any, **settings: Any) -> Any:
        """An answer, or what the server says instead, without keys."""
        self.patience.begin()
        _came.set(None)
        try:
            result = await self._in_time(*arguments, **settings)
        except Exception as error:
            clean_error(error)
            _note(self.patience, error)
            if _is_no_answer(error):
                raise _unreadable(error, _came.get()) from error
            raise
        finally:
            _clean_event()
        self.patience.answered()
        clean_error(result[0] if isinstance(result, tuple) and isinstance(result[0], Exception) else None)
        return without_keys(result)

    async def _in_time(self, *arguments: Any, **settings: Any) -> Any:
        seconds = min(self.seconds_for(settings["config"].max_tokens), self.patience.left)
        with anyio.move_on_after(seconds) as limit:
            result = await self.ask(*arguments, **settings)
        if limit.cancelled_caught:
            raise StalledError(f"no whole answer within {time_in_words(seconds)}")
        return result

    def should_retry(self, ex: Exception) -> Any:
        """Whether a request is sent again after an error, which Inspect calls so."""
        ours = _may_pass(ex)
        return self.may_pass(ex) if ours is None else ours

    def retry_wait(self) -> Any:
        """Between two tries; Inspect's own waits are up to half an hour."""
        from tenacity import wait_exponential_jitter

        return self.wait() or wait_exponential_jitter(multiplier=3, max=LONGEST_WAIT, jitter=3)


def _may_pass(error: BaseException) -> bool | None:
    """Whether another try may be answered, of the errors that the providers' packages do not know."""
    if isinstance(error, UnreadableAnswerError):
        return error.may_pass
    if isinstance(error, ServerSilentError) or is_spent(error):
        return False
    return True if isinstance(error, StalledError) else None


def _is_no_answer(error: Exception) -> bool:
    return isinstance(error, NO_ANSWER) or NO_COMPLETION in str(error)


def is_spent(error: BaseException) -> bool:
    """Whether an error says that the account has no money left, which servers say like a limit of rate."""
    said = f"{getattr(error, 'code', '')} {getattr(error, 'body', '')} {error}".lower()
    return any(mark in said for mark in SPENT)


def server_of(model: "Model") -> str:
    """A model's server in messages: "api:openai-api/local/served at http://127.0.0.1:8000/v1"."""
    api: Any = model.api
    address = urlsplit(str(getattr(api, "base_url", None) or getattr(getattr(api, "client", None), "base_url", "")))
    host = address.netloc.rpartition("@")[2]  # without a password, as the query may hold one too
    return f"api:{model}" + (f" at {address.scheme}://{host}{address.path}" if host else "")


def status_of(error: BaseException) -> int | None:
    """The HTTP status of an error, under the names that providers' packages give it; None without one."""
    values = (getattr(error, name, None) for name in ("status_code", "code"))
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool)), None)


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def words_of(error: BaseException) -> str:
    """What a server said in an error, in one short line: with its status, or with what cut the connection."""
    chain = list(causes(error))
    with_status = [cause for cause in chain if status_of(cause) is not None]
    if with_status:
        said = with_status[-1]  # the provider's own error, which Inspect's is about
        status, words = str(status_of(said)), one_line(_body(said))
        return words if status in words else f"{status} {words}".strip()
    while (beneath := chain[-1].__cause__ or chain[-1].__context__) and beneath not in chain:
        chain.append(beneath)
    first, last = one_line(str(error)), one_line(str(chain[-1]))
    return first if not last or last in first else f"{first} ({type(chain[-1]).__name__}: {last})"


def _body(error: BaseException) -> object:
    """What the server sent with a status."""
    body = getattr(error, "body", None)
    if isinstance(body, dict):
        return body.get("message") or body
    return body or getattr(getattr(error, "response", None), "text", "") or error


def _note(patience: Patience, error: Exception) -> None:
    """Whether an error is an answer to a request, though no good one."""
    status = status_of(error)
    if is_spent(error) or isinstance(error, NO_ANSWER) or (status and 400 <= status < 500 and status not in PASSING):
        patience.answered()
    else:
        patience.failed(words_of(error), was_reached=status is not None or not _is_unreached(error))


def _is_unreached(error: BaseException) -> bool:
    """Whether no connection was made: the address is wrong, or nothing listens there."""
    return any(type(cause).__name__ in UNREACHED for cause in causes(error))


def _unreadable(error: Exception, came: Any) -> UnreadableAnswerError:
    """What the server sent with its 200: in an error, or, where it was JSON, in `came`."""
    came = {name: part for name, part in came.items() if part is not None} if isinstance(came, dict) else {}
    problem, is_other = came.get("error"), NO_COMPLETION in str(error)
    code, message = (problem.get("code"), problem.get("message")) if isinstance(problem, dict) else (None, problem)
    may_pass = is_other or str(code) in map(str, (*PASSING, *range(500, 600)))
    if message:
        return UnreadableAnswerError(one_line(f"200, and in it an error: {code or ''} {message}"), may_pass)
    shown = json.dumps(came, ensure_ascii=False) if came else getattr(error, "doc", None)
    if shown:
        return UnreadableAnswerError(f"200 with {one_line(shown):.200}", may_pass)
    kind = "" if is_other else f"{type(error).__name__}: "
    return UnreadableAnswerError(one_line(f"200, {kind}{error}"), may_pass)


def _clean_event() -> None:
    """Take keys out of Inspect's record of the call that is under way, which goes into its log."""
    from inspect_ai.log import _samples

    event = getattr(_samples, "_active_model_event").get()  # noqa: B009 (it is private)
    for name in ("call", "output", "request_ids") if event is not None else ():
        setattr(event, name, without_keys(getattr(event, name)))
