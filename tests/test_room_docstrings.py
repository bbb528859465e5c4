"""The docstring of a room is its start page: every name of the library in it is there.

The rule: code in a docstring of an `__init__.py` is a name, perhaps with arguments behind it, or `python -m` and a
module. A name is looked up inside the package, then in the packages around it; a name without a dot may also be
something inside a module or class that the same docstring names. Left out: names of files (with a slash, or a suffix
such as `.parquet`).
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import papermill  # noqa: F401 (it loads our engine, which cannot be imported before it)
import pytest

from saelib.run.files import PROJECT
from tests.helpers.names import find

PACKAGES = sorted((PROJECT / "saelib").rglob("__init__.py"))
FILE_SUFFIXES = {".html", ".json", ".jsonl", ".md", ".parquet", ".py"}
NAME = re.compile(r"(?:help\()?(?!help)([A-Za-z_]\w*(?:\.\w+)*)(?:[()].*)?")


def package_name(path: Path) -> str:
    return ".".join(path.parent.relative_to(PROJECT).parts)


def names_in(docstring: str) -> Iterator[str]:
    """Names of modules, functions and classes in backticks."""
    for code in re.findall(r"`([^`]+)`", docstring):
        code = " ".join(code.split())
        if program := re.fullmatch(r"python -m ([\w.]+)( [A-Z]+)*", code):
            yield program[1]
        elif "/" not in code and PurePosixPath(code).suffix not in FILE_SUFFIXES:
            name = NAME.fullmatch(code)
            yield name[1] if name else code  # a code that is no name is found nowhere, and so reported


def look_up(name: str, package: str) -> Any:
    """What a name means in a package or in one around it; None if nothing."""
    parts = package.split(".")
    places = [*(".".join(parts[:count]) for count in range(len(parts), 0, -1)), ""]
    found = (find(f"{place}.{name}".strip(".")) for place in places)
    return next((one for one in found if one is not None), None)


def wrong_names(docstring: str, package: str) -> list[str]:
    """Names in a docstring that are not there."""
    meant = {name: look_up(name, package) for name in names_in(docstring)}
    owners: list[Any] = [one for one in meant.values() if isinstance(one, ModuleType | type)]
    owners += [inspect.getmodule(one) for name, one in meant.items() if "." in name and callable(one)]
    return [
        name
        for name, found in meant.items()
        if found is None and ("." in name or not any(hasattr(owner, name) for owner in owners))
    ]


@pytest.mark.parametrize("path", PACKAGES, ids=package_name)
def test_every_name_in_the_docstring_of_a_room_is_there(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    assert docstring
    assert not wrong_names(docstring, package_name(path))


def test_the_finder_of_names_can_fail() -> None:
    docstring = """`items.item.Item`, `select`, `study.gone`, `gone`, `items.jsonl`, `runs/<run>/`, `two words`, `Item`,
    `open_experiment(x=1)`, `python -m saelib.gone FILE`, `help(saelib.htest.config.HTestConfig.seed)`."""
    assert wrong_names(docstring, "saelib.htest") == ["study.gone", "gone", "two words", "saelib.gone"]
    assert len(PACKAGES) > 15
