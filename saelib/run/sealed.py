"""A small JSON object that shows whether it is what was written, and whether it lies where it belongs.

In: values by name, and what they belong to. Out: a file with the values and a SHA-256 of both (`sha256`), and back
again: one changed byte is found, and so is the whole file of another place.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from saelib.run.files import write_json
from saelib.run.reading import as_object, read_json

Parsed = TypeVar("Parsed")

SUM = "sha256"


def write_sealed_json(path: Path, values: Mapping[str, Any], of: str) -> None:
    """Write values, atomically.

    Args:
        of: what they belong to, in any words; is not written, only part of the sum.
    """
    write_json(path, {**values, SUM: json_sum([of, dict(values)])})


def read_sealed_json(path: Path, parse: Callable[[dict[str, Any]], Parsed], of: str, remedy: str) -> Parsed:
    """What `parse` makes of the values.

    Args:
        of: what they should belong to, in the words of `write_sealed_json`.
        remedy: end of the message where they cannot be had.

    Raises:
        DamagedFileError: the file is not what was written, belongs elsewhere, or is not what `parse` wants.
    """

    def opened(content: Any) -> Parsed:
        values = dict(as_object(content))
        if values.pop(SUM, None) != json_sum([of, values]):
            raise ValueError(f"its {SUM} is that of another content, or of another place")
        return parse(values)

    parsed: Parsed = read_json(path, opened, remedy)
    return parsed


def json_sum(value: Any, **renamed: str) -> str:
    """SHA-256 of what a JSON value says, in the order in which it says it.

    Args:
        renamed: names that count as other ones, so that both sum up to the same.
    """
    content = json.dumps(value)
    for name, now in renamed.items():
        content = content.replace(f'"{name}": ', f'"{now}": ')
    return hashlib.sha256(content.encode()).hexdigest()
