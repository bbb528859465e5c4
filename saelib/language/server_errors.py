"""What a server says instead of an answer: kept without the user's keys, and not asked again where waiting is no help.

In: a model of Inspect AI. Out: the same model, whose errors can be logged and shown. Servers repeat a wrong key in
their messages, and Inspect writes those into logs that people share.
"""

import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inspect_ai.model import Model, ModelAPI

SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS", re.IGNORECASE)  # in names of environment variables
SHORTEST = 8  # signs of a key; what is shorter may stand in any sentence
SPENT = ("insufficient_quota", "billing_hard_limit_reached", "credit balance is too low")  # with status 429 or 400


def guard(model: "Model") -> "Model":
    """The model; from now on its errors hold no keys, and one about a spent account is not tried again."""
    api: ModelAPI = model.api
    ask, may_pass = api.generate, api.should_retry

    async def generate(*arguments: Any, **settings: Any) -> Any:
        try:
            result = await ask(*arguments, **settings)
        except Exception as error:
            _clean(error)
            raise
        output, call = result if isinstance(result, tuple) else (result, None)
        if isinstance(output, Exception):
            _clean(output)
        if call is not None and call.error:
            call.response = without_keys(call.response)
        return result

    api.generate = generate  # type: ignore[method-assign]
    api.should_retry = lambda ex: not is_spent(ex) and may_pass(ex)  # type: ignore[method-assign]
    return model


def is_spent(error: BaseException) -> bool:
    """Whether an error says that the account has no money left, which servers say like a limit of rate."""
    said = f"{getattr(error, 'code', '')} {getattr(error, 'body', '')} {error}".lower()
    return any(mark in said for mark in SPENT)


def without_keys(value: Any) -> Any:
    """A text, or lists and dicts of texts, with "[key]" in the place of each secret of the environment."""
    if isinstance(value, str):
        for secret in _secrets():
            value = value.replace(secret, "[key]")
        return value
    if isinstance(value, dict):
        return {name: without_keys(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(without_keys, value))
    return value


def _secrets() -> Iterator[str]:
    return (value for name, value in os.environ.items() if SECRET.search(name) and len(value) >= SHORTEST)


def _clean(error: BaseException | None) -> None:
    """Take keys out of an error and of those that it came from; their text is what logs and tracebacks show."""
    while error is not None:
        error.args = without_keys(error.args)
        for name in {"message", "body"} & vars(error).keys():  # of the packages of OpenAI and Anthropic
            setattr(error, name, without_keys(getattr(error, name)))
        error = error.__cause__ or error.__context__
