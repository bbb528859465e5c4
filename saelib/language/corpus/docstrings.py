"""Docstrings of installed Python source as plain prose, one document for each module.

In: source files of the standard library and of pinned packages, parsed as text and never imported.
Out: documents of unwrapped paragraphs without code, tables and mark-up, in an order that depends on names alone.
"""

import ast
import hashlib
import json
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from saelib.language.corpus.text import Document
from saelib.run.files import PROJECT

PROCESSES = 2
EXTRACTION_VERSION = 1  # part of the corpus hash: raise it when the same sources yield other text

# Folder of each pinned distribution that is rich in prose.
PACKAGES = {
    name: "IPython" if name == "ipython" else name
    for name in (
        "datasets", "huggingface_hub", "ipython", "jinja2", "matplotlib", "mpmath", "networkx", "numpy", "pandas",
        "pyarrow", "seaborn", "setuptools", "sympy", "torch", "tornado", "transformers",
    )
}  # fmt: skip
# Tests hold little prose; the others are vendored copies or generated code.
SKIPPED_FOLDERS = frozenset({"test", "tests", "testing", "site-packages", "_vendor", "idlelib", "lib2to3", "_inductor"})

LEAST_PROSE = 0.93  # share of letters, blanks and sentence marks below which a paragraph is a table or code
LEAST_WORDS = 6
MARKUP = re.compile(r":[\w:]+:`~?\.?([^`<]+?)\s*(?:<[^`]*>)?`|`+([^`]*)`+_*|\*\*([^*]+)\*\*")
HEADING = re.compile(r"\A[^\n]*\n\s*([-=~^*#])\1{2,}[ \t]*(\n|\Z)")
NOT_PROSE = re.compile(r"[^A-Za-z .,;:'()\-]")


def package_versions() -> dict[str, str]:
    """Version of Python and of each package that is read, as the corpus hash records them.

    Raises:
        ModuleNotFoundError: a package is missing; `make test` and `make reproduce` install them all.
    """
    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python} | {name: metadata.version(name) for name in PACKAGES}


def installed() -> dict[str, str]:
    """What versions do not tell: the build of Python, and the hash of each package's list of files.

    Builds of one version differ: a distribution patches the standard library, a wheel for another platform has other
    files. A wheel's list, RECORD, holds the hash of every file; where there is none, names, sizes and times stand in.
    """
    return {"build": sys.version} | {f"files of {name}": _file_list(name) for name in PACKAGES}


def _file_list(name: str) -> str:
    distribution = metadata.distribution(name)
    record = distribution.read_text("RECORD")
    if record is None:
        base = Path(str(distribution.locate_file("")))
        found = [(path.relative_to(base).as_posix(), path.stat()) for path in (base / PACKAGES[name]).rglob("*.py")]
        record = repr(sorted((file, status.st_size, status.st_mtime_ns) for file, status in found))
    return hashlib.sha256(record.encode()).hexdigest()


def documents() -> list[Document]:
    """All documents, sorted by name, no paragraph twice.

    Two processes parse, about 15 s in all. They are started as commands rather than by multiprocessing, which would
    import the caller's script again and wants it guarded by `if __name__ == "__main__"`.
    """

    def run(part: int) -> bytes:
        command = [sys.executable, "-m", "saelib.language.corpus.docstrings", str(part), str(PROCESSES)]
        done = subprocess.run(command, stdout=subprocess.PIPE, cwd=PROJECT)
        if done.returncode:
            raise RuntimeError(f"reading docstrings failed; its error stands above. The command was {command}")
        return done.stdout

    with ThreadPoolExecutor(PROCESSES) as pool:  # threads, as a process whose output nobody reads would wait
        outputs = list(pool.map(run, range(PROCESSES)))
    return unique_documents(Document(*json.loads(line)) for output in outputs for line in output.splitlines())


def unique_documents(parsed: Iterable[Document]) -> list[Document]:
    """Documents sorted by name; a paragraph stays in the first document that has it, and empty ones are dropped."""
    seen: set[str] = set()
    unique = []
    for document in sorted(parsed):
        fresh = [text for text in dict.fromkeys(document.paragraphs) if text not in seen]
        seen.update(fresh)
        if fresh:
            unique.append(Document(document.name, fresh))
    return unique


def _source_files() -> list[tuple[str, Path]]:
    standard = Path(sysconfig.get_paths()["stdlib"])
    folders = [(standard, standard)]
    for name, package in PACKAGES.items():
        site = Path(str(metadata.distribution(name).locate_file("")))
        folders.append((site, site / package))
    files = []
    for base, folder in folders:
        for path in folder.rglob("*.py"):
            if SKIPPED_FOLDERS.isdisjoint(path.relative_to(base).parts):
                files.append((path.relative_to(base).as_posix(), path))
    return sorted(files)


def _parse(source: tuple[str, Path]) -> Document:
    name, path = source
    text = path.read_text(encoding="utf-8", errors="replace")
    try:
        tree = ast.parse(text) if '"""' in text or "'''" in text else None
    except (SyntaxError, ValueError, RecursionError):  # templates, deliberately broken examples, NUL bytes
        tree = None
    found = [] if tree is None else [paragraph for text in _docstrings(tree) for paragraph in prose_paragraphs(text)]
    return Document(name, found)


def _docstrings(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Docstrings of a module, its classes and its functions, in source order; other blocks are not entered."""
    if text := ast.get_docstring(node):
        yield text
    for child in node.body:
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _docstrings(child)


def prose_paragraphs(docstring: str) -> Iterator[str]:
    """The paragraphs of a docstring that read as sentences, unwrapped, without reStructuredText mark-up."""
    for block in docstring.split("\n\n"):
        block = MARKUP.sub(lambda match: next(filter(None, match.groups()), ""), HEADING.sub("", block))
        text = " ".join(block.split())
        if ">>>" in text or len(text.split()) < LEAST_WORDS or not any(mark in text for mark in ".!?"):
            continue
        if 1 - len(NOT_PROSE.findall(text)) / len(text) >= LEAST_PROSE:
            yield text


if __name__ == "__main__":  # one of so many parts of the source files; one line of JSON for each document
    this, parts = map(int, sys.argv[1:])
    for source in _source_files()[this::parts]:
        print(json.dumps(_parse(source)))
