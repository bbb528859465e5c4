"""Replies of a run in its files: whether they are whole, where they belong, and to what was asked.

In: files under `htest/replies/`. Out: their replies, or an error that names file, line and remedy. A damaged file of a
model on this machine is put aside and its items are asked again, which costs time alone; whoever was paid is not.
"""

import json
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Condition, Reply, questions_of, read_replies
from saelib.htest.items.item import CONTENT_FREE, Item
from saelib.run.reading import CONTENT_ERRORS, DamagedFileError, as_object

JUDGED = "judged-by-"  # before the name of the judge's condition, in the name of a file of verdicts
ASIDE = ".damaged"  # behind the name of a damaged file
REMEDY = (
    "put the file back from a copy, or delete it, and what it held is asked again: nothing is paid for answers of an "
    "API that are still in htest/inspect_logs"
)


def read_stored(path: Path) -> list[Reply]:
    """Replies of a file of a run.

    Raises:
        DamagedFileError: the file is damaged.
        ValueError: it holds replies that belong into another file; nothing is changed.
    """
    replies = read_replies(path, REMEDY)
    for number, reply in enumerate(replies, start=1):
        if not _belongs(path, reply):
            item, name = reply.item, reply.condition.name()
            raise ValueError(
                f"{path}, line {number}: a reply of {reply.condition.model} under the condition {name} to "
                f"{item.key}, which belongs into {_file_name(reply)} of that condition's folder; put each file back "
                "where it was"
            )
    return replies


def read_or_put_aside(path: Path, is_paid: bool, may_write: bool) -> list[Reply]:
    """Replies of a file of a run, none where it is not there, or is damaged and can be made again for nothing.

    Args:
        is_paid: somebody was paid for them.
        may_write: put a damaged file aside, beside its place, with a warning; else it stays, and none are given.

    Raises:
        DamagedFileError: it is damaged, and was paid for.
        ValueError: as `read_stored`.
    """
    try:
        return read_stored(path)
    except FileNotFoundError:
        return []
    except DamagedFileError as error:
        if is_paid:
            raise
        aside = path.with_name(path.name + ASIDE)
        if may_write:
            path.replace(aside)
            warnings.warn(f"{error} - here it was put aside as {aside.name}, and is asked again", stacklevel=2)
        return []


def _belongs(path: Path, reply: Reply) -> bool:
    """Whether a file's place says the reply's condition, and its name what was asked, or that it holds verdicts."""
    is_judged = path.name.startswith(JUDGED)
    name = path.name == _file_name(reply) if not is_judged else reply.judge is not None
    return name and path.parent.name in _names(reply.condition)


def _file_name(reply: Reply) -> str:
    item = reply.item
    return f"{JUDGED}..." if reply.judge is not None else file_of(item.item_set, item.task, item.split)


def file_of(item_set: str, task: str, split: str = "test") -> str:
    """Name of the file of the replies to a set's items of a task, or to the content-free questions beside them."""
    return f"{item_set}-{task}{'-content-free' if split == CONTENT_FREE else ''}.jsonl"


@cache
def _names(condition: Condition) -> tuple[str, ...]:
    """Of its folder: an API's replies carry the revision that it named, which nobody asked for."""
    return condition.name(), replace(condition, revision="").name()


def check_asked(path: Path, replies: Sequence[Reply], items: Sequence[Item], prompts: Sequence[Prompt]) -> None:
    """Refuse replies to others than these items and prompts, so many to an item as their condition says.

    Raises:
        ValueError: they are to others: the run's items or the prompts have changed since.
    """
    samples = replies[0].condition.samples if replies else 1
    asked = questions_of(items, prompts, samples)
    for number, (reply, (item, prompt, sample)) in enumerate(zip(replies, asked, strict=False), start=1):
        if reply.item != item or reply.prompt != prompt.text or reply.sample != sample:
            raise ValueError(
                f"{path}, line {number}, holds a reply to another item or prompt than {item.key}, so the items or "
                "prompts of this run have changed since: put its htest/items.jsonl back, or name another run"
            )


def check_condition(folder: Path, library: str) -> None:
    """Refuse to go on with a condition under which other code has replied, to whatever set of items and task.

    Args:
        folder: of the condition's replies; verdicts on them are a judge's business.
        library: `Reply.library` of what is asked now; empty where the code does not matter.

    Raises:
        FileExistsError: as `check_library`.
    """
    for path in sorted(folder.glob("*.jsonl")) if library else []:
        if not path.name.startswith(JUDGED):
            check_library(path, str(first_line(path).get("library", "")), library)


def check_library(path: Path, was: str, library: str) -> None:
    """Refuse to go on with replies that other code has asked for; those of earlier releases do not say by which.

    Args:
        path: where they are.
        was: `Reply.library` of one that is there.
        library: what is asked by now.

    Raises:
        FileExistsError: it was another; the message names the file, and the choice.
    """
    if was not in ("", library):
        raise FileExistsError(
            f"{path} was asked by another version of the library (library was {was[:12]}, is {library[:12]}), and one "
            f"condition is asked by one: check out that version to go on with it, delete the folder {path.parent} to "
            "have all of it asked anew, or name another run"
        )


def is_under(path: Path, condition: Condition) -> bool:
    """Whether a file's first reply is under a condition, whatever revision an API has named."""
    with suppress(*CONTENT_ERRORS):
        found = Condition(**first_line(path)["condition"])
        return condition in (found, replace(found, revision=""))
    return False


def has_answered(folder: Path, name: str) -> bool:
    """Whether a model has replied to anything in a run, or judged it.

    Args:
        folder: of all replies of the run.
        name: as in `Condition.model`.
    """
    for line in map(first_line, folder.glob("*/*.jsonl")):
        condition = line.get("condition")
        if name in (line.get("judge"), condition.get("model") if isinstance(condition, dict) else None):
            return True
    return False


def first_line(path: Path) -> dict[str, Any]:
    """A reply as JSON holds it; empty where the line is none, which whoever reads the file says."""
    with suppress(OSError, *CONTENT_ERRORS), path.open("rb") as lines:
        return as_object(json.loads(lines.readline()))
    return {}
