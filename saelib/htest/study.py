"""An H-Test run on disk, and its first stage: items are asked, replies are stored.

In: a preset and overrides. Out: files under `runs/<run>/htest/`: `items.jsonl`, and `replies/`, one file for each
condition, set of items and task. What is there is not asked again; an interrupted run loses one task.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from saelib.htest.asking.prompts import Prompt, choose_shots, render
from saelib.htest.asking.replies import Answer, Condition, Reply, make_replies, read_replies, write_replies
from saelib.htest.config import CONTROL, HTestConfig, resolve_htest_config
from saelib.htest.engines.controls import CONTROLS
from saelib.htest.items.item import Item, read_items, select, write_items
from saelib.htest.items.sources import items_of_run
from saelib.htest.respondents import ApiSettings, Respondent, open_respondent
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from saelib.run.config import claim_config
from saelib.run.files import runs_folder

REPLY_TOKENS = {"completion": 1, "bare": 1}  # a base model's answer is the next token
CHAT_REPLY_TOKENS = 5  # as in the paper


class Study:
    """A run on disk; items are made when first asked for, and then stay."""

    def __init__(self, config: HTestConfig) -> None:
        """Use `open_study`, which checks the folder."""
        self.config = config
        self.folder = runs_folder() / config.run
        self.items_path = self.folder / "htest" / "items.jsonl"
        self.replies_folder = self.folder / "htest" / "replies"
        self.requests_left = config.api_requests

    @cached_property
    def items(self) -> list[Item]:
        """All items of the run, official ones first."""
        if not self.items_path.is_file():
            config = self.config
            write_items(self.items_path, items_of_run(config.official, config.seed, config.test_items))
        return read_items(self.items_path)

    @cached_property
    def versions(self) -> tuple[str, ...]:
        """The sets of items, the one of the main table first: the official one where it is there."""
        return tuple(dict.fromkeys(item.version for item in self.items))

    def respondent(self, name: str) -> Respondent:
        """Load whoever a name in the config means; errors as in `open_respondent`."""
        config, logs = self.config, self.folder / "htest" / "inspect_logs"
        api = ApiSettings(logs, config.api_log_probabilities)
        return open_respondent(name, self.items, config.form, config.device, config.seed, api)

    def check_budget(self, respondent: Respondent, requests: int) -> None:
        """See that the config allows so many requests to an API; whoever is on this machine costs nothing.

        Raises:
            PermissionError: too few are left; nothing was sent.
        """
        if respondent.is_paid and requests > self.requests_left:
            raise PermissionError(
                f"{respondent.name}: {requests} requests are needed and {self.requests_left} of api_requests="
                f"{self.config.api_requests} are left; allow more, and what is answered already is not asked again"
            )

    def answers(
        self, respondent: Respondent, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition
    ) -> list[Answer]:
        """What an engine answers; requests to an API are taken from the budget once they are answered.

        Raises:
            PermissionError: too few are left; nothing was sent.
        """
        self.check_budget(respondent, len(prompts))
        answers = respondent.engine(items, prompts, condition)
        self.requests_left -= len(prompts) if respondent.is_paid else 0
        return answers

    @property
    def has_official(self) -> bool:
        """Whether the released items are among the run's."""
        return len(self.versions) > 1


def open_study(**parameters: Any) -> Study:
    """Open an H-Test run, or start it: `open_study(preset="tiny", run="mine", models=["api:openai/gpt-4o"])`.

    Raises:
        ValueError, TypeError: a parameter is unknown, ill-typed or contradicts another (`run_config.resolve`).
        FileExistsError: the folder holds an H-Test run with another config; the message names the fields.
    """
    study = Study(resolve_htest_config(**parameters))
    claim_config(study.folder / "htest" / "config.json", study.config)
    return study


