"""What a study has stored, and what is missing of what it asks.

In: a study. Out: replies of its files, and counts of what has none yet.
"""

from itertools import groupby
from pathlib import Path

from saelib.htest.asking.prompts import Prompt, render
from saelib.htest.asking.replies import Condition, Reply
from saelib.htest.asking.stored import read_stored
from saelib.htest.items.item import Item
from saelib.htest.respondents import Respondent
from saelib.htest.stages.questions import items_asked, shots_before
from saelib.htest.study import Study


def stored_count(study: Study, condition: Condition, item_set: str, task: str, split: str = "test") -> int:
    """How many items of a task have a stored reply; the first ones always come first."""
    path = study.path_of(condition, item_set, task, split)
    return len(read_stored(path)) // condition.samples if path.is_file() else 0


def missing_requests(
    study: Study, respondent: Respondent, condition: Condition, item_set: str, task: str, limit: int | None
) -> int:
    """Requests for the test items of a task that have no reply yet, neither stored nor in an API's logs."""
    return study.requests_for(respondent, *missing_prompts(study, condition, item_set, task, limit), condition)


def missing_prompts(
    study: Study, condition: Condition, item_set: str, task: str, limit: int | None = None
) -> tuple[list[Item], list[Prompt]]:
    """Items of a task that are asked and have no stored reply yet, and their prompts.

    Args:
        limit: as `ask` has it.
    """
    missing = []
    for split, items in groupby(items_asked(study, condition, item_set, task, limit), lambda item: item.split):
        missing += list(items)[stored_count(study, condition, item_set, task, split) :]
    return missing, render(missing, shots_before(study, condition, item_set, task), condition.form)


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
