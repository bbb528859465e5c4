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
    "model_type": "should name fields and their values, such as {{'learning_rate': 0.001}}",
    "greater_than": "should be above {gt:.12g}",
    "greater_than_equal": "should be at least {ge:.12g}",
    "less_than": "should be below {lt:.12g}",
    "less_than_equal": "should be at most {le:.12g}",
    "too_long": "should have {max_length} entries",
}


def describe(error: ValidationError, kind: type[BaseModel], given: Mapping[str, Any]) -> str:
    """The faults that a validation found, a line for each."""
    return "\n".join(_sentence(fault, kind, given) for fault in error.errors(include_url=False))


def _sentence(fault: Any, kind: type[BaseModel], given: Mapping[str, Any]) -> str:
    names, entry = _split(fault["loc"])
    if fault["type"] == "extra_forbidden":
        if "." in names[-1]:
            outer, _, inner = names[-1].partition(".")
            return f"parameter {names[-1]!r} is unknown; a field inside another is given as {outer}={{{inner!r}: ...}}"
        return unknown(".".join(names), kind)
    wanted = _wanted(fault)
    if not names:
        return wanted
    value = _value(given, names)
    place = f"entry {entry + 1} " if entry is not None else ""
    if value is given or (isinstance(value, Mapping) and fault["type"] not in WANTED):  # fields contradict each other
        return f"{'.'.join(names)}{'' if fault['type'] == 'missing' else ':'} {wanted}"
    return f"{'.'.join(names)}={value!r}: {place}{wanted}"


def _wanted(fault: Any) -> str:
    if fault["type"] in WANTED:
        return WANTED[fault["type"]].format(**fault.get("ctx", {}))
    return str(fault["msg"].removeprefix("Value error, ").replace("Input should", "should"))


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


def unknown(name: str, *kinds: type[BaseModel]) -> str:
    """The sentence that refuses a parameter's name, with those it may stand for.

    These are the nearest name, and fields of that name inside a config inside.

    Args:
        name: with the names of the fields that it is inside of in front, and dots between.
        kinds: the configs that do not know it.
    """
    outer, _, last = name.rpartition(".")
    start = f"{outer}." if outer else ""
    inside = [field.removeprefix(start) for field in _all_fields(kinds) if field.startswith(start)]
    known = [field for field in inside if "." not in field]
    namesakes = [field for field in inside if field.endswith(f".{last}")]
    likely = [start + field for field in dict.fromkeys([*namesakes, *difflib.get_close_matches(last, known, n=1)])]
    hint = f"did you mean {' or '.join(likely)}? The" if likely else "the"
    return f"parameter {name!r} is unknown; {hint} known ones are {', '.join(known)}"


def _all_fields(kinds: Iterable[type[BaseModel]]) -> list[str]:
    """Names of all fields, each once, those of a config inside behind a dot: "scratch.learning_rate"."""
    names: list[str] = []
    for name, field in (named for kind in kinds for named in kind.model_fields.items()):
        names.append(name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += [f"{name}.{part}" for part in _all_fields([inner])]
    return list(dict.fromkeys(names))
