"""One task is answered: what is stored is found, what is lacking is asked, and the files are written.

In: items of one task, their shots, a condition and whoever is asked. Out: replies, and their files. While a task is
answered, what has come so far is kept every few seconds (`asking.unfinished`), and the answers of an API by Inspect's
logs at once: whoever is killed goes on there.
"""

from collections.abc import Sequence
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

from saelib.htest.asking.prompts import Prompt, render
from saelib.htest.asking.replies import Condition, Reply, make_replies, questions_of, write_replies
from saelib.htest.asking.stored import check_asked, check_condition, read_or_put_aside
from saelib.htest.asking.unfinished import Unfinished
from saelib.htest.engines.refusals import may_be_asked_again
from saelib.htest.items.item import Item
from saelib.htest.respondents import Respondent
from saelib.htest.study import Study
from saelib.run.lock import writing


class Asked(NamedTuple):
    """Items whose replies go into one file, and their prompts."""

    path: Path
    items: list[Item]
    prompts: list[Prompt]


def ask_items(
    study: Study, respondent: Respondent, condition: Condition, items: Sequence[Item], shots: Sequence[Item]
) -> list[Reply]:
    """Ask items of one set and task, those of them that have no stored reply yet.

    Args:
        items: content-free ones stand behind the others.

    Raises:
        DamagedFileError: what an API replied before is damaged; the file of whoever else is asked again.
        FileExistsError: replies under the condition, whatever set and task, are by another version of the library.
        ValueError: what is stored belongs to others than these items and prompts, or not every prompt is answered.
    """
    study.check()  # another one may have claimed the folder since this study was opened
    parts = _by_file(study, condition, items, render(items, shots, condition.form))
    found = [_known(part, respondent, may_write=False) for part in parts]
    finished = all(_is_finished(study, condition, part, replies) for part, replies in zip(parts, found, strict=True))
    if not finished or Unfinished(parts[0].path).is_unsettled(chain(*found), respondent.library):
        with writing(study):
            found = _complete(study, respondent, condition, parts)
    return [reply for part, replies in zip(parts, found, strict=True)
            for reply in replies[: len(part.items) * condition.samples]]  # fmt: skip


def _by_file(study: Study, condition: Condition, items: Sequence[Item], prompts: Sequence[Prompt]) -> list[Asked]:
    parts: dict[Path, Asked] = {}
    for item, prompt in zip(items, prompts, strict=True):
        path = study.path_of(condition, item.item_set, item.task, item.split)
        part = parts.setdefault(path, Asked(path, [], []))
        part.items.append(item)
        part.prompts.append(prompt)
    return list(parts.values())


def _known(part: Asked, respondent: Respondent, may_write: bool) -> list[Reply]:
    """Stored replies to some items, if there are any."""
    replies = read_or_put_aside(part.path, respondent.is_paid, may_write)
    check_asked(part.path, replies, part.items, part.prompts)
    return replies


def _is_finished(study: Study, condition: Condition, part: Asked, replies: Sequence[Reply]) -> bool:
    wanted = len(part.items) * condition.samples
    return len(replies) >= wanted and not _may_ask_again(study, replies[:wanted])


def _may_ask_again(study: Study, replies: Sequence[Reply]) -> bool:
    return study.config.ask_refused and any(may_be_asked_again(reply.problem) for reply in replies)


def _complete(study: Study, respondent: Respondent, condition: Condition, parts: Sequence[Asked]) -> list[list[Reply]]:
    """Replies to all of some items, what is lacking asked and written now; for whoever has the run to itself."""
    found = [_known(part, respondent, may_write=True) for part in parts]  # another process may have asked meanwhile
    check_condition(parts[0].path.parent, respondent.library)
    found = [_asked_again(study, respondent, condition, *pair) for pair in zip(parts, found, strict=True)]
    missing = [_missing(part, len(replies) // condition.samples) for part, replies in zip(parts, found, strict=True)]
    unfinished = Unfinished(parts[0].path)  # of all parts, whose shots are read once
    made = _answered(study, respondent, condition, missing, unfinished)
    for part, replies, new in zip(parts, found, made, strict=True):
        if new:
            replies += new
            write_replies(part.path, replies)
    unfinished.settle(chain(*found))
    return found


def _missing(part: Asked, done: int) -> Asked:
    return part._replace(items=part.items[done:], prompts=part.prompts[done:])


def _answered(
    study: Study, respondent: Respondent, condition: Condition, parts: Sequence[Asked], unfinished: Unfinished
) -> list[list[Reply]]:
    """Replies to the items of some parts, all of them asked together.

    Args:
        unfinished: where what has come so far is kept, and what a process left that was ended.
    """
    items, prompts = [item for part in parts for item in part.items], [text for part in parts for text in part.prompts]
    questions = questions_of(items, prompts, condition.samples)
    replies = unfinished.answers_to(questions, condition, respondent.library)
    if len(replies) < len(questions):
        for place, answer in study.answers(respondent, items, prompts, condition, done=frozenset(replies)):
            replies[place] = questions[place].reply(condition, answer, respondent.library)
            unfinished.keep(replies[place] for place in sorted(replies))
    if len(replies) != len(questions):
        raise ValueError(
            f"{respondent.name} gave {len(replies)} answers to {len(questions)} prompts, and should give one to each"
        )
    whole = iter([replies[place] for place in range(len(questions))])
    return [list(islice(whole, len(part.items) * condition.samples)) for part in parts]


def _asked_again(
    study: Study, respondent: Respondent, condition: Condition, part: Asked, replies: list[Reply]
) -> list[Reply]:
    """Replies; those that a server refused or a filter took replaced by what it says now, where the config wants it."""
    if not _may_ask_again(study, replies[: len(part.items) * condition.samples]):
        return replies
    waiting = {reply.item.key for reply in replies if may_be_asked_again(reply.problem)}
    pairs = zip(part.items, part.prompts, strict=True)
    items, prompts = zip(*(pair for pair in pairs if pair[0].key in waiting), strict=True)
    answers = [answer for _, answer in study.answers(respondent, items, prompts, condition)]
    made = make_replies(items, prompts, condition, answers, respondent.library)
    now = {(reply.item.key, reply.sample): reply for reply in made}
    replaced = [now.get((reply.item.key, reply.sample), reply) if may_be_asked_again(reply.problem) else reply
                for reply in replies]  # fmt: skip
    write_replies(part.path, replaced)
    return replaced
