"""JSON lines that show whether they are what was written.

In: JSON objects. Out: a file with one in each line, with the line's own SHA-256 before it (`sha256`), and in the last
line of what is written at once the number of lines so far (`lines`): a changed byte is found in its line, and a file
that ends too early is found too. Behind the line, a cut could join its last value to the sum, and leave a line without
one. A file that grows keeps its lines as they are. Lines without a sum, by hand or of an earlier release, are believed.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from saelib.run.files import write_json_lines
from saelib.run.reading import DamagedFileError, as_object, read_json_lines
from saelib.run.sealed import SUM, json_sum

Parsed = TypeVar("Parsed")

COUNT = "lines"
REMEDY = "put the file back from a copy, or delete it to have it made again"


def write_sealed(path: Path, objects: Iterable[dict[str, Any]]) -> None:
    """Write JSON objects, one in each line, atomically; NaN and infinity are refused."""
    there, lines = _lines_there(path), [dict(values) for values in objects]
    sealed = [there[place] if _holds(there[place : place + 1], values) else _sealed(values)
              for place, values in enumerate(lines)]  # fmt: skip
    if lines and sealed[-1].get(COUNT) != len(lines):
        sealed[-1] = _sealed(lines[-1] | {COUNT: len(lines)})
    write_json_lines(path, sealed)


def _lines_there(path: Path) -> list[dict[str, Any]]:
    """What the lines of a file hold, sums included; nothing where it is not there or damaged."""
    try:
        return read_json_lines(path, as_object)
    except (FileNotFoundError, DamagedFileError):
        return []


def _holds(there: Sequence[dict[str, Any]], values: dict[str, Any]) -> bool:
    """Whether a line is there and holds these values."""
    plain = [{name: part for name, part in line.items() if name not in (SUM, COUNT)} for line in there]
    return any(_sum(line) == _sum(values) for line in plain)


def _sealed(values: dict[str, Any]) -> dict[str, Any]:
    return {SUM: _sum(values)} | values


def read_sealed(path: Path, parse: Callable[[dict[str, Any]], Parsed], remedy: str = REMEDY) -> list[Parsed]:
    """What `parse` makes of the object of each line.

    Raises:
        DamagedFileError: a line is no JSON, not what was written, or not what `parse` wants, or the file is not whole;
            the message names file, line and remedy.
    """
    counts: list[int | None] = []

    def opened(value: Any) -> Parsed:
        values, count = unsealed(value)
        counts.append(count)
        return parse(values)

    parsed = read_json_lines(path, opened, remedy)
    check_whole(path, counts, remedy)
    return parsed


def unsealed(value: Any) -> tuple[dict[str, Any], int | None]:
    """The object of a line, and what it says of the number of lines: 0 where nothing, None without a sum.

    Raises:
        TypeError: the line holds no object.
        ValueError: it is not what was written.
    """
    values = dict(as_object(value))
    known = values.pop(SUM, None)
    if known is None:
        return values, None
    if known != _sum(values):
        raise ValueError(f"its {SUM} is that of another content")
    return values, values.pop(COUNT, 0)


def check_whole(path: Path, counts: Sequence[int | None], remedy: str = REMEDY) -> None:
    """Refuse a file that lacks lines of those that were written, or has others beside them.

    Args:
        counts: what `unsealed` gave for each line.

    Raises:
        DamagedFileError: it is one.
    """
    for number, count in enumerate(counts, start=1):
        if count not in (None, 0, number):
            raise DamagedFileError(f"{path}, line {number}, was line {count} when it was written; {remedy}")
    if not counts:
        raise DamagedFileError(f"{path} is empty; {remedy}")
    if counts[-1] == 0:
        raise DamagedFileError(f"{path} ends after line {len(counts)}, and lines were behind it; {remedy}")


def _sum(values: dict[str, Any]) -> str:
    """Of what a line says, whether it calls a set of items so or, as earlier releases did, "version"."""
    return json_sum(values, version="item_set")
