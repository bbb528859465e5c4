"""What `help` shows of a config: each field, what may be given for it, and its sentence.

In: the fields as pydantic knows them. Out: text for the docstring of a config's class.
"""

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel
from pydantic.fields import FieldInfo

PLAIN = {int: "whole number", float: "number", str: "text", bool: "True or False", types.NoneType: "None"}


def fields_help(kind: type[BaseModel], indent: str = "    ") -> Iterator[str]:
    """A line for each field: "l1_coefficient (number, at least 0): lambda, ..."; those of a config inside it below."""
    for name, field in kind.model_fields.items():
        sentence = " ".join((field.description or "").split())
        yield f"{indent}{name} ({_given(field)}): {sentence}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from fields_help(field.annotation, indent + "    ")


def _given(field: FieldInfo) -> str:
    limits = ", ".join(_limit(limit) for limit in field.metadata if isinstance(limit, Gt | Ge | Le | Lt))
    return ", ".join(filter(None, [_type_name(field.annotation), limits]))


def _type_name(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(map(repr, inner))
    if origin in (Union, types.UnionType):
        return " or ".join(map(_type_name, inner))
    if origin is tuple:
        count = "" if inner[-1] is Ellipsis else f"{len(inner)} "
        return f"list of {count}{_type_name(inner[0])}s"
    if hasattr(annotation, "__metadata__"):  # Annotated[type, limits]
        return _type_name(inner[0])
    return PLAIN.get(annotation, "its fields" if isinstance(annotation, type) else str(annotation))


def _limit(limit: Gt | Ge | Le | Lt) -> str:
    match limit:
        case Gt(value):
            return f"above {value}"
        case Ge(value):
            return f"at least {value}"
        case Le(value):
            return f"at most {value}"
        case Lt(value):
            return f"below {value}"
