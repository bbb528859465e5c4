"""What asking the API models would cost, before anything is sent: the dry run.

In: a study and the numbers of shots. Out: requests and tokens that are still missing, and which models may be asked
within the config's `api_requests`. Prices differ by provider and day: multiply the tokens by today's.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from saelib.htest.config import API, expand
from saelib.htest.engines.api import estimate_cost
from saelib.htest.stages import condition_of, forms_of, missing_prompts
from saelib.htest.study import Study

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["model", "k", "requests", "input_tokens", "output_tokens"]


def api_cost(
    study: Study,
    models: Sequence[str],
    shots: Sequence[int],
    item_sets: Sequence[str] | None = None,
    others: bool = True,
) -> "pd.DataFrame":
    """Requests that have no stored reply yet, by model and number of shots; without rows where no API is asked.

    Columns: model, k, requests, input_tokens (estimated from the characters), output_tokens (at most). Where a killed
    run left answers in its logs, their requests are not counted, while their tokens are.

    Args:
        item_sets: sets of items; all that the run has if not given.
        others: in `other_forms` too, as for the main table.
    """
    import pandas as pd

    sets = item_sets or study.item_sets
    paid = [model for model in expand(tuple(models)) if model.startswith(API)]
    return pd.DataFrame([_row(study, model, k, sets, others) for model in paid for k in shots], columns=COLUMNS)


def affordable(study: Study, models: Sequence[str], cost: "pd.DataFrame") -> tuple[list[str], list[str]]:
    """Models that may be asked, in their order, and those left out because `api_requests` does not allow them.

    Models on this machine always may. API models may while the sum of their requests stays within the budget.

    Args:
        cost: what `api_cost` gave for these models.
    """
    asked: list[str] = []
    left_out: list[str] = []
    left = study.requests_left
    for model in expand(tuple(models)):
        requests = int(cost.loc[cost["model"] == model, "requests"].sum())
        (asked if requests <= left else left_out).append(model)
        left -= requests if requests <= left else 0
    return asked, left_out


def _row(study: Study, model: str, k: int, item_sets: Sequence[str], others: bool) -> dict[str, object]:
    respondent = study.respondent(model)
    requests = inputs = outputs = 0
    for form, limit in forms_of(study.config, respondent.form, others).items():
        condition = condition_of(study, respondent, form, k)
        prompts = []
        for item_set in item_sets:
            for task in study.tasks_of(item_set):
                items, missing = missing_prompts(study, condition, item_set, task, limit)
                requests += study.requests_for(respondent, items, missing, condition)
                prompts += missing
        cost = estimate_cost(prompts, condition)
        inputs, outputs = inputs + cost.input_tokens, outputs + (cost.output_tokens or 0)
    return dict(zip(COLUMNS, (model, k, requests, inputs, outputs), strict=True))