def ask(
    study: Study,
    respondent: Respondent,
    k: int,
    tasks: Iterable[str] = TASKS,
    versions: Sequence[str] | None = None,
    form: str | None = None,
    shuffle_seed: int | None = None,
    max_tokens: int | None = None,
    limit: int | None = None,
) -> list[Reply]:
    """Ask a model the test items of some tasks, or find what it replied before.

    Args:
        k: shots before each item, from the dev split of the same set of items.
        versions: sets of items; all that the run has if not given.
        form: a key of `prompts.FORMS`; the respondent's own if not given.
        shuffle_seed: draws and shuffles the shots; None takes the released order.
        max_tokens: longest reply; if not given, 5 in chat and 1 in the forms for base models.
        limit: only the first items of each task; None asks `test_items` of the config.

    Raises:
        ValueError: a version is unknown, the shots are too few, or a prompt does not fit the model
            (`prompts.tokenise`).
        PermissionError: an API would have to be paid more than `api_requests` allows.
    """
    from saelib.run.progress import progress

    condition = condition_of(study, respondent, form or respondent.form, k, shuffle_seed, max_tokens)
    if unknown := set(versions or ()) - set(study.versions):
        raise ValueError(f"versions {sorted(unknown)} are not in this run; it has {', '.join(study.versions)}")
    parts = [(version, task) for version in versions or study.versions for task in tasks]
    if respondent.is_paid:  # for the others there is no need to count
        study.check_budget(respondent, sum(missing_count(study, condition, *part, limit) for part in parts))
    replies = []
    with progress(f"{respondent.name}, {k} shots", len(parts), unit="task") as advance:
        for version, task in parts:
            replies += _ask_task(study, respondent, condition, version, task, _limit(study, limit))
            advance(1)
    return replies


def ask_models(
    study: Study, models: Iterable[str], shots: Iterable[int], versions: Sequence[str] | None = None
) -> list[Reply]:
    """Ask each model all ten tasks with every number of shots, in the form that suits it.

    Args:
        versions: sets of items; all that the run has if not given.
    """
    replies = []
    for name in models:
        respondent = study.respondent(name)
        for k in shots:
            replies += ask(study, respondent, k, versions=versions)
    return replies


def ask_controls(study: Study) -> list[Reply]:
    """Have the controls reply to all ten tasks; they read no shots."""
    return [reply for name in CONTROLS for reply in ask(study, study.respondent(CONTROL + name), k=0)]


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
    return Condition(
        model=respondent.name,
        revision=respondent.revision,
        form=form,
        k=k,
        shuffle_seed=shuffle_seed,
        temperature=study.config.temperature,
        max_tokens=max_tokens or REPLY_TOKENS.get(form, CHAT_REPLY_TOKENS),
        seed=study.config.seed,
    )


def _ask_task(
    study: Study, respondent: Respondent, condition: Condition, version: str, task: str, limit: int
) -> list[Reply]:
    items = select(study.items, task, "test", version)[:limit]
    dev = select(study.items, task, "dev", version)
    return ask_items(study, respondent, condition, items, choose_shots(dev, condition.k, condition.shuffle_seed))


def ask_items(
    study: Study, respondent: Respondent, condition: Condition, items: Sequence[Item], shots: Sequence[Item]
) -> list[Reply]:
    """Ask items of one version and task, those of them that have no stored reply yet."""
    path = _path(study, condition, items[0].version, items[0].task)
    prompts = render(items, shots, condition.form)
    replies = stored_answers(path, items, prompts)
    done = len(replies)
    if missing := items[done:]:
        answers = study.answers(respondent, missing, prompts[done:], condition)
        replies += make_replies(missing, prompts[done:], condition, answers)
        write_replies(path, replies)
    return replies[: len(items)]


def stored_answers(path: Path, items: Sequence[Item], prompts: Sequence[Prompt]) -> list[Reply]:
    """Replies that an earlier call left in a file; they must be to the same items and prompts.

    Raises:
        ValueError: they are to others: the run's items or the prompts have changed since.
    """
    replies = read_replies(path) if path.is_file() else []
    for reply, item, prompt in zip(replies, items, prompts, strict=False):
        if reply.item != item or reply.prompt != prompt.text:
            raise ValueError(
                f"{path} holds a reply to another item or prompt than {item.key}, so the items or prompts of this run "
                "have changed since: name another run, or delete its htest/replies folder"
            )
    return replies


def stored_count(study: Study, condition: Condition, version: str, task: str) -> int:
    """How many items of a task have a stored reply; the first ones always come first."""
    path = _path(study, condition, version, task)
    return len(read_replies(path)) if path.is_file() else 0


def missing_count(study: Study, condition: Condition, version: str, task: str, limit: int | None) -> int:
    """How many test items of a task have no stored reply."""
    items = select(study.items, task, "test", version)[: _limit(study, limit)]
    return max(0, len(items) - stored_count(study, condition, version, task))


def _limit(study: Study, limit: int | None) -> int:
    return study.config.test_items if limit is None else limit


def _path(study: Study, condition: Condition, version: str, task: str) -> Path:
    return study.replies_folder / condition.name() / f"{version}-{task}.jsonl"


def stored_replies(study: Study) -> list[Reply]:
    """Every reply of the run, to score again at will."""
    return [reply for path in sorted(study.replies_folder.glob("*/*.jsonl")) for reply in read_replies(path)]
