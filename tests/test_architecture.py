"""The rooms of saelib: what stands where, who imports whom, and what an import costs."""

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import saelib
from saelib.run.files import PROJECT

LIBRARY = PROJECT / "saelib"
ROOMS = ("run", "results", "language", "sae", "transfer", "interpret", "htest", "batch")
HEAVY = {"torch", "transformers", "pandas", "matplotlib", "inspect_ai", "statsmodels", "scipy", "numba"}
MUST_WAIT = {"torch", "transformers", "pandas", "matplotlib"}  # until what needs them is used
INNER_ROOMS = sorted(
    f"{path.parent.parent.name}.{path.parent.name}"
    for room in ("interpret", "htest")
    for path in (LIBRARY / room).glob("*/__init__.py")
    if path.parent.name != "figures"  # they draw
)
REACHED_FIRST = ["saelib.transfer.experiment", "saelib.interpret.interpretation", "saelib.htest.study",
                 "saelib.htest.stages", "saelib.batch.notebooks"]  # fmt: skip
LIGHT = [
    "saelib",
    *(f"saelib.{room}" for room in ROOMS),
    *(f"saelib.{room}" for room in INNER_ROOMS),
    *REACHED_FIRST,
]


def test_the_top_holds_the_rooms_alone() -> None:
    found = {path.name for path in LIBRARY.iterdir() if path.name != "__pycache__"}
    assert found == {*ROOMS, "__init__.py", "py.typed"}


@pytest.mark.parametrize("name", LIGHT)
def test_importing_a_room_loads_nothing_heavy(name: str) -> None:
    code = f"import sys, {name}; print(*(sys.modules.keys() & {MUST_WAIT!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


SOME_ITEMS = """
from saelib import load_language_model
from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.asking.replies import Condition, make_replies
from saelib.htest.engines.local import LocalEngine
from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import select
items = fresh_items(seed=0, test=4)
test = select(items, "uppercase", "test")
prompts = render(test, choose_shots(select(items, "uppercase", "dev"), 2), "completion")
condition = Condition(model="embedded", form="completion", k=2, max_tokens=3)
make_replies(test, prompts, condition, LocalEngine(load_language_model("embedded", "cpu"))(test, prompts, condition))
"""
HARVEST = """
import torch
from saelib import load_language_model
load_language_model("embedded", "cpu").residual_streams(torch.zeros(1, 8, dtype=torch.long), [0])
"""
NOT_FOR_READING = {"transformers", "transformer_lens", "datasets", "pandas", "pyarrow", "scipy", "statsmodels",
                   "matplotlib", "seaborn", "inspect_ai", "openai", "accelerate", "huggingface_hub", "sympy",
                   "numba"}  # fmt: skip


@pytest.mark.parametrize("code", [SOME_ITEMS, HARVEST], ids=["ask a local model", "residual streams"])
def test_what_only_reads_with_the_embedded_model_loads_little_more_than_torch(code: str) -> None:
    """Importing transformers alone takes longer than PyTorch, the model and 200 items together."""
    shown = f"{code}\nimport sys; print(*sorted(sys.modules.keys() & {NOT_FOR_READING!r}))"
    done = subprocess.run([sys.executable, "-c", shown], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_what_a_user_types_first_is_at_hand() -> None:
    for name in dir(saelib):
        offered = getattr(saelib, name)
        assert offered is getattr(sys.modules[offered.__module__], name)
        assert offered.__doc__ and offered.__module__.startswith("saelib.")
    with pytest.raises(AttributeError, match="open_experimnet"):
        saelib.open_experimnet  # noqa: B018


def test_what_is_offered_is_what_a_type_checker_sees() -> None:
    (seen,) = [node for node in TREES["saelib"].body if isinstance(node, ast.If)]
    names = [alias.name for node in seen.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(names) == sorted(dir(saelib))
    assert set(saelib.__all__) <= set(names)


def test_the_contracts_hold() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    if not program.exists():
        pytest.skip(f"{program} is not there: `make test` installs import-linter")
    done = subprocess.run([program, "--no-cache"], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def module_name(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES = {module_name(path): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(LIBRARY.rglob("*.py"))}


def imported(node: ast.stmt) -> list[str]:
    """Full names of the modules that a statement imports; for a name out of a module, the module."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.module and not node.level, "own modules are imported by their full names"
        inside = [f"{node.module}.{alias.name}" for alias in node.names]
        return [name if name in TREES else node.module for name in inside]
    return []


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a module is imported, which leaves out functions and `if TYPE_CHECKING`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from at_import(node.orelse)
            continue
        yield node
        for name in ("body", "orelse", "finalbody"):
            yield from at_import(getattr(node, name, []))
        for handler in getattr(node, "handlers", []):
            yield from at_import(handler.body)


def with_packages(name: str) -> list[str]:
    """A module and the packages around it, all of which an import loads."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


DIRECT = {
    module: {part for node in at_import(tree.body) for name in imported(node) for part in with_packages(name)}
    for module, tree in TREES.items()
}


def loads(module: str) -> set[str]:
    """All modules that importing `module` loads, as far as our own sources tell."""
    found: set[str] = set()
    waiting = with_packages(module)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += DIRECT.get(name, set())
    return found


def in_functions(tree: ast.AST) -> Iterator[ast.stmt]:
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (node for node in ast.walk(function) if isinstance(node, ast.Import | ast.ImportFrom))


def test_own_modules_are_imported_inside_functions_only_to_defer_a_heavy_package() -> None:
    needless = [
        f"{module}, line {node.lineno}: {name}"
        for module, tree in TREES.items()
        for node in in_functions(tree)
        for name in imported(node)
        if name.split(".")[0] == "saelib" and not loads(name) & HEAVY
    ]
    assert not needless


def test_the_reader_of_imports_sees_what_they_load() -> None:
    """So that the test above can fail."""
    assert "torch" in loads("saelib.sae.training.train")
    assert "torch" in loads("saelib.sae.folder")
    assert not loads("saelib.run.config") & HEAVY
    assert not loads("saelib.transfer.directions") & HEAVY
    inner = ast.parse("def f():\n    from saelib.run import config\n    import torch")
    assert [imported(node) for node in in_functions(inner)] == [["saelib.run.config"], ["torch"]]
    guarded = ast.parse(
        "if TYPE_CHECKING:\n    import torch\ntry:\n    import pandas\nexcept ImportError:\n    import scipy"
    )
    assert [name for node in at_import(guarded.body) for name in imported(node)] == ["pandas", "scipy"]


def test_every_module_says_what_it_is_and_every_figure_has_a_name_of_its_own() -> None:
    assert not [module for module, tree in TREES.items() if not ast.get_docstring(tree)]
    named = [
        decorator.args[0].value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "figure"
        if isinstance(decorator.args[0], ast.Constant)
    ]
    assert len(named) > 20
    assert not [name for name, count in Counter(named).items() if count > 1]
