"""What a study asks: under which condition, in which forms, which items of a task and with which shots before them.

In: a study and its config. Out: conditions, items, shots. Nothing is asked here.
"""

from saelib.htest.asking.prompts import choose_shots
from saelib.htest.asking.replies import Condition
from saelib.htest.config import API, CONTROL, HTestConfig
from saelib.htest.items.item import Item, content_free_items, select
from saelib.htest.respondents import Respondent
from saelib.htest.study import Study

REPLY_TOKENS = {"completion": 1, "bare": 1}  # a base model's answer is the next token
CHAT_REPLY_TOKENS = 5  # as in the paper
CALIBRATED = ("chat", "completion")  # forms in which an answer's first token is the letter


def condition_of(
    study: Study,
    respondent: Respondent,
    form: str,
    k: int,
    shuffle_seed: int | None = None,
    max_tokens: int | None = None,
) -> Condition:
    """The condition under which a study asks, for what its config does not say."""
    config = study.config
    return Condition(
        model=respondent.name,
        revision=respondent.revision,
        form=form,
        k=k,
        shuffle_seed=shuffle_seed,
        temperature=config.temperature,
        samples=1 if respondent.name.startswith(CONTROL) else config.samples,  # a control says the same again
        max_tokens=max_tokens or config.max_tokens or REPLY_TOKENS.get(form, CHAT_REPLY_TOKENS),
        seed=config.seed,
        **respondent.settings(form, config.system),
    )


def forms_of(config: HTestConfig, own: str, others: bool = True) -> dict[str, int]:
    """Forms in which a model is asked, its own before the others; how many test items of each task in each.

    Args:
        own: the form that suits it.
        others: in `other_forms` too, as for the main table; never more items than in its own.
    """
    fewer = min(config.other_form_items or config.test_items, config.test_items)
    beside = [form for form in config.other_forms if form != own] if others else []
    return {own: config.test_items} | dict.fromkeys(beside, fewer)


def is_calibrated(config: HTestConfig, model: str, form: str) -> bool:
    """Whether the config wants content-free questions to a model in a form: where they have log-probabilities."""
    knows = config.api_log_probabilities if model.startswith(API) else not model.startswith(CONTROL)
    return config.calibration and knows and form in CALIBRATED


def items_asked(study: Study, condition: Condition, item_set: str, task: str, limit: int | None = None) -> list[Item]:
    """Test items of a task, and behind them the content-free ones where the config wants them; none without items.

    Args:
        limit: only the first test items; None asks `test_items` of the config.
    """
    count = study.config.test_items if limit is None else limit
    items = select(study.items, task, "test", item_set)[:count]
    calibrated = is_calibrated(study.config, condition.model, condition.form)
    return items + (content_free_items(item_set, task, items[0].seed) if items and calibrated else [])


def shots_before(study: Study, condition: Condition, item_set: str, task: str) -> list[Item]:
    """The shots of a task under a condition: from the dev split of the same set; errors as `choose_shots`."""
    return choose_shots(select(study.items, task, "dev", item_set), condition.k, condition.shuffle_seed)
