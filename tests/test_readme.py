"""What README.md names is there: files, folders and make targets."""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from saelib.run.files import PROJECT

README = PROJECT / "README.md"
GENERATED = ("runs", ".venv", ".venv-peers")  # made by make, absent from a fresh clone
KEPT_SUFFIXES = {".cff", ".ipynb", ".lock", ".md", ".py", ".toml", ".yml"}  # a bare file name that means one of ours
PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/?")

pytestmark = pytest.mark.skipif(not README.exists(), reason="README.md is not there")


def readme() -> str:
    return README.read_text(encoding="utf-8")


def named_paths(text: str) -> Iterator[str]:
    """Paths in links, in inline code, and in file trees (a fenced block whose lines open with a path)."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:|#", target):
            yield target.partition("#")[0]
    fenced = re.findall(r"^```(?:text)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    for block in fenced:
        yield from tree_paths(block)
    for code in re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)):
        if PATH.fullmatch(code) and is_ours(code):
            yield code


def is_ours(code: str) -> bool:
    """Whether inline code means a file of this project, rather than a hub name, an attribute or a file of a run."""
    first = PurePosixPath(code).parts[0]
    if first in GENERATED:
        return False
    if "/" in code.rstrip("/"):
        return (PROJECT / first).exists() or PurePosixPath(code).suffix in KEPT_SUFFIXES
    return code.endswith("/") or PurePosixPath(code).suffix in KEPT_SUFFIXES


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


def test_every_path_in_readme_exists() -> None:
    missing = []
    for path in named_paths(readme()):
        bare = "/" not in path.rstrip("/")
        elsewhere = bare and any(PROJECT.glob(f"*/**/{path.rstrip('/')}"))
        if not (PROJECT / path).exists() and not elsewhere:
            missing.append(path)
    assert not missing


def test_every_make_target_in_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    code = re.findall(r"^```.*?^```|`[^`\n]+`", readme(), re.MULTILINE | re.DOTALL)
    named = {target for part in code for target in re.findall(r"\bmake ([a-z]+)", part)}
    assert {"reproduce", "test"} <= named, "the two commands that a newcomer types"
    assert named <= targets


def test_the_path_finder_sees_trees_links_and_code() -> None:
    text = "See [x](docs/a.md#top), `saelib/gone.py`, `EleutherAI/pythia`, `runs/tiny/report.html`, `cfg.json`.\n"
    text += "```\nsaelib/    the library\n  sae.py   one\n  embedded/\n    train.py\nMakefile   targets\n```\n"
    text += "```bash\nmake test\n```\n"
    assert list(named_paths(text)) == [
        "docs/a.md",
        "saelib/",
        "saelib/sae/autoencoder.py",
        "saelib/language/embedded/",
        "saelib/language/embedded/train.py",
        "Makefile",
        "saelib/gone.py",
    ]


QUOTED = ("tiny/savings.md", "tiny/tables/htest_accuracy.md", "tiny/tables/htest_fine_tuning.md", "benchmark.md",
          "benchmark_htest.md")  # fmt: skip


@pytest.mark.parametrize("table", [f"results/{name}" for name in QUOTED])
def test_tables_in_readme_are_those_of_the_results(table: str) -> None:
    """README quotes the result files; its numbers are not typed by hand."""
    rows = [line for line in (PROJECT / table).read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    assert rows
    assert not [row for row in rows if row not in readme().splitlines()]
