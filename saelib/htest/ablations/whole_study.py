"""What a whole study would still send to APIs: the dry run of all its notebooks, ablations and judge included.

In: a study. Out: a table, one row for each stage, model and number of shots that an API is asked for. Nothing is sent,
and no model on this machine is loaded. A prompt that two stages share is asked once, and counted once.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from saelib.htest.ablations.chain_of_thought import missing_verdicts
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Condition
from saelib.htest.config import API, expand
from saelib.htest.engines.api import estimate_cost
from saelib.htest.items.item import select
from saelib.htest.respondents import Respondent
from saelib.htest.stages import condition_of, forms_of, missing_prompts
from saelib.htest.study import Study
from saelib.htest.tasks import LETTER_GEOMETRY

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["stage", "model", "k", "requests", "input_tokens", "output_tokens"]


class Part(NamedTuple):
    """Items of one set that a stage asks under one condition."""

    stage: str
    respondent: Respondent
    condition: Condition
    item_set: str
    tasks: Sequence[str]
    limit: int


def study_cost(study: Study) -> "pd.DataFrame":
    """Requests without a stored reply, in the order of the notebooks; without rows where no API is asked.

    Columns: stage, model, k, requests (samples counted), input_tokens (estimated from the characters; of a judge, at
    most), output_tokens (at most).
    """
    import pandas as pd

    rows = [*_asked(study), *_judged(study)]
    sums = pd.DataFrame(rows, columns=COLUMNS).groupby(COLUMNS[:3], sort=False, as_index=False).sum()
    return sums[sums["requests"] > 0].reset_index(drop=True)


def parts_of(study: Study) -> Iterator[Part]:
    """What the notebooks 31 to 35 ask of APIs."""
    config, first, most = study.config, study.item_sets[0], max(study.config.ablation_shots)
    for respondent in _paid(study, config.models):
        for (form, limit), k, item_set in product(
            forms_of(config, respondent.form).items(), config.shots, study.item_sets
        ):
            yield _part(study, "main table", respondent, k, item_set, form=form)._replace(limit=limit)
    for respondent in _paid(study, [config.ablation_model]):
        for k in config.ablation_shots:
            yield _part(study, "number of shots", respondent, k, first)
        for seed in config.shuffle_seeds:
            for item_set in study.item_sets if seed in config.fresh_seeds else [first]:
                yield _part(study, "order of shots", respondent, config.ordered_shots, item_set, shuffle_seed=seed)
        yield _thoughts(study, respondent)
        plain = condition_of(study, respondent, "chat", most)
        yield Part("without a thought", respondent, plain, first, study.main_tasks, config.chain_of_thought_items)
        letters = condition_of(study, respondent, "letter_geometry", 0, max_tokens=1)
        for item_set in study.item_sets:
            yield Part("letter geometry", respondent, letters, item_set, [LETTER_GEOMETRY], len(study.items))
    for respondent in _paid(study, config.family):
        yield _part(study, "family", respondent, most, first)


def _part(
    study: Study,
    stage: str,
    respondent: Respondent,
    k: int,
    item_set: str,
    shuffle_seed: int | None = None,
    form: str | None = None,
) -> Part:
    condition = condition_of(study, respondent, form or respondent.form, k, shuffle_seed)
    return Part(stage, respondent, condition, item_set, study.tasks_of(item_set), study.config.test_items)


def _thoughts(study: Study, respondent: Respondent) -> Part:
    config = study.config
    most, longest = max(config.ablation_shots), config.chain_of_thought_tokens
    condition = condition_of(study, respondent, "chain_of_thought", most, max_tokens=longest)
    limit = config.chain_of_thought_items
    return Part("chain of thought", respondent, condition, study.item_sets[0], study.main_tasks, limit)


def _paid(study: Study, models: Sequence[str]) -> list[Respondent]:
    return [study.respondent(name) for name in expand(tuple(models)) if name.startswith(API)]


def _asked(study: Study) -> Iterator[tuple[object, ...]]:
    counted: set[tuple[str, str]] = set()  # conditions and items
    for part in parts_of(study):
        condition = part.condition
        prompts: list[Prompt] = []
        for task in part.tasks:
            missing = zip(*missing_prompts(study, condition, part.item_set, task, part.limit), strict=True)
            new = {item.key: prompt for item, prompt in missing if (condition.name(), item.key) not in counted}
            prompts += new.values()
            counted |= {(condition.name(), key) for key in new}
        cost = estimate_cost(prompts, condition)
        yield part.stage, part.respondent.name, condition.k, cost.requests, cost.input_tokens, cost.output_tokens


def _judged(study: Study) -> Iterator[tuple[object, ...]]:
    """Verdicts that are to come, on replies of the greatest length; all of them where the thinker is not an API.

    Whose verdicts are stored depends on the content of a local model, which is not read here.
    """
    config, limit = study.config, study.config.chain_of_thought_items
    for judge in _paid(study, [config.judge]):
        paid = _paid(study, [config.ablation_model])
        thoughts = [_thoughts(study, thinker).condition for thinker in paid]
        tests = [select(study.items, task, "test", study.item_sets[0])[:limit] for task in study.main_tasks]
        requests = missing_verdicts(study, thoughts[0], judge, limit) if thoughts else (
            config.samples * sum(map(len, tests)))  # fmt: skip
        longest = Condition(model=judge.name, form="chat", k=0, max_tokens=config.chain_of_thought_tokens)
        each = estimate_cost([Prompt("", ())], longest, judged=True)
        reads, says = each.judge_input_tokens or 0, each.judge_output_tokens
        yield "judge", judge.name, 0, requests, requests * reads, requests * says
