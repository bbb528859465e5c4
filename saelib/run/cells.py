"""What a cell of a notebook does to names, read from its source.

In: a cell's source as IPython keeps it in `In`. Out: the names that it sets, what it imports, and whether it does more.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from typing import Any


def names_set_by(cell: str) -> set[str]:
    """Names that the cell's statements set, after a magic such as `%time` too; not those inside functions."""
    return {node.id for node in _nodes(cell) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def names_read_by(cell: str) -> set[str]:
    """Names that the cell reads, but for those that only its comprehensions and functions know."""
    nodes = [node for statement in _statements(cell) for node in ast.walk(statement)]
    own = {node.id for one in nodes if isinstance(one, ast.comprehension) for node in ast.walk(one.target)
           if isinstance(node, ast.Name)} | {node.arg for node in nodes if isinstance(node, ast.arg)}  # fmt: skip
    return {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)} - own


def loops(cell: str) -> bool:
    """Whether the cell has a loop, whose variables are names that it sets; a comprehension is none."""
    return any(isinstance(node, ast.For | ast.AsyncFor | ast.While) for node in _nodes(cell))


def calls(cell: str, function: str) -> bool:
    """Whether the cell calls a function of that name."""
    called = [node.func for node in _nodes(cell) if isinstance(node, ast.Call)]
    return any(function in (getattr(func, "id", None), getattr(func, "attr", None)) for func in called)


def mere_literals(cell: str) -> bool:
    """Whether the cell does nothing but set names to literals (papermill writes float('nan'))."""
    return all(
        _is_text(statement) or (
            isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None and not any(
                isinstance(node, ast.Name) and node.id != "float" for node in ast.walk(statement.value)
            )
        )
        for statement in _statements(cell)
    )  # fmt: skip


def imports_of(cell: str, namespace: Mapping[str, Any]) -> Iterator[tuple[str, int, bool]]:
    """What the cell imported from modules: name, identity (a name may be set since), and whether by a star."""
    for node in _nodes(cell):
        module = sys.modules.get(node.module or "") if isinstance(node, ast.ImportFrom) else None
        if module is None or not isinstance(node, ast.ImportFrom):
            continue
        for alias in node.names:
            names = vars(module) if alias.name == "*" else {alias.name: ...}
            for name in names:
                known_as = alias.asname or name
                if known_as in namespace and getattr(module, name, ...) is namespace[known_as]:
                    yield known_as, id(namespace[known_as]), alias.name == "*"


def _nodes(cell: str) -> Iterator[ast.AST]:
    """All nodes but those inside functions, classes and comprehensions, whose names are their own."""
    waiting: list[ast.AST] = [*_statements(cell)]
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda | ast.comprehension):
            waiting += ast.iter_child_nodes(node)


def _statements(cell: str) -> list[ast.stmt]:
    """The cell's statements, what a magic runs in the place of the magic; none where it cannot be read."""
    try:
        statements = ast.parse(cell).body
    except SyntaxError:  # of another language, or it failed
        return []
    return [one for statement in statements for one in _run_by(statement)]


def _run_by(statement: ast.stmt) -> list[ast.stmt]:
    """The statement; of a magic, which IPython keeps as a call with a text at its end, what that text says."""
    match statement:
        case ast.Expr(ast.Call(ast.Attribute(attr="run_line_magic" | "run_cell_magic"), [*_, ast.Constant(str(text))])):
            return _statements(text)
    return [statement]


def _is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
