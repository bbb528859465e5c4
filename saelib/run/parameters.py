"""From a notebook's parameters cell to the configs of its run, so that no parameter is lost on the way.

In: the notebook's namespace. Out: its parameters by name, divided among configs where there are several. papermill
only warns of a parameter that a notebook does not know; here every one is handed on, and the configs refuse what they
do not know.
"""

import ast
from collections.abc import Iterable, Mapping
from typing import Any

from saelib.run.config import Config
from saelib.run.config_errors import unknown

IPYTHON_NAMES = frozenset({"In", "Out", "exit", "quit", "get_ipython", "open"})
SCALARS = (str, int, float, bool, type(None))


def notebook_parameters(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters in a notebook's namespace: `open_experiment(**notebook_parameters(globals()))`.

    These are the names with a literal value (a text, a number, a truth value, None, or a list, tuple or dict of them)
    that a cell of mere assignments set: the parameters cell, and the one that papermill puts after it. What other
    cells compute is none, so that this cell may run again later. Where IPython keeps no history of cells (under nbval),
    or outside it, every literal counts that is not an imported CONSTANT.
    """
    literals = {name: value for name, value in namespace.items() if _is_public(name) and _is_literal(value)}
    assigned = {name for cell in namespace.get("In", []) for name in _mere_assignments(cell)}
    return {name: value for name, value in literals.items() if (name in assigned if assigned else not name.isupper())}


def divide(parameters: Mapping[str, Any], *configs: type[Config]) -> list[dict[str, Any]]:
    """The parameters of each config, by the names of its fields; one that several know goes to all of these.

    Raises:
        ValueError: names every parameter that no config knows.
    """
    known = {name for config in configs for name in config.model_fields}
    if faults := [unknown(name, *configs) for name in parameters if name not in known]:
        raise ValueError("\n".join(faults))
    return [{name: value for name, value in parameters.items() if name in config.model_fields} for config in configs]


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name not in IPYTHON_NAMES


def _is_literal(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_literal(key) and _is_literal(entry) for key, entry in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_literal, value))
    return type(value) in SCALARS


def _mere_assignments(cell: str) -> Iterable[str]:
    """Names that a cell sets, if it does nothing but set names to literals (papermill writes float('nan'))."""
    try:
        statements = ast.parse(cell).body
    except SyntaxError:  # a magic, or a cell that failed: not the parameters cell
        return set()
    names: set[str] = set()
    for statement in statements:
        if not isinstance(statement, ast.Assign):
            return set()
        if any(isinstance(node, ast.Name) and node.id != "float" for node in ast.walk(statement.value)):
            return set()
        names |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
    return names
