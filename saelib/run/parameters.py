"""From a notebook's parameters cell to the configs of its run, so that no parameter is lost on the way.

In: the notebook's namespace. Out: its parameters by name, divided among configs where there are several. papermill
only warns of a parameter that a notebook does not know; here every one is handed on, and the configs refuse what they
do not know.
"""

import __future__

import builtins
import os
from collections.abc import Iterable, Mapping, MutableMapping
from types import ModuleType
from typing import Any, NamedTuple

from saelib.run.cells import calls, imports_of, loops, mere_literals, names_read_by, names_set_by
from saelib.run.config import Config, RunConfig
from saelib.run.config_errors import unknown

KEPT = "_notebook_parameters"  # where the notebook's namespace keeps what the last call found
NO_VALUES = (ModuleType, __future__._Feature)
SCALARS = (str, int, float, bool, type(None))


class Kept(NamedTuple):
    """What a call found."""

    cells: int
    """How many the notebook had run."""
    parameters: dict[str, Any]
    names: frozenset[str]
    """All that the namespace had at the first call."""


def notebook_parameters(namespace: MutableMapping[str, Any]) -> dict[str, Any]:
    """The parameters in a notebook's namespace: `open_experiment(**notebook_parameters(globals()))`.

    These are the values of all names that the cells before this one set, however they set them: the parameters cell,
    and the one that papermill puts after it. Modules, functions and classes are none, nor is what was imported under a
    name that no config has, nor a name with "_" in front. Paths count as texts, numpy's numbers and arrays as Python's.

    When the cell with this call runs again later, the values stay those of the first time, whatever later cells made
    of these names, unless a parameters cell was run again: one that sets `preset`, `run` or `seed`, or names to
    literals and nothing else, or parameters of the first time without a loop and from nothing that came after that call
    (`layers = list(range(3))`). A name that was deleted is no longer there.

    Where IPython keeps no history of cells (under nbval), or outside it, every name counts but an imported CONSTANT.

    Raises:
        ValueError: a value can be no parameter, or a function, class or module has the name of one; the message names
            it and its cell.
    """
    cells = [*namespace.get("In", [])]
    kept: Kept | None = namespace.get(KEPT)
    if not any(cells):
        return _values(namespace, [name for name in namespace if not name.isupper()], cells)
    if kept is None:
        imported = {(name, known) for cell in cells for name, known, by_star in imports_of(cell, namespace)
                    if name not in _fields() or (by_star and not _can_be_value(namespace[name]))}  # fmt: skip
        found = _values(namespace, [name for name in namespace if (name, id(namespace[name])) not in imported], cells)
    else:
        still_there = {name: value for name, value in kept.parameters.items() if name in namespace}
        again = _set_again(cells[kept.cells :], still_there, kept.names)
        found = still_there | _values(namespace, [name for name in again if name in namespace], cells)
    namespace[KEPT] = Kept(len(cells), found, kept.names if kept else frozenset(namespace))
    return dict(found)


def divide(parameters: Mapping[str, Any], *configs: type[Config]) -> list[dict[str, Any]]:
    """The parameters of each config, by the names of its fields; one that several know goes to all of these.

    Raises:
        ValueError: names every parameter that no config knows.
    """
    known = {name for config in configs for name in config.model_fields}
    if faults := [unknown(name, *configs) for name in parameters if name not in known]:
        raise ValueError("\n".join(faults))
    return [{name: value for name, value in parameters.items() if name in config.model_fields} for config in configs]


def _fields() -> set[str]:
    """Names of all configs' fields: `from my_settings import preset, run` sets parameters."""
    configs: list[type[Config]] = [RunConfig, *RunConfig.__subclasses__()]
    return {name for config in configs for name in config.model_fields}


def _set_again(cells: Iterable[str], known: Mapping[str, Any], first_there: frozenset[str]) -> set[str]:
    """Names that parameters cells among these cells set, and a cell with the call itself, of those that it set before.

    Args:
        known: parameters by now.
        first_there: names of the namespace at the first call; what reads others is no parameters cell that runs again.
    """
    sources = (first_there | vars(builtins).keys()) - known.keys()
    again: set[str] = set()
    for cell in cells:
        names = names_set_by(cell)
        if calls(cell, notebook_parameters.__name__):
            again |= names & known.keys()
        elif names & RunConfig.model_fields.keys() or mere_literals(cell):
            again |= names
        elif not loops(cell) and names_read_by(cell) <= sources:
            again |= names & known.keys()
    return again


def _values(namespace: Mapping[str, Any], names: Iterable[str], cells: list[str]) -> dict[str, Any]:
    """The values of those names that are parameters, as plain ones."""
    started_with, fields = _hidden(namespace), _fields()
    found = {}
    for name in names:
        value = namespace[name]
        if name.startswith("_") or name in {"In", "Out"} or started_with.get(name, ...) is value:
            continue
        if not _can_be_value(value) and name not in fields:
            continue
        try:
            found[name] = _plain(value)
        except (TypeError, RecursionError) as error:  # the second of a list that holds itself
            places = [number for number, cell in enumerate(cells) if name in names_set_by(cell)]
            cell = f"In [{places[-1]}] sets " if places else ""
            raise ValueError(
                f"{cell}{name}={value!r}: {error}, and a parameter is a text, a number, a truth value, None, or a list "
                "or dict of such; put '_' in front of a name that is no parameter"
            ) from error
    return found


def _can_be_value(value: Any) -> bool:
    return not (isinstance(value, NO_VALUES) or callable(value))


def _hidden(namespace: Mapping[str, Any]) -> Mapping[str, Any]:
    """What IPython itself, and the user's start-up files, put into the namespace before the first cell."""
    shell = namespace["get_ipython"]() if callable(namespace.get("get_ipython")) else None
    return getattr(shell, "user_ns_hidden", {})


def _plain(value: Any) -> Any:
    """A value as a config takes it.

    Raises:
        TypeError: it cannot be one.
    """
    if type(value) in SCALARS:
        return value
    if hasattr(value, "tolist") and hasattr(value, "shape"):  # numpy's numbers and arrays
        return _plain(value.tolist())
    if isinstance(value, os.PathLike):
        return _plain(os.fspath(value))
    if isinstance(value, Mapping):
        return {_plain(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if isinstance(value, list | range):
        return list(map(_plain, value))
    raise TypeError(f"this is of type {type(value).__name__}")
