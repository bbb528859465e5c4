"""What is wrong with the values of a config, in sentences: each field, its value, and what would be right.

In: what pydantic found, and the values that were given. Out: one message with a line for each fault.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

WANTED = {  # where pydantic's own words are a programmer's
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "bool_type": "should be True or False",
    "string_type": "should be a text",
    "tuple_type": "should be a list",
    "finite_number": "should be a finite number",
    "missing": "is missing",
    "model_type": "should name fields and their values, such as {'learning_rate': 0.001}",
}


def describe(error: ValidationError, kind: type[BaseModel], given: Mapping[str, Any]) -> str:
    """The faults that a validation found, a line for each."""
    return "\n".join(_sentence(fault, kind, given) for fault in error.errors(include_url=False))


def _sentence(fault: Any, kind: type[BaseModel], given: Mapping[str, Any]) -> str:
    names, entry = _split(fault["loc"])
    if fault["type"] == "extra_forbidden":
        return _unknown(names, kind)
    wanted = WANTED.get(fault["type"], fault["msg"].removeprefix("Value error, ").replace("Input should", "should"))
    if fault["type"] == "too_long":
        wanted = f"should have {fault['ctx']['max_length']} entries"
    if not names:
        return str(wanted)
    value = _value(given, names)
    place = f"entry {entry + 1} " if entry is not None else ""
    if value is given or (isinstance(value, Mapping) and fault["type"] not in WANTED):  # fields contradict each other
        return f"{'.'.join(names)}{'' if fault['type'] == 'missing' else ':'} {wanted}"
    return f"{'.'.join(names)}={value!r}: {place}{wanted}"


def _split(location: Sequence[str | int]) -> tuple[list[str], int | None]:
    """Names of nested fields, and the place in a list, counted from 0, if the fault is there."""
    names = [part for part in location if isinstance(part, str)]
    places = [part for part in location if isinstance(part, int)]
    return names, places[0] if places else None


def _value(given: Any, names: Sequence[str]) -> Any:
    """The value that was given under nested names; the whole where it was not."""
    value = given
    for name in names:
        if not isinstance(value, Mapping) or name not in value:
            return given
        value = value[name]
    return value


def _unknown(names: Sequence[str], kind: type[BaseModel]) -> str:
    fields = kind.model_fields
    for name in names[:-1]:
        inner = fields[name].annotation
        assert isinstance(inner, type) and issubclass(inner, BaseModel)
        fields = inner.model_fields
    return unknown(".".join(names), fields)


def unknown(name: str, known: Iterable[str]) -> str:
    """The sentence that refuses a parameter's name.

    Args:
        name: with the names of the fields that it is inside of in front, and dots between.
    """
    nearest = difflib.get_close_matches(name.rpartition(".")[2], list(known), n=1)
    hint = f"did you mean {nearest[0]}? The" if nearest else "the"
    return f"parameter {name!r} is unknown; {hint} known ones are {', '.join(known)}"
