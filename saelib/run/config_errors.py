"""What is wrong with the values of a config, in sentences: each field, its value, and what would be right.

In: what pydantic found, and the values that were given. Out: one message with a line for each fault.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    "invalid_key": "should name its fields by texts",
    "string_unicode": "has a sign that no file can hold",
    "too_long": "should have {max_length} entries",
}
NO_SIGN = re.compile("[\0\ud800-\udfff]")  # ends a text in many programs; half of a pair, which is no UTF-8
LONGEST_SHOWN = 300  # signs of a value in a message
WHOLE_BELOW = 2**63  # where JSON, parquet and the libraries' whole numbers end
LARGEST, SMALLEST = 3.4e38, 1.2e-38  # of float32, beyond which a number is infinite, or loses its digits and is 0


def describe(error: ValidationError, kind: type[BaseModel], given: Mapping[str, Any]) -> str:
    """The faults that a validation found, a line for each."""
    return "\n".join(_sentence(fault, kind, given) for fault in error.errors(include_url=False))


def shown(value: Any) -> str:
    """The value as Python writes it, cut where that is long."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no number of more than 4,300 digits
        return "a value too long to be shown"
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN // 2]}... ({len(text):,} signs)"


def without_place(value: Any) -> str | None:
    """Which part of a value no file or no computation has a place for, and what would be right; None: all of it has."""
    for part in _parts(value):
        match part:
            case bool():
                pass
            case int() if not -WHOLE_BELOW < part < WHOLE_BELOW:
                return f"{shown(part)} is more than 64 bits hold; should be below {WHOLE_BELOW}"
            case float() if part and not SMALLEST <= abs(part) <= LARGEST:
                return f"{part!r} is no number of float32; should be 0, or from {SMALLEST:g} to {LARGEST:g}"
            case str() if NO_SIGN.search(part):
                return "has a sign that no file can hold; should be letters, digits and signs of Unicode"
    return None


def _parts(value: Any) -> Iterator[Any]:
    """The numbers and texts in a value: itself, or those of a list or mapping, names included."""
    if isinstance(value, tuple):
        for entry in value:
            yield from _parts(entry)
    elif isinstance(value, Mapping):
        yield from _parts((*value.keys(), *value.values()))
    else:
        yield value


def _sentence(fault: Any, kind: type[BaseModel], given: Mapping[str, Any]) -> str:
    names, entry = _split(fault["loc"])
    if fault["type"] == "extra_forbidden":
        if "." in names[-1]:
            outer, _, inner = names[-1].partition(".")
            remedy = f"a field inside another is given as {shown(outer)[1:-1]}={{{shown(inner)}: ...}}"
            return f"parameter {shown(names[-1])} is unknown; {remedy}"
        return unknown(".".join(names), kind)
    wanted = _wanted(fault)
    if not names:
        return wanted
    value = _value(given, names)
    place = f"entry {entry + 1} " if entry is not None and fault["type"] != "invalid_key" else ""
    if value is given or (isinstance(value, Mapping) and fault["type"] not in WANTED):  # fields contradict each other
        return f"{'.'.join(names)}{'' if fault['type'] == 'missing' else ':'} {wanted}"
    return f"{'.'.join(names)}={shown(value)}: {place}{wanted}"


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
    return f"parameter {shown(name)} is unknown; {hint} known ones are {', '.join(known)}"


def _all_fields(kinds: Iterable[type[BaseModel]]) -> list[str]:
    """Names of all fields, each once, those of a config inside behind a dot: "scratch.learning_rate"."""
    names: list[str] = []
    for name, field in (named for kind in kinds for named in kind.model_fields.items()):
        names.append(name)
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            names += [f"{name}.{part}" for part in _all_fields([inner])]
    return list(dict.fromkeys(names))
