"""Models behind an API: `api:<name in Inspect AI>`, such as "api:openai/gpt-4o" or "api:openai-api/local/model".

In: items, their prompts and the condition. Out: replies. Inspect AI sends the requests, tries again after 429, 500 and
dropped connections, and writes each answer to a log at once: a run that was killed asks only for what is missing when
the same call is made again. Keys and addresses come from the environment (`OPENAI_API_KEY`, `<NAME>_BASE_URL`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from saelib.htest.asking.judge import JUDGE_TOKENS, judge_prompt
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition, Reply
from saelib.htest.config import API
from saelib.htest.engines.inspect_logs import import_logs
from saelib.htest.items.item import Item

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model

CHARACTERS_PER_TOKEN = 3  # English prose has about 4, short quoted lines fewer: rather too many tokens than too few
RETRIES = 8  # waits of 3, 6, 12 ... seconds, about 13 minutes in all; the OpenAI client tries three times in each
ATTEMPT_SECONDS = 300  # until a request without an answer is given up and sent again


class Cost(NamedTuple):
    """What a run would ask for, before anything is sent."""

    requests: int
    input_tokens: int
    """Estimated from the characters."""
    output_tokens: int | None
    """At most; None where replies have no limit."""
    judge_requests: int = 0
    judge_input_tokens: int | None = 0
    """At most, with replies of the longest length."""
    judge_output_tokens: int = 0


def estimate_cost(prompts: Sequence[Prompt], condition: Condition, judged: bool = False) -> Cost:
    """What `ask_api` would ask for with these prompts.

    Args:
        judged: a judge reads the replies (chain of thought).
    """
    limit = condition.max_tokens
    output = None if limit is None else len(prompts) * limit
    cost = Cost(len(prompts), sum(_tokens(prompt.text) for prompt in prompts), output)
    if not judged:
        return cost
    return cost._replace(
        judge_requests=len(prompts),
        judge_input_tokens=None if output is None else len(prompts) * _tokens(judge_prompt("")) + output,
        judge_output_tokens=len(prompts) * JUDGE_TOKENS,
    )


def _tokens(text: str) -> int:
    return ceil(len(text) / CHARACTERS_PER_TOKEN)


@dataclass(frozen=True)
class ApiEngine:
    """An engine as `replies.Engine` describes it, for one model of an API."""

    model: str
    """Its name in Inspect AI."""
    log_folder: Path
    """Where Inspect's logs are kept."""
    log_probabilities: bool = False
    """Ask for those of the first token."""

    def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        """Answers by `ask_api`, whose errors these are."""
        condition = replace(condition, model=API + self.model)
        replies = ask_api(items, prompts, condition, self.log_folder, self.log_probabilities)
        return [
            Answer(reply.reply, reply.log_probabilities, reply.usage, reply.condition.revision) for reply in replies
        ]


def ask_api(
    items: Sequence[Item],
    prompts: Sequence[Prompt],
    condition: Condition,
    log_folder: Path,
    log_probabilities: bool = False,
    connections: int = 10,
) -> list[Reply]:
    """Replies of an API's model to items of one task, in their order; what the logs already hold is not asked again.

    Args:
        condition: its model is "api:" and a name in Inspect AI.
        log_folder: where Inspect's logs are kept; may hold those of other conditions.
        log_probabilities: ask for those of the first token; not every API gives them.
        connections: requests at a time.

    Raises:
        RuntimeError: a key, an address or a package for the model is missing; nothing was sent.
        ValueError: items lack an answer after all retries, or a name does not begin in "api:".
    """
    from saelib.htest.engines.inspect_tasks import make_task

    model = _model(condition.model)  # a missing key is found before anything is paid for
    tasks = sorted({item.task for item in items})
    task = make_task(items, prompts, condition, "-".join(["htest", *tasks]), log_probabilities=log_probabilities)
    replies = {reply.item.key: reply for reply in import_logs(_run(task, model, log_folder, connections))}
    return [replies[item.key] for item in items]


def _model(name: str) -> "Model":
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import get_model

    if not name.startswith(API):
        raise ValueError(f"{name!r} is no model of an API: write {API!r} before its name in Inspect AI")
    try:
        return get_model(name.removeprefix(API), memoize=False)  # the environment may name another address than before
    except PrerequisiteError as error:
        reason = " ".join(re.sub(r"\[/?[a-z ]+\]", "", str(error.message)).split())  # without colours
        raise RuntimeError(f"{name}: {reason} Set it and run again; keys are never parameters.") from error


def _run(task: "Task", model: "Model", log_folder: Path, connections: int) -> list[str]:
    """Run a task as an Inspect evaluation set, which finds by name, version and sample id what its logs hold."""
    from inspect_ai import eval_set
    from IPython.utils.capture import capture_output

    with capture_output(stderr=False):  # its closing line names the folder, and a notebook would store it
        _, logs = eval_set(
            [task],
            log_dir=str(log_folder.resolve()),
            model=model,
            log_dir_allow_dirty=True,  # logs of other conditions may stand beside
            log_buffer=1,  # an answer is on disk as soon as it is there: a killed run loses only requests in flight
            log_realtime=False,  # no second copy of the answers in the user's home
            ctl_server=False,
            display="log",
            continue_on_fail=True,  # one refused request keeps no other item from being answered
            retry_attempts=1,  # each request has its own retries; what failed after them is asked by the next call
            retry_immediate=False,
            max_connections=connections,
            max_retries=RETRIES,
            attempt_timeout=ATTEMPT_SECONDS,
        )
    if not logs:
        raise KeyboardInterrupt  # Inspect takes the signal for itself, and ends without a log to show
    return [log.location for log in logs]
