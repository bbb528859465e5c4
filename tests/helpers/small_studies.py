"""Studies in a folder of their own with a few items, and respondents that remember what they were asked."""

import functools
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Answer, Condition, Engine
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item, write_items
from saelib.htest.respondents import Respondent
from saelib.htest.study import Study, open_study
from saelib.language.request_budget import RequestBudget

TEST_ITEMS = 4  # of each task
OTHER = "other-1"  # a second set of items


@functools.cache
def few_items() -> tuple[Item, ...]:
    return tuple(fresh_items(0, test=TEST_ITEMS))


@functools.cache
def items_of_two_sets() -> tuple[Item, ...]:
    """The fresh items behind others, all of whose texts begin in "Other"."""
    others = [replace(item, item_set=OTHER, text=f"Other {item.text}") for item in few_items()]
    return (*others, *few_items())


def small_study(
    runs: Path, monkeypatch: pytest.MonkeyPatch, items: Sequence[Item] | None = None, **parameters: Any
) -> Study:
    """A study of the preset "smoke" in the runs folder `runs`, its items made already."""
    monkeypatch.setenv("SAELIB_RUNS", str(runs))
    study = open_study(**({"preset": "smoke", "run": "small", "test_items": TEST_ITEMS} | parameters))
    write_items(study.items_path, few_items() if items is None else items)
    study.claim()
    return study


class Listener:
    """An engine that keeps what it was asked, a list of items for each call.

    Args:
        say: what it replies to a prompt.
        fails_at: number of the call, from 1, in which it breaks down.
        budget: a request of it is taken for each prompt, as an API's engine does.
    """

    def __init__(self, say: Callable[[Item], str] = lambda item: "A", fails_at: int | None = None,
                 budget: RequestBudget | None = None) -> None:  # fmt: skip
        self.say, self.fails_at, self.budget = say, fails_at, budget
        self.items: list[list[Item]] = []
        self.prompts: list[Prompt] = []
        self.conditions: list[Condition] = []

    def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        self.items.append(list(items))
        if len(self.items) == self.fails_at:
            raise ConnectionError("the line went dead")
        if self.budget is not None:
            for _ in prompts:
                self.budget.take(condition.model)
        self.prompts += prompts
        self.conditions.append(condition)
        return [Answer(self.say(item), {"A": -1.0, "B": -2.0}, {"output_tokens": 1}) for item in items]

    @property
    def asked(self) -> int:
        """How many items it was asked, broken calls left out."""
        return len(self.prompts)


class OneByOne:
    """An engine that gives its answers one by one, from the last item to the first, and may be ended on the way.

    Args:
        ends_at: number of answers after which it ends.
    """

    def __init__(self, ends_at: int | None = None) -> None:
        self.ends_at = ends_at
        self.given: list[int] = []

    def __call__(self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition) -> list[Answer]:
        return [answer for _, answer in sorted(self.answers(items, prompts, condition))]

    def answers(
        self, items: Sequence[Item], prompts: Sequence[Prompt], condition: Condition, done: Collection[int] = ()
    ) -> Iterator[tuple[int, Answer]]:
        for place in reversed(range(len(items))):
            if place in done:
                continue
            if len(self.given) == self.ends_at:
                raise KeyboardInterrupt
            self.given.append(place)
            yield place, Answer(f"{items[place].label} {place}", {"A": -1.0 - place, "B": -2.0})


def respondent(engine: Engine, name: str = "listener", revision: str = "1", form: str = "chat") -> Respondent:
    return Respondent(name, revision, form, engine)
