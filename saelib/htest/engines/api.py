"""Models behind an API: `api:<name in Inspect AI>`, such as "api:openai/gpt-4o" or "api:openai-api/local/model".

In: items, their prompts and the condition. Out: replies. Inspect AI sends the requests (`language.api`) and writes each
answer to a log at once: a run that was killed asks only for what is missing when the same call is made again. What a
run would cost is estimated before anything is sent, and no request leaves beyond the budget (`language.metering`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from typing import NamedTuple

from saelib.htest.asking.judge import JUDGE_TOKENS, judge_prompt
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition, Reply
from saelib.htest.config import API
from saelib.htest.engines.inspect_logs import import_logs
from saelib.htest.engines.log_files import check_logs, count_answers
from saelib.htest.items.item import Item
from saelib.language.api import open_api_model, run_eval_set
from saelib.language.request_budget import RequestBudget, RequestsSpentError
from saelib.language.server_errors import server_of
from saelib.run.reading import DamagedFileError

CHARACTERS_PER_TOKEN = 3  # English prose has about 4, short quoted lines fewer: rather too many tokens than too few


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
    limit, requests = condition.max_tokens, len(prompts) * condition.samples
    output = None if limit is None else requests * limit
    asked = sum(_tokens(condition.system) + _tokens(prompt.text) for prompt in prompts)
    cost = Cost(requests, condition.samples * asked, output)
    if not judged:
        return cost
    return cost._replace(
        judge_requests=requests,
        judge_input_tokens=None if output is None else requests * _tokens(judge_prompt("")) + output,
        judge_output_tokens=requests * JUDGE_TOKENS,
    )


def _tokens(text: str) -> int:
    return ceil(len(text) / CHARACTERS_PER_TOKEN)


@dataclass(frozen=True)
class ApiEngine:
    """An engine as `asking.replies.Engine` describes it, for one model of an API."""

    model: str
    """Its name in Inspect AI."""
    log_folder: Path
    """Where Inspect's logs are kept."""
    log_probabilities: bool = False
    """Ask for those of the first token."""
    budget: RequestBudget | None = None
    """Of requests; without one there is no limit."""

    def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        """Answers by `ask_api`, whose errors these are."""
        condition = replace(condition, model=API + self.model)
        replies = ask_api(items, prompts, condition, self.log_folder, self.log_probabilities, budget=self.budget)
        return [
            Answer(
                reply.reply,
                reply.log_probabilities,
                reply.usage,
                reply.condition.revision,
                problem=reply.problem,
            )
            for reply in replies
        ]


def answers_kept(items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition, log_folder: Path) -> int:
    """How many answers the logs hold of a call of `ask_api` that was killed: the same call does not pay for them again.

    Args:
        condition: its model is "api:" and a name in Inspect AI.
    """
    if not log_folder.is_dir():  # Inspect is not loaded for it
        return 0
    from saelib.htest.engines.inspect_tasks import make_task

    return count_answers(log_folder, str(make_task(items, prompts, condition).version))


def ask_api(
    items: Sequence[Item],
    prompts: Sequence[Prompt],
    condition: Condition,
    log_folder: Path,
    log_probabilities: bool = False,
    connections: int = 10,
    budget: RequestBudget | None = None,
) -> list[Reply]:
    """Replies of an API's model to items of one task, in their order; what the logs already hold is not asked again.

    With more samples than one, those of an item stand next to each other. Items that the server refuses or filters
    have a `Reply.problem`; the same call asks them again.

    Args:
        condition: its model is "api:" and a name in Inspect AI.
        log_folder: where Inspect's logs are kept; may hold those of other conditions.
        log_probabilities: ask for those of the first token; not every API gives them.
        connections: requests at a time.
        budget: of requests; without one there is no limit.

    Raises:
        RuntimeError: a key, an address or a package for the model is missing; nothing was sent.
        RequestsSpentError: the budget was spent before all items were answered; what was answered is kept.
        ValueError: items lack an answer after all retries, the server answered none of them (its reason is in the
            message), or a name does not begin in "api:".
        DamagedFileError: a log of an earlier call cannot be read; nothing was sent.
    """
    from saelib.htest.engines.inspect_tasks import make_task

    if not condition.model.startswith(API):
        raise ValueError(f"{condition.model!r} is no model of an API: write {API!r} before its name in Inspect AI")
    model = open_api_model(condition.model.removeprefix(API))  # a missing key is found before anything is paid for
    check_logs(log_folder)
    tasks = sorted({item.task for item in items})
    task = make_task(items, prompts, condition, "-".join(["htest", *tasks]), log_probabilities=log_probabilities)
    logs = run_eval_set(task, model, log_folder, connections, budget)
    try:
        return import_logs(logs)
    except DamagedFileError:
        raise
    except ValueError as error:
        if budget is not None and not budget.left:
            raise RequestsSpentError(
                f"{server_of(model)}: all of {budget.allowed} allowed requests were sent, those that failed too; what "
                f"was answered is kept and not asked again: allow more and repeat. {error}"
            ) from error
        raise ValueError(f"{server_of(model)}: {error}") from error
