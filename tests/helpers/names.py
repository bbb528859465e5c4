"""What a dotted name of the library means: a module, or something in one."""

import importlib
from typing import Any

from pydantic import BaseModel


def find(name: str) -> Any:
    """The module, class, function, method or field of a config that a full dotted name means; None if there is none."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:count]))
        except ModuleNotFoundError:
            continue
        for part in parts[count:]:
            is_config = isinstance(found, type) and issubclass(found, BaseModel)
            found = (
                found.model_fields.get(part, getattr(found, part, None)) if is_config else getattr(found, part, None)
            )
        return found
    return None
