"""Who is asked what: models, controls, letter geometry, task by task.

In: a study and whoever is asked. Out: replies to all of it, asked now or found.
"""

from collections.abc import Iterable, Sequence

from saelib.htest.asking.replies import Reply
from saelib.htest.config import CONTROL
from saelib.htest.engines.controls import CONTROLS, SHORTCUT
from saelib.htest.items.item import select
from saelib.htest.respondents import Respondent
from saelib.htest.stages.answered import ask_items
from saelib.htest.stages.questions import condition_of, forms_of, items_asked, shots_before
from saelib.htest.stages.stored import missing_requests
from saelib.htest.study import Study
from saelib.htest.tasks import LETTER_GEOMETRY
from saelib.run.progress import progress


def ask(
    study: Study,
    respondent: Respondent,
    k: int,
    tasks: Iterable[str] | None = None,
    item_sets: Sequence[str] | None = None,
    form: str | None = None,
    shuffle_seed: int | None = None,
    max_tokens: int | None = None,
    limit: int | None = None,
) -> list[Reply]:
    """Ask a model the test items of some tasks, or find what it replied before.

    Where the config is to calibrate, a task's replies to content-free questions stand behind those to its items.

    Args:
        k: shots before each item, from the dev split of the same set of items.
        tasks: names of tasks; those of the config if not given.
        item_sets: sets of items; all that the run has if not given.
        form: a key of `asking.prompts.FORMS`; the respondent's own if not given.
        shuffle_seed: draws and shuffles the shots; None takes the released order.
        max_tokens: longest reply; if not given, the config's, or 5 in chat and 1 in the forms for base models.
        limit: only the first items of each task; None asks `test_items` of the config.

    Raises:
        ValueError: a set of items is unknown, the shots are too few, or a prompt does not fit the model
            (`asking.prompts.tokenise`).
        PermissionError: an API would be sent more requests than `api_requests` allows.
    """
    condition = condition_of(study, respondent, form or respondent.form, k, shuffle_seed, max_tokens)
    if unknown := set(item_sets or ()) - set(study.item_sets):
        raise ValueError(f"item_sets={sorted(unknown)}: not in this run, which has {', '.join(study.item_sets)}")
    parts = [
        (item_set, task)
        for item_set in item_sets or study.item_sets
        for task in tasks or study.config.tasks
        if select(study.items, task, "test", item_set)  # a set of one's own may lack tasks
    ]
    if respondent.is_paid:  # for the others there is no need to count
        study.check_budget(
            respondent, sum(missing_requests(study, respondent, condition, *part, limit) for part in parts)
        )
    replies = []
    with progress(f"{respondent.name}, {k} shots", len(parts), unit="task") as advance:
        for part in parts:
            items = items_asked(study, condition, *part, limit)
            replies += ask_items(study, respondent, condition, items, shots_before(study, condition, *part))
            advance(1)
    return replies


def ask_models(
    study: Study,
    models: Iterable[str],
    shots: Iterable[int],
    item_sets: Sequence[str] | None = None,
    others: bool = True,
) -> list[Reply]:
    """Ask each model the config's tasks with every number of shots: in the form that suits it, then in `other_forms`.

    Args:
        item_sets: sets of items; all that the run has if not given.
        others: in `other_forms` too, as for the main table.
    """
    replies, numbers = [], list(shots)
    for name in models:
        respondent = study.respondent(name)
        for form, limit in forms_of(study.config, respondent.form, others).items():
            for k in numbers:
                replies += ask(study, respondent, k, item_sets=item_sets, form=form, limit=limit)
    return replies


def ask_controls(study: Study) -> list[Reply]:
    """Have the controls reply to the config's tasks; they read no shots.

    The shortcut is fitted on dev items, and leaves out what has none: a set of one's own may be all to be asked.
    """
    replies = []
    for name in CONTROLS:
        control = study.respondent(CONTROL + name)
        for item_set in study.item_sets:
            tasks = [task for task in study.tasks_of(item_set)
                     if name != SHORTCUT or select(study.items, task, "dev", item_set)]  # fmt: skip
            replies += ask(study, control, 0, tasks, [item_set]) if tasks else []
    return replies


def ask_letter_geometry(study: Study, respondent: Respondent) -> list[Reply]:
    """Ask the letter-geometry questions, at most one token each as in the paper."""
    return ask(study, respondent, 0, [LETTER_GEOMETRY], form="letter_geometry", max_tokens=1, limit=len(study.items))
