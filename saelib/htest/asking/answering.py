"""Answers as they come: what an engine may give before all of its prompts are answered.

In: an engine, items, their prompts and a condition. Out: answers with their places, so that they can be kept meanwhile
(`unfinished`). An engine that says everything at once is one of those too.
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Protocol, runtime_checkable

from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition, Engine
from saelib.htest.items.item import Item

PlacedAnswer = tuple[int, Answer]
"""An answer and its place in the list that the engine gives when it is called."""


@runtime_checkable
class AnsweringEngine(Protocol):
    """An engine that gives its answers while it works."""

    def answers(
        self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition, done: Collection[int] = ()
    ) -> Iterator[PlacedAnswer]:
        """Each answer with its place, in any order.

        Args:
            done: places that a call like this one has answered before it was ended. They may be left out; the other
                answers are what they are without, to the bit.
        """


def answers_of(
    engine: Engine, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition, done: Collection[int] = ()
) -> Iterator[PlacedAnswer]:
    """Answers of any engine as they come; errors are the engine's.

    Args:
        done: as `AnsweringEngine.answers`; whoever says everything at once is asked for everything.
    """
    if isinstance(engine, AnsweringEngine):
        yield from engine.answers(items, prompts, condition, done)
    else:
        yield from enumerate(engine(items, prompts, condition))
