"""Why there is no reply: what a server or a filter says instead of the model, told apart from what the model says.

In: the error or the output of a request. Out: a problem, a text that begins with its kind, as in `Reply.problem`:
"refused: 400 ...", "filtered: ...", "tool call: ...". An item that a server will never answer counts as none, and
keeps no other item from being asked; a server that answers nobody, or an account that is closed or spent on the way,
is an error of the run.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from saelib.language.server_errors import PASSING, UnreadableAnswerError, causes, is_spent, status_of, words_of
from saelib.run.secrets import one_line

if TYPE_CHECKING:
    from inspect_ai.model import ModelOutput

REFUSED, FILTERED, TOOL_CALL = "refused", "filtered", "tool call"
OF_ALL = ("401", "402", "404", "405", "407", "410", "account spent")  # of key, account, address or model: no item's
MAYBE_OF_ALL = ("403", "unreadable")  # some servers say 403 of an item that their moderation dislikes
REMEDIES = {  # by what a refusal begins with
    "401": "check the key in the environment",
    "402": "the account has no money left: top it up or take another key",
    "account spent": "the account has no money left: top it up or take another key",
    "403": "check what the key may do, and from where",
    "404": "check the model's name and the address",
    "405": "check the address",
    "410": "check the model's name and the address",
    "unreadable": "check that the address is that of an API, such as http://host:8000/v1, and that the server is well",
}
ENOUGH = 10  # refusals without an answer among them, after which the rest is not sent


class NoReplyError(RuntimeError):
    """The model has not been heard; the message is the problem, and Inspect's log has it as it is."""

    def __init__(self, problem: str) -> None:
        """An error whose `message` is the problem."""
        super().__init__(problem)
        self.message = problem


class NoAnswerError(NoReplyError):
    """A request had no answer after all tries; the message is what was heard last."""


class NotSentError(RuntimeError):
    """A request that was not sent, since the server refused all before it."""


def refusal_of(error: BaseException) -> str | None:
    """A server's last word on a request, with its status; None for what may pass: faults, limits of rate, stalls."""
    error = last_word(error)
    if any(map(is_spent, causes(error))):
        return _problem(REFUSED, f"account spent: {words_of(error)}")
    if isinstance(error, UnreadableAnswerError):
        return _problem(REFUSED, str(error))
    statuses = [status for cause in causes(error) if (status := status_of(cause)) is not None]
    permanent = bool(statuses) and 400 <= statuses[-1] < 500 and statuses[-1] not in PASSING
    return _problem(REFUSED, words_of(error)) if permanent else None


def last_word(error: BaseException) -> BaseException:
    """The server's own error, where retries have put theirs around it."""
    attempt = getattr(error, "last_attempt", None)  # of the package tenacity
    return (attempt.exception() if attempt is not None else None) or error


def concerns_all(problem: str) -> bool:
    """Whether a refusal is about key, account, address or model, and never about the item."""
    return problem.startswith(tuple(f"{REFUSED}: {reason}" for reason in OF_ALL))


def may_concern_all(problem: str) -> bool:
    """Whether a refusal is about all items where no other one was answered."""
    return concerns_all(problem) or problem.startswith(tuple(f"{REFUSED}: {reason}" for reason in MAYBE_OF_ALL))


def remedy_of(problem: str) -> str:
    """What to do about a refusal of all."""
    reason = problem.removeprefix(f"{REFUSED}: ")
    found = (remedy for start, remedy in REMEDIES.items() if reason.startswith(start))
    return next(found, "look at the settings, the model's name and its limits")


def problem_of(output: "ModelOutput") -> str | None:
    """Why an output is no reply of the model, where it is none."""
    if output.empty:
        return _problem(REFUSED, output.error or "the answer holds no choice")
    choice = output.choices[0]
    if choice.stop_reason == "content_filter" or _is_marked_refusal(choice.message.content):
        return _problem(FILTERED, output.completion)
    if output.error or (choice.stop_reason == "model_length" and output.usage is None):  # a server's words
        return _problem(REFUSED, output.error or output.completion)
    if calls := choice.message.tool_calls:
        return _problem(TOOL_CALL, ", ".join(call.function for call in calls))
    return TOOL_CALL if choice.stop_reason == "tool_calls" else None


def may_be_asked_again(problem: str | None) -> bool:
    """Whether a problem is a server's or a filter's, which another day may not find."""
    return problem is not None and problem.startswith((REFUSED, FILTERED))


@dataclass
class Attendance:
    """Whether a server answers at all, and still does, over the requests of one task."""

    answered: bool = False
    refusals: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Refuse to send more to a server that has refused everything, or to an account that is closed by now.

        Raises:
            NotSentError: it has; the message has its first reason.
        """
        refusals = [problem for problem in self.refusals if concerns_all(problem)] if self.answered else self.refusals
        if len(refusals) >= ENOUGH:
            raise NotSentError(f"not sent, as {len(refusals)} were refused before it: {refusals[0]}")

    def hear(self, problem: str | None) -> None:
        """Note what came back."""
        if problem is not None and problem.startswith(REFUSED):
            self.refusals.append(problem)
        else:
            self.answered = True


def _problem(kind: str, said: str) -> str:
    """One line, of a length that a table can hold."""
    return f"{kind}: {one_line(said)}"


def _is_marked_refusal(content: object) -> bool:
    """Whether the API marks the text as a refusal, which OpenAI's does beside the reply's own text."""
    return isinstance(content, list) and any(getattr(part, "refusal", None) for part in content)
