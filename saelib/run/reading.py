"""Readers of the files that this kit keeps: a value, or an error that says what is wrong, where, and what to do.

In: paths of JSON, JSON lines, parquet and safetensors files. Out: what they hold, whole; whatever a library raises over
their content becomes one `DamagedFileError`. A file that is not there stays a `FileNotFoundError`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from saelib.run.parquet import read_parquet

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from torch import Tensor

Parsed = TypeVar("Parsed")

REMEDY = "put it back from a copy, or delete it and run again"
CONTENT_ERRORS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RecursionError)


class DamagedFileError(ValueError):
    """A file whose content is not what its name promises; the message names file, place and remedy."""


@contextmanager
def naming_damage(path: Path, kind: str, remedy: str = REMEDY) -> Iterator[None]:
    """Have whatever is raised over the content of a file said by its name.

    Args:
        kind: what the file should be, to go on after "is": "no whole parquet file".

    Raises:
        DamagedFileError: in place of errors of values, and of what pyarrow and safetensors raise of their own.
        OSError: the file is not there, or may not be read.
    """
    try:
        yield
    except DamagedFileError:
        raise
    except Exception as error:
        if not _is_of_content(error):
            raise
        raise DamagedFileError(f"{path} is {kind} ({_said(error)}); {remedy}") from error


def _is_of_content(error: Exception) -> bool:
    """pyarrow raises an OSError without a number over damaged pages."""
    if isinstance(error, OSError):
        return error.errno is None
    library = type(error).__module__.partition(".")[0]
    return isinstance(error, CONTENT_ERRORS) or library in ("pyarrow", "safetensors", "safetensors_rust")


def _said(error: Exception) -> str:
    """An error in one line; the message of a KeyError alone is a mere name."""
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return f"line {line}, byte {error.start}: 0x{error.object[error.start]:02x} is not UTF-8"
    text = " ".join(str(error).split())
    return text if type(error) in (ValueError, json.JSONDecodeError) else f"{type(error).__name__}: {text}"


def read_json(path: Path, parse: Callable[[Any], Any] | None = None, remedy: str = REMEDY) -> Any:
    """What `parse` makes of the JSON value in `path`; the value as it is without one.

    Raises:
        DamagedFileError: the file is no UTF-8, no JSON, or not what `parse` wants.
    """
    with naming_damage(path, "not valid JSON", remedy):
        value = _json(path.read_bytes())
    if parse is None:
        return value
    with naming_damage(path, "not what it should be", remedy):
        return parse(value)


def read_json_object(path: Path, remedy: str = REMEDY) -> dict[str, Any]:
    """The JSON object in `path`.

    Raises:
        DamagedFileError: as `read_json`, or it holds another kind of value.
    """
    return dict(read_json(path, as_object, remedy))


def as_object(value: Any) -> dict[str, Any]:
    """A JSON value, if it is an object.

    Raises:
        TypeError: it is of another kind.
    """
    if not isinstance(value, dict):
        raise TypeError(f"it holds {value!r:.40} in place of an object with names and values")
    return value


def read_json_lines(
    path: Path, parse: Callable[[Any], Parsed], remedy: str = "mend it, or delete the file to have it made again"
) -> list[Parsed]:
    """What `parse` makes of the JSON value of each line.

    Raises:
        DamagedFileError: a line is no UTF-8, no JSON, or not what `parse` wants; the message names file and line.
    """
    parsed = []
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                parsed.append(parse(_json(line)))
            except CONTENT_ERRORS as error:
                problem = f"{path}, line {number}, cannot be read ({type(error).__name__}: {error})"
                raise DamagedFileError(f"{problem}; {remedy}") from error
    return parsed


def _json(content: bytes) -> Any:
    """A JSON value of UTF-8 bytes; NaN and infinity are none."""
    return json.loads(content.decode("utf-8-sig"), parse_constant=_refuse)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON value")


def read_table(
    path: Path, columns: Sequence[str] | None = None, remedy: str = REMEDY, needed: Sequence[str] = ()
) -> "pd.DataFrame":
    """The table of a parquet file, or some of its columns.

    Args:
        needed: columns without which it is another table.

    Raises:
        DamagedFileError: it is no whole parquet file, its bytes were changed (where it has checksums), or it lacks one
            of the columns.
    """
    _check_readable(path)
    with naming_damage(path, "no whole parquet file", remedy):
        table = read_parquet(path, columns)
    if absent := [name for name in needed if name not in table]:
        raise DamagedFileError(f"{path} is another table: it has no column {' and '.join(absent)}; {remedy}")
    return table


def read_csv(path: Path, remedy: str = REMEDY) -> "pd.DataFrame":
    """The table of a CSV file.

    Raises:
        DamagedFileError: it is no table in UTF-8.
    """
    import pandas as pd

    with naming_damage(path, "no whole table", remedy):
        return pd.read_csv(path)


def read_tensors(path: Path, device: str = "cpu", remedy: str = REMEDY) -> "dict[str, Tensor]":
    """The tensors of a safetensors file by their names.

    Raises:
        DamagedFileError: it is no whole safetensors file.
    """
    from safetensors.torch import load_file

    _check_readable(path)
    with naming_damage(path, "no whole safetensors file", remedy):
        return load_file(path, device)


def read_arrays(path: Path, remedy: str = REMEDY) -> "dict[str, np.ndarray]":
    """The same as arrays of numpy.

    Raises:
        DamagedFileError: it is no whole safetensors file.
    """
    from safetensors.numpy import load_file

    _check_readable(path)
    with naming_damage(path, "no whole safetensors file", remedy):
        return load_file(path)


def _check_readable(path: Path) -> None:
    """Have the system's own errors raised, by name, before a library has others; pandas reads a folder as a table."""
    path.open("rb").close()
