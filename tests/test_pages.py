"""What README and the pages behind it name is there: paths, links, make targets, modules, notebooks."""

import importlib.util
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pandas as pd
import pytest

import saelib
from saelib.batch.notebooks import NOTEBOOKS
from saelib.run.files import PROJECT
from tests.helpers.names import find
from tests.helpers.pages import PAGES, check_columns, fences, inline_code, links, read_page, without_section

FOLDERS = ("saelib", "tests", "notebooks", "results", "benchmarks")
GENERATED = ("runs", ".venv", ".venv-peers")  # made by make, absent from a fresh clone
KEPT_SUFFIXES = {".cff", ".csv", ".ipynb", ".lock", ".md", ".py", ".toml", ".yml"}  # a bare file name of ours
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")
NOTEBOOK = re.compile(r"\d\d_\w+")


def named_paths(text: str, folder: Path = PROJECT) -> Iterator[str]:
    """Paths in links, in file trees (a fenced block whose lines open with a path), and in inline code."""
    yield from links(text)
    for block in fences(text, "", "text"):
        yield from tree_paths(block)
    for code in inline_code(text):
        if PATH.fullmatch(code) and is_ours(code, folder):
            yield code


def is_ours(code: str, folder: Path) -> bool:
    """Whether inline code means a file of this project, rather than a hub name, an attribute or a file of a run."""
    first, suffix = PurePosixPath(code).parts[0], PurePosixPath(code).suffix
    if first in GENERATED:
        return False
    if "/" in code.rstrip("/"):
        return (PROJECT / first).exists() or (folder / first).exists() or suffix in KEPT_SUFFIXES
    return code.endswith("/") or suffix in KEPT_SUFFIXES


def tree_paths(block: str) -> Iterator[str]:
    """Paths of a file tree: the first word of each line, inside the folder that it is indented under."""
    folders: list[tuple[int, str]] = []
    for line in filter(str.strip, block.splitlines()):
        word = line.split()[0]
        if not PATH.fullmatch(word) or not ("/" in word or "." in word[1:] or (PROJECT / word).exists()):
            return  # a shell session or a diagram, not a tree
        indent = len(line) - len(line.lstrip())
        folders = [(depth, folder) for depth, folder in folders if depth < indent]
        path = "".join(folder for _, folder in folders) + word
        if PurePosixPath(path).parts[0] not in GENERATED:
            yield path
        if word.endswith("/"):
            folders.append((indent, word))


def exists(path: str, folder: Path) -> bool:
    """Whether a path is there: seen from the project, from the page's folder or, a bare name, anywhere."""
    bare = path.rstrip("/")
    anywhere = "/" not in bare and any(any((PROJECT / top).glob(f"**/{bare}")) for top in FOLDERS)
    return (PROJECT / path).exists() or (folder / path).exists() or anywhere


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page: str) -> None:
    folder = (PROJECT / page).parent
    text = without_section(read_page(page), "Files of a run")
    assert not [path for path in named_paths(text, folder) if not exists(path, folder)]
    assert not [link for link in links(text) if not (folder / link).exists()], "links are relative to the page"


def test_the_path_finder_sees_trees_links_and_code() -> None:
    text = "See [x](docs/a.md#top), `saelib/gone.py`, `EleutherAI/pythia`, `runs/tiny/report.html`, `cfg.json`.\n"
    text += "```bash\nmake test\n```\n"
    text += "```\nsaelib/    the library\n  sae.py   one\n  embedded/\n    train.py\nMakefile   targets\n```\n"
    text += "```text\nforward    a diagram\n```\n"
    assert list(named_paths(text)) == [
        "docs/a.md",
        "saelib/",
        "saelib/sae.py",
        "saelib/embedded/",
        "saelib/embedded/train.py",
        "Makefile",
        "saelib/gone.py",
    ]
    assert exists("figures.py", PROJECT) and exists("tasks.py", PROJECT / "saelib" / "htest")
    assert not exists("gone.py", PROJECT) and not exists("saelib/tasks.py", PROJECT)


