"""The one place in front of the network: every request to an API is taken from a budget before it leaves.

In: a model of Inspect AI and a `RequestBudget`. Out: for a while, nothing leaves without being counted. Two things are
counted. A call of the model takes one request, whatever the provider sends it with; Inspect calls again for each of its
retries. And what the provider's client sends beyond one request in a call (its own retries, redirects) takes one more
each, seen where the HTTP libraries hand a request to the network (`DOORS`). Clients that use none of these libraries
(gRPC) are counted by call.
"""

import functools
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from saelib.language.request_budget import RequestBudget, RequestsSpentError

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelOutput, ModelUsage

DOORS = (  # library, class and method that sends one request, whoever asked for it
    ("httpx", "AsyncHTTPTransport", "handle_async_request"),
    ("httpx", "HTTPTransport", "handle_request"),
    ("httpx2", "AsyncHTTPTransport", "handle_async_request"),  # openai from 3, anthropic from 1
    ("httpx2", "HTTPTransport", "handle_request"),
    ("aiohttp", "BaseConnector", "connect"),
    ("urllib3", "HTTPConnectionPool", "urlopen"),
)

_taken: ContextVar[list[None] | None] = ContextVar("taken", default=None)
"""What a call of the model took from the budget and its client has not sent yet: one request, or none."""


@contextmanager
def metered(model: "Model", budget: RequestBudget) -> Iterator[None]:
    """Take each request that leaves this process meanwhile from the budget.

    Calls of the model raise `RequestsSpentError` once it is spent: Inspect does not try again after it.
    """
    with ExitStack() as doors:
        doors.enter_context(_replaced(model.api, "generate", _counted_call(model, budget)))
        for library, owner, method in DOORS:
            if find_spec(library):  # imported here, as a client may do it only with its first request
                keeper = getattr(importlib.import_module(library), owner)
                doors.enter_context(_replaced(keeper, method, _door(getattr(keeper, method), str(model), budget)))
        yield


@contextmanager
def _replaced(owner: object, name: str, method: Callable[..., Any]) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, method)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _counted_call(model: "Model", budget: RequestBudget) -> Callable[..., Any]:
    ask, name, patience = model.api.generate, str(model), getattr(model.api, "patience", None)

    async def generate(*arguments: Any, **settings: Any) -> Any:
        if patience is not None:
            patience.begin()  # nothing is taken for a server that is given up
        budget.take(name)
        before = _taken.set([None])
        try:
            result = await ask(*arguments, **settings)
        except Exception as error:
            if spent := _spent_beneath(error):  # a client hides it in a connection error, which would be tried again
                raise RequestsSpentError(*spent.args) from error
            raise
        finally:
            _taken.reset(before)
        _note_tokens(result[0] if isinstance(result, tuple) else result, name, budget)
        return result

    return generate


def _door(send: Callable[..., Any], name: str, budget: RequestBudget) -> Callable[..., Any]:
    """A sending method, synchronous or not, that takes a request from the budget first."""

    @functools.wraps(send)
    def counted(*arguments: Any, **settings: Any) -> Any:
        taken = _taken.get()
        if taken:
            taken.pop()
        else:
            budget.take(name)
        return send(*arguments, **settings)

    return counted


def _note_tokens(output: "ModelOutput | Exception", name: str, budget: RequestBudget) -> None:
    if usage := getattr(output, "usage", None):
        budget.note_tokens(name, **tokens_of(usage))


def tokens_of(usage: "ModelUsage") -> dict[str, int]:
    """Input and output tokens; those that the server had in its cache count as input too."""
    cached = (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
    return {"input_tokens": usage.input_tokens + cached, "output_tokens": usage.output_tokens}


def _spent_beneath(error: BaseException) -> RequestsSpentError | None:
    """The error of a spent budget among the causes of an error."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, RequestsSpentError):
        cause = cause.__cause__ or cause.__context__
    return cause
