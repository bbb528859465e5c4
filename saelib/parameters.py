"""From a notebook's parameters cell to `open_experiment`, so that no parameter is lost on the way.

In: the notebook's namespace. Out: its parameters by name. papermill only warns of a parameter that a notebook does
not know; here every literal in the namespace is handed on, and `resolve_config` refuses what it does not know.
"""

from collections.abc import Mapping
from typing import Any

IPYTHON_NAMES = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})
SCALARS = (str, int, float, bool, type(None))


def notebook_parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The literals in a notebook's namespace: `open_experiment(**notebook_parameters(globals()))`.

    A literal is a text, a number, a truth value, None, or a list, tuple or dict of literals. Private names and
    IPython's own are left out. Call it right after the parameters cell, before any other literal has a name.
    """
    return {
        name: value
        for name, value in namespace.items()
        if not name.startswith("_") and name not in IPYTHON_NAMES and _is_literal(value)
    }


def _is_literal(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_literal(key) and _is_literal(entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_literal, value))
    return type(value) in SCALARS
