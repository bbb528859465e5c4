"""The first stage of a study: items are asked, replies are stored.

In: a study and whoever is asked. Out: replies, and under `runs/<run>/htest/replies/` one file for each condition, set
of items and task. What is there is not asked again. A file is written when its task is answered: whoever is killed
loses the answers to one task, and none that an API gave, since Inspect's logs keep each at once.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from saelib.htest.asking.prompts import Prompt, choose_shots, render
from saelib.htest.asking.replies import Condition, Reply, make_replies, write_replies
from saelib.htest.asking.stored import check_asked, check_condition, read_or_put_aside, read_stored
from saelib.htest.config import CONTROL
from saelib.htest.engines.controls import CONTROLS, SHORTCUT
from saelib.htest.engines.refusals import may_be_asked_again
from saelib.htest.items.item import Item, select
from saelib.htest.respondents import Respondent
from saelib.htest.study import Study
from saelib.htest.tasks import LETTER_GEOMETRY
from saelib.run.lock import writing
from saelib.run.progress import progress

REPLY_TOKENS = {"completion": 1, "bare": 1}  # a base model's answer is the next token
CHAT_REPLY_TOKENS = 5  # as in the paper


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
        for item_set, task in parts:
            replies += _ask_task(study, respondent, condition, item_set, task, _limit(study, limit))
            advance(1)
    return replies


def ask_models(
    study: Study, models: Iterable[str], shots: Iterable[int], item_sets: Sequence[str] | None = None
) -> list[Reply]:
    """Ask each model the config's tasks with every number of shots, in the form that suits it.

    Args:
        item_sets: sets of items; all that the run has if not given.
    """
    replies = []
    for name in models:
        respondent = study.respondent(name)
        for k in shots:
            replies += ask(study, respondent, k, item_sets=item_sets)
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


def _ask_task(
    study: Study, respondent: Respondent, condition: Condition, item_set: str, task: str, limit: int
) -> list[Reply]:
    items = select(study.items, task, "test", item_set)[:limit]
    dev = select(study.items, task, "dev", item_set)
    return ask_items(study, respondent, condition, items, choose_shots(dev, condition.k, condition.shuffle_seed))


def ask_items(
    study: Study, respondent: Respondent, condition: Condition, items: Sequence[Item], shots: Sequence[Item]
) -> list[Reply]:
    """Ask items of one set and task, those of them that have no stored reply yet.

    Raises:
        DamagedFileError: what an API replied before is damaged; the file of whoever else is asked again.
        FileExistsError: replies under the condition, whatever set and task, are by another version of the library.
        ValueError: what is stored belongs to others than these items and prompts.
    """
    path = study.path_of(condition, items[0].item_set, items[0].task)
    study.check()  # another one may have claimed the folder since this study was opened
    prompts = render(items, shots, condition.form)
    wanted = len(items) * condition.samples
    replies = _known(path, respondent, items, prompts, may_write=False)
    if len(replies) < wanted or _may_ask_again(study, replies[:wanted]):
        with writing(study):
            replies = _complete(study, respondent, condition, items, prompts, path)
    return replies[:wanted]


def _known(
    path: Path, respondent: Respondent, items: Sequence[Item], prompts: Sequence[Prompt], may_write: bool
) -> list[Reply]:
    """Stored replies to some items, if there are any."""
    replies = read_or_put_aside(path, respondent.is_paid, may_write)
    check_asked(path, replies, items, prompts)
    return replies


def _may_ask_again(study: Study, replies: Sequence[Reply]) -> bool:
    return study.config.ask_refused and any(may_be_asked_again(reply.problem) for reply in replies)


def _complete(
    study: Study,
    respondent: Respondent,
    condition: Condition,
    items: Sequence[Item],
    prompts: Sequence[Prompt],
    path: Path,
) -> list[Reply]:
    """Replies to all of some items, what is lacking asked and written now; for whoever has the run to itself."""
    replies = _known(path, respondent, items, prompts, may_write=True)  # another process may have asked meanwhile
    check_condition(path.parent, respondent.library)
    if _may_ask_again(study, replies[: len(items) * condition.samples]):
        replies = _asked_again(study, respondent, condition, list(zip(items, prompts, strict=True)), replies)
        write_replies(path, replies)
    done = len(replies) // condition.samples
    if missing := items[done:]:
        replies += _answered(study, respondent, condition, missing, prompts[done:])
        write_replies(path, replies)
    return replies


def _answered(
    study: Study, respondent: Respondent, condition: Condition, items: Sequence[Item], prompts: Sequence[Prompt]
) -> list[Reply]:
    answers = study.answers(respondent, items, prompts, condition)
    return make_replies(items, prompts, condition, answers, respondent.library)


def _asked_again(
    study: Study,
    respondent: Respondent,
    condition: Condition,
    asked: Sequence[tuple[Item, Prompt]],
    replies: Sequence[Reply],
) -> list[Reply]:
    """Replies, those that a server refused or a filter took replaced by what it says now."""
    waiting = {reply.item.key for reply in replies if may_be_asked_again(reply.problem)}
    items, prompts = zip(*(pair for pair in asked if pair[0].key in waiting), strict=True)
    made = _answered(study, respondent, condition, items, prompts)
    now = {(reply.item.key, reply.sample): reply for reply in made}
    return [now.get((reply.item.key, reply.sample), reply) if may_be_asked_again(reply.problem) else reply
            for reply in replies]  # fmt: skip


def stored_count(study: Study, condition: Condition, item_set: str, task: str) -> int:
    """How many items of a task have a stored reply; the first ones always come first."""
    path = study.path_of(condition, item_set, task)
    return len(read_stored(path)) // condition.samples if path.is_file() else 0


def missing_requests(
    study: Study, respondent: Respondent, condition: Condition, item_set: str, task: str, limit: int | None
) -> int:
    """Requests for the test items of a task that have no reply yet, neither stored nor in an API's logs."""
    return study.requests_for(respondent, *missing_prompts(study, condition, item_set, task, limit), condition)


def missing_prompts(
    study: Study, condition: Condition, item_set: str, task: str, limit: int | None = None
) -> tuple[list[Item], list[Prompt]]:
    """Test items of a task that have no stored reply yet, and their prompts."""
    items = select(study.items, task, "test", item_set)[: _limit(study, limit)]
    missing = items[stored_count(study, condition, item_set, task) :]
    shots = choose_shots(select(study.items, task, "dev", item_set), condition.k, condition.shuffle_seed)
    return missing, render(missing, shots, condition.form)


def _limit(study: Study, limit: int | None) -> int:
    return study.config.test_items if limit is None else limit


def stored_replies(study: Study) -> list[Reply]:
    """Every reply of the run, to score again at will.

    Raises:
        DamagedFileError: a file of theirs is damaged.
        ValueError: one holds replies that belong into another.
    """
    study.check()
    return [reply for path in replies_files(study) for reply in read_stored(path)]


def replies_files(study: Study) -> list[Path]:
    """All files of replies and verdicts, by name."""
    return sorted(study.replies_folder.glob("*/*.jsonl"))
