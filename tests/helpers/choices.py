"""What an OpenAI-compatible server may answer besides a text: choices as the API writes them."""

from typing import Any

TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "classify", "arguments": "{}"}}


def tool_call(content: str | None = None) -> dict[str, Any]:
    """The model asks for a tool that nobody offered."""
    message = {"role": "assistant", "content": content, "tool_calls": [TOOL_CALL]}
    return {"finish_reason": "tool_calls", "message": message}


def filtered(content: str) -> dict[str, Any]:
    """A content filter speaks in the model's place."""
    return {"finish_reason": "content_filter", "message": {"role": "assistant", "content": content}}


def refused_by_the_model(refusal: str) -> dict[str, Any]:
    """A refusal as OpenAI marks it, beside the reply's own text."""
    return {"message": {"role": "assistant", "content": None, "refusal": refusal}}


def with_chances(content: str, **chances: float) -> dict[str, Any]:
    """A text with the log-probabilities of some first tokens."""
    tops = [{"token": token, "logprob": chance, "bytes": None} for token, chance in chances.items()]
    first = {"token": content, "logprob": chances.get(content, -9999.0), "bytes": None, "top_logprobs": tops}
    return {"message": {"role": "assistant", "content": content}, "logprobs": {"content": [first]}}
