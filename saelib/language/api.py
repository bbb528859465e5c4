"""Language models behind an API, by Inspect AI: one model, and one evaluation that can be taken up again.

In: a model's name in Inspect AI, such as "openai/gpt-4o" or "openai-api/local/model", and an Inspect task. Out: logs.
Inspect sends the requests, tries again after 429, 500 and dropped connections, and writes each answer to a log at once:
a run that was killed asks only for what is missing when the same call is made again. Every request is taken from a
budget first (`metering`), and a silent server is given up (`patience`). Keys and addresses come from the environment
(`OPENAI_API_KEY`, `<NAME>_BASE_URL`), never from a parameter.
"""

import re
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.language.metering import metered
from saelib.language.request_budget import RequestBudget
from saelib.language.server_errors import guard
from saelib.run.secrets import keep_out_of_logs

if TYPE_CHECKING:
    from inspect_ai import Task
    from inspect_ai.model import Model

RETRIES = 10  # of one request, while others are answered; the OpenAI client tries three times in each
ATTEMPT_SECONDS = 300  # until a request without an answer is given up and sent again, at most
SHORTEST_ATTEMPT = 60  # seconds, for an answer of one token; slow servers write ten tokens a second
TOKENS_PER_SECOND = 10


def attempt_seconds(max_tokens: int | None) -> float:
    """Until a request is given up and sent again, for an answer of so many tokens at most; None is without limit."""
    if max_tokens is None:
        return ATTEMPT_SECONDS
    return min(ATTEMPT_SECONDS, SHORTEST_ATTEMPT + max_tokens / TOKENS_PER_SECOND)


def open_api_model(name: str) -> "Model":
    """A model of an API; nothing is sent yet.

    Args:
        name: in Inspect AI.

    Raises:
        RuntimeError: a key, an address or a package for the model is missing.
    """
    from inspect_ai._util.error import PrerequisiteError
    from inspect_ai.model import get_model

    try:
        # made anew: the environment may name another address than before
        return guard(get_model(name, memoize=False), attempt_seconds)
    except PrerequisiteError as error:
        reason = " ".join(re.sub(r"\[/?[a-z ]+\]", "", str(error.message)).split())  # without colours
        raise RuntimeError(f"{name}: {reason} Set it and run again; keys are never parameters.") from error


def run_eval_set(
    task: "Task", model: "Model", log_folder: Path, connections: int = 10, budget: RequestBudget | None = None
) -> list[str]:
    """Run a task as an Inspect evaluation set, which finds by name, version and sample id what its logs hold.

    Args:
        log_folder: may hold the logs of other tasks.
        connections: requests at a time.
        budget: of requests; without one there is no limit.

    Returns:
        Places of the task's logs. A sample without an answer after all retries is in them with its error; the same
        call asks for it again.

    Raises:
        KeyboardInterrupt: the run was interrupted.
    """
    from inspect_ai import eval_set
    from inspect_ai._util.logger import init_logger
    from IPython.utils.capture import capture_output

    counted = nullcontext() if budget is None else metered(model, budget)
    patience = getattr(guard(model, attempt_seconds).api, "patience")  # noqa: B009 (ours, not Inspect's)
    init_logger(None)  # makes Inspect's handlers, which write its trace folder
    keep_out_of_logs()
    # Inspect's closing line names the folder, and a notebook would store it.
    with counted, patience.watched(), capture_output(stderr=False):
        _, logs = eval_set(
            [task],
            log_dir=str(log_folder.resolve()),
            model=model,
            log_dir_allow_dirty=True,  # logs of other tasks may stand beside
            log_buffer=1,  # an answer is on disk as soon as it is there: a killed run loses only requests in flight
            log_realtime=False,  # no second copy of the answers in the user's home
            ctl_server=False,
            display="log",
            fail_on_error=True,  # a sample with an error is asked again by the next call
            continue_on_fail=True,  # one refused request keeps no other item from being answered
            retry_attempts=1,  # each request has its own retries; what failed after them is asked by the next call
            retry_immediate=False,
            max_connections=connections,
            max_retries=RETRIES,
        )
    if not logs:
        raise KeyboardInterrupt  # Inspect takes the signal for itself, and ends without a log to show
    return [log.location for log in logs]
