"""Which library computed: one hash of the code that decides numbers, whatever its comments and layout.

In: rooms of `saelib`, or modules. Out: SHA-256 over their syntax trees. Two versions of the library that compute alike
have the same one; so have two versions of Python that read the same code.
"""

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from saelib.run.files import PROJECT

INPUT = "library"  # its name among a run's inputs
LIBRARY = PROJECT / "saelib"
WITHOUT_NUMBERS = tuple(
    f"language/{name}.py" for name in ("api", "figures", "hub", "metering", "patience", "request_budget",
                                       "server_errors", "gradients", "unembedding", "embedded/card",
                                       "embedded/train")
)  # fmt: skip
"""Modules of rooms that decide no number of a training, a score or a reply: they fetch, wait, count what is asked,
draw, word errors, or are for looking into what was trained."""
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@cache
def code_digest(*rooms: str, library: Path = LIBRARY) -> str:
    """Hexadecimal SHA-256 of the code of some rooms, as `code_of` writes it.

    Args:
        rooms: folders of the library with all beneath them but `WITHOUT_NUMBERS`, or modules: "sae",
            "transfer/plans.py".
        library: its folder.

    Raises:
        FileNotFoundError: there is no such room.
    """
    whole = hashlib.sha256()
    for path in modules_of(*rooms, library=library):
        whole.update(f"{path.relative_to(library).as_posix()}\n{code_of(path.read_text(encoding='utf-8'))}\n".encode())
    return whole.hexdigest()


def code_of(source: str) -> str:
    """A module's syntax tree as text, without what decides no number, and without what Pythons write differently.

    Comments, layout and docstrings are none of it, nor are the words of an error and the annotations of arguments and
    results. What is empty is left out by newer Pythons.
    """
    return _written(ast.parse(source))


def modules_of(*rooms: str, library: Path = LIBRARY) -> list[Path]:
    """The modules of some rooms, in the order of their names.

    Raises:
        FileNotFoundError: there is no such room.
    """
    aside = {library / name for name in WITHOUT_NUMBERS}
    return sorted({path for room in rooms for path in _modules(library / room)} - aside)


def _modules(room: Path) -> Iterator[Path]:
    if not room.exists():
        raise FileNotFoundError(f"{room} is no room of the library")
    yield from room.rglob("*.py") if room.is_dir() else [room]


def _written(node: object) -> str:
    if isinstance(node, list):
        return f"[{','.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise):
        return f"Raise({_written(node.exc.func) if isinstance(node.exc, ast.Call) else ''})"
    fields = {name: value for name, value in ast.iter_fields(node) if value not in (None, [])}
    if isinstance(node, ast.arg | ast.FunctionDef | ast.AsyncFunctionDef):
        fields = {name: value for name, value in fields.items() if name not in ("annotation", "returns")}
    if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
        fields["body"] = node.body[1:]
    return f"{type(node).__name__}({','.join(f'{name}={_written(value)}' for name, value in fields.items())})"