def test_the_rooms_of_readme_and_of_help_are_those_of_the_contract() -> None:
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    rooms = contracts["contracts"][0]["layers"][::-1]
    *_, tree = fences(read_page("README.md"), "text")
    assert [path.rstrip("/") for path in tree_paths(tree)] == rooms
    assert re.findall(r"^    (\w+) {3,}\w", saelib.__doc__ or "", re.MULTILINE) == rooms
    assert " <- ".join(rooms) in read_page("CONTRIBUTING.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_its_variables_exist(page: str) -> None:
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z]+) \?=", makefile, re.MULTILINE))
    calls = list(make_calls(read_page(page)))
    assert {target for target, _ in calls} <= targets
    assert {name for _, given in calls for name in re.findall(r"\b([A-Z]+)=", given)} <= variables


def make_calls(text: str) -> Iterator[tuple[str, str]]:
    """Target and what follows it of every call of make, which opens a line of a shell block or inline code."""
    commands = [line for block in fences(text, "bash") for line in block.splitlines()] + inline_code(text)
    for command in commands:
        if call := re.match(r"make ([a-z]+)([^#]*)", command):
            yield call[1], call[2]


def test_the_commands_that_a_newcomer_types_stand_in_readme() -> None:
    assert {"reproduce", "test", "lab"} <= {target for target, _ in make_calls(read_page("README.md"))}
    sample = "`apt install make python3-venv` `make lab`\n```bash\nmake reproduce RUN=a  # make coffee\n```\n"
    assert list(make_calls(sample)) == [("reproduce", " RUN=a  "), ("lab", "")]


def is_program(module: str) -> bool:
    """Whether `python -m module` does something."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return False
    path = Path(spec.origin)
    return path.with_name("__main__.py").is_file() if path.name == "__init__.py" else "__main__" in path.read_text()


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_is_named_is_there(page: str) -> None:
    text = read_page(page)
    code = "\n".join([*inline_code(text), *fences(text, "bash", "python")])
    assert not [name for name in re.findall(r"\bsaelib(?:\.\w+)+", code) if find(name) is None]
    assert not [module for module in re.findall(r"-m (saelib[\w.]+)", code) if not is_program(module)]


def test_the_finder_of_modules_can_fail() -> None:
    there = ("saelib.sae.autoencoder.SparseAutoencoder.encode", "saelib.open_experiment", "saelib.HTestConfig.shots")
    assert None not in [find(name) for name in there]
    assert find("saelib.sae.autoencoder.Gone") is find("saelib.gone") is find("saelib.HTestConfig.shot") is None
    assert is_program("saelib.htest.audit") and is_program("saelib.batch.publish")
    assert not is_program("saelib.sae") and not is_program("saelib.htest.tasks") and not is_program("saelib.gone")


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])  # which tells of old ones too
def test_every_notebook_that_is_named_is_there(page: str) -> None:
    text = read_page(page)
    named = {code for code in inline_code(text) if NOTEBOOK.fullmatch(code)}
    assert named <= {notebook.name for notebook in NOTEBOOKS}
    for shown, target in re.findall(r"\[`(\d\d_\w+)`\]\(([^)]+)\)", text):
        assert PurePosixPath(target).stem == shown


def test_the_check_of_columns_can_fail(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(
        "## Columns of `a.parquet`\n\n| column | meaning |\n|---|---|\n| `x`, `y` | with `z` |\n\n## Next\n"
    )
    check_columns(pd.DataFrame(columns=["x", "y", "z"]), page, "a.parquet")
    with pytest.raises(AssertionError, match="does not define these columns"):
        check_columns(pd.DataFrame(columns=["x", "y", "w"]), page, "a.parquet")
    with pytest.raises(AssertionError, match="does not have"):
        check_columns(pd.DataFrame(columns=["x"]), page, "a.parquet")
