"""What JSON may hold for the fields of a dataclass, by their annotations.

In: a dataclass that was made of a JSON object. Out: nothing, or a TypeError that names the field.
"""

from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

# A field that is a dataclass itself is none of them: it is checked where it is made.
KINDS: dict[Any, tuple[type, ...]] = {
    str: (str,), int: (int,), float: (int, float), dict: (dict,), NoneType: (NoneType,),
}  # fmt: skip


def check_field_kinds(value: object) -> None:
    """Refuse a field that is of another kind than its annotation says; True is no number, and "1" neither.

    Raises:
        TypeError: one is.
    """
    kind: Any = type(value)  # mypy takes classes for unhashable
    for name, kinds in _kinds(kind).items():
        if type(found := getattr(value, name)) not in kinds:
            raise TypeError(f"{name}={found!r:.60} is of the wrong kind")


@cache
def _kinds(kind: type[Any]) -> dict[str, tuple[type, ...]]:
    found = {}
    for name, hint in get_type_hints(kind).items():
        parts = get_args(hint) if isinstance(hint, UnionType) else (hint,)
        found[name] = tuple(plain for part in parts for plain in KINDS.get(get_origin(part) or part, ()))
    return {name: kinds for name, kinds in found.items() if kinds}
