"""What the values of an H-Test config may be: types that refuse others, with a message of what would be right.

In: a value as a notebook's parameters give it. Out: the value, or a ValueError.
"""

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveInt

from saelib.htest.config.names import API, CONTROL, FAMILIES
from saelib.htest.tasks import TASKS
from saelib.run.config import Name

MOST_ITEMS = 9_000  # of a task: some 9,500 pairs of words rhyme, and the other tasks have more
MOST_REPLY = 2**20  # tokens


def _even(number: int) -> int:
    if number % 2:
        raise ValueError("should be an even number, half of it for A and half for B")
    return number


def _named(entries: tuple[str, ...]) -> tuple[str, ...]:
    if not entries:
        raise ValueError("name at least one")
    return entries


def _some_shots(shots: tuple[int, ...]) -> tuple[int, ...]:
    if not shots:
        raise ValueError("name at least one number of shots")
    if len(set(shots)) < len(shots):
        raise ValueError(f"name each number of shots once: {list(dict.fromkeys(shots))}")
    return shots


def _each_once(forms: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(forms)) < len(forms):
        raise ValueError(f"name each form once: {list(dict.fromkeys(forms))}")
    return forms


def _two_to_compare(shots: tuple[int, ...]) -> tuple[int, ...]:
    if len({k for k in shots if k}) < 2:
        raise ValueError("name two numbers above 0 to compare")
    return _some_shots(shots)


def _known_tasks(tasks: tuple[str, ...]) -> tuple[str, ...]:
    if unknown := [task for task in _named(tasks) if task not in TASKS]:
        raise ValueError(f"{unknown} unknown; choose among {', '.join(TASKS)}")
    return tuple(task for task in TASKS if task in tasks)


def _template_value(value: Any) -> Any:
    if not isinstance(value, str | int | float) or value in (math.inf, -math.inf) or value != value:
        raise ValueError("should be a text, a finite number, True or False")
    return value


def _for_templates(arguments: dict[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    if reserved := arguments.keys() & {"messages", "tools", "documents", "tokenize", "add_generation_prompt",
                                       "continue_final_message", "chat_template", "conversation"}:  # fmt: skip
        raise ValueError(f"{', '.join(sorted(reserved))} cannot be given: the kit says it itself")
    return arguments


def _one_model(name: str) -> str:
    if name in FAMILIES:
        raise ValueError(f"is a family, and one model is wanted: {', '.join(FAMILIES[name])}")
    return name


def _on_this_machine(name: str) -> str:
    if name.startswith((API, CONTROL)):
        raise ValueError("cannot be tuned; should be 'embedded', a folder or a hub name")
    return name


Shots = Annotated[NonNegativeInt, Field(le=MOST_ITEMS), AfterValidator(_even)]
MainShots = Annotated[tuple[Shots, ...], AfterValidator(_some_shots)]
ComparedShots = Annotated[tuple[Shots, ...], AfterValidator(_two_to_compare)]
ItemCount = Annotated[PositiveInt, Field(le=MOST_ITEMS), AfterValidator(_even)]
ReplyTokens = Annotated[PositiveInt, Field(le=MOST_REPLY)]
OneModel = Annotated[Name, AfterValidator(_one_model)]
TunedModel = Annotated[OneModel, AfterValidator(_on_this_machine)]
TemplateValue = Annotated[str | int | float | bool, BeforeValidator(_template_value)]
Models = Annotated[tuple[Name, ...], AfterValidator(_named)]
TemplateArguments = Annotated[dict[str, TemplateValue], AfterValidator(_for_templates)]
Tasks = Annotated[tuple[str, ...], AfterValidator(_known_tasks)]
Forms = Annotated[tuple[Literal["chat", "completion"], ...], AfterValidator(_each_once)]
