"""All tasks by name, and prompts of one.

In: a name, a tokenizer, a count and a seed. Out: as many different pairs of prompts, the same for the same seed.
"""

import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from saelib.interpret.circuits.tasks import templates
from saelib.interpret.circuits.tasks.prompts import Draw, Prompts, TaskError, Words, collect
from saelib.interpret.circuits.tasks.repeats import repeats

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class Task(NamedTuple):
    """A task: what readers call it, and how an example of it is drawn."""

    label: str
    draws: Callable[[Words], Draw]


TASKS = {
    "ioi": Task("indirect objects", templates.indirect_objects),
    "greater_than": Task("greater than", templates.greater_than),
    "agreement": Task("agreement across a clause", templates.agreement),
    "repeats": Task("repeated random words", repeats),
    "brackets": Task("closing brackets", templates.brackets),
    "docstring": Task("order of arguments", templates.argument_order),
}


def make_prompts(
    task: str, tokenizer: "PreTrainedTokenizerBase", count: int, seed: int = 0, beginning: Sequence[int] = ()
) -> Prompts:
    """Different pairs of prompts of a task.

    Args:
        task: a name of `TASKS`.
        tokenizer: of the model that shall read them.
        count: how many pairs.
        seed: the same seed gives the same pairs, and a larger count those of a smaller one first.
        beginning: token ids that stand in front of every prompt, as of the rows that SAEs were trained on.

    Raises:
        TaskError: the tokenizer lacks words, or has not as many different prompts; the message names the task.
        ValueError: there is no such task.
    """
    if task not in TASKS:
        raise ValueError(f"circuit_tasks={task!r}: there is no such task; choose from {', '.join(TASKS)}")
    random = np.random.default_rng([seed, zlib.crc32(task.encode())])
    try:
        return collect(task, TASKS[task].draws(Words(tokenizer, beginning)), count, random)
    except TaskError as error:
        raise TaskError(f"task {task}: {error}") from None
