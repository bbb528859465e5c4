"""Which paragraphs of a docstring count as prose, and that documents come in one order, each paragraph once."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

from saelib.language.corpus import docstrings
from saelib.language.corpus.docstrings import (
    _parse,
    _source_files,
    documents,
    installed,
    package_versions,
    prose_paragraphs,
    unique_documents,
)
from saelib.language.corpus.text import Document
from saelib.run.files import PROJECT

PROSE = "This sentence has more than enough words to count."
NESTED = f'''
class Outer:
    """{PROSE}"""

    def method(self):
        """The method says something of its own here."""
        if True:
            def hidden():
                """This one stands in a block that is not entered."""
'''


@pytest.mark.parametrize(
    ("docstring", "expected"),
    [
        (PROSE, [PROSE]),
        ("One line of a paragraph that\n    goes on, indented, in the next.",
         ["One line of a paragraph that goes on, indented, in the next."]),
        (f"{PROSE}\n\n{PROSE[:-1]} twice.", [PROSE, f"{PROSE[:-1]} twice."]),
        ("Notes\n-----\nThe heading of this paragraph does not belong to it.",
         ["The heading of this paragraph does not belong to it."]),
        ("The functions :func:`~package.solve`, ``first`` and `second` are **all** marked up here.",
         ["The functions package.solve, first and second are all marked up here."]),
        ("See :ref:`the guide <guide>` for what there is to say.", ["See the guide for what there is to say."]),
    ],
)  # fmt: skip
def test_prose_is_kept_unwrapped_and_without_markup(docstring: str, expected: list[str]) -> None:
    assert list(prose_paragraphs(docstring)) == expected


@pytest.mark.parametrize(
    "docstring",
    [
        "",
        "Too short a note.",
        "A paragraph of many words but without any mark that ends a sentence",
        ">>> import numpy as np\n>>> np.zeros(3).sum() == 0.0 and it has words enough.",
        "x = f(a[0], b[1:2], **kw); y = {k: v for k, v in x.items() if k != '_'}.",
        "====  ====  =====\n  a    b    a|b\n 0.1  0.2   0.3\n====  ====  =====.",
    ],
)
def test_code_tables_and_fragments_are_dropped(docstring: str) -> None:
    assert list(prose_paragraphs(docstring)) == []


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A standard library and a site folder of our own in place of the real ones."""
    standard, site = tmp_path / "stdlib", tmp_path / "site"
    files: dict[Path, str | bytes] = {
        standard / "zebra.py": f'"""{PROSE}"""\nraise SystemExit("a source was run")\n',
        standard / "apes.py": f'"""{PROSE}\n\nApes say this in one place, and nobody else does."""\n',
        standard / "broken.py": f'"""{PROSE}"""\ndef (:\n',
        standard / "latin.py": b'"""Caf\xe9 sources in another encoding are read as well as can be."""\n',
        standard / "test" / "tests.py": '"""Sentences in a folder of tests are never read at all."""\n',
        standard / "site-packages" / "other.py": '"""Packages that are not named are never read at all."""\n',
        site / "known" / "inner" / "deep.py": NESTED,
        site / "unknown" / "module.py": '"""Packages that are not named are never read at all."""\n',
    }
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    class Installed:
        @staticmethod
        def locate_file(path: str) -> Path:
            return site / path

    monkeypatch.setattr(docstrings, "PACKAGES", {"Known-Distribution": "known"})
    monkeypatch.setattr("saelib.language.corpus.docstrings.sysconfig.get_paths", lambda: {"stdlib": str(standard)})
    monkeypatch.setattr("saelib.language.corpus.docstrings.metadata.distribution", lambda name: Installed)
    return tmp_path


def test_documents_are_sorted_and_hold_no_paragraph_twice(sources: Path) -> None:
    found = unique_documents(map(_parse, _source_files()))
    assert [document.name for document in found] == ["apes.py", "known/inner/deep.py", "latin.py"]
    paragraphs = [paragraph for document in found for paragraph in document.paragraphs]
    assert len(set(paragraphs)) == len(paragraphs) == 4
    assert found[0].paragraphs == [PROSE, "Apes say this in one place, and nobody else does."]
    assert found[1].paragraphs == ["The method says something of its own here."]
    assert unique_documents(reversed([_parse(source) for source in _source_files()])) == found


def test_versions_of_everything_that_is_read_are_recorded() -> None:
    versions = package_versions()
    assert set(versions) == {"python", *docstrings.PACKAGES}
    assert versions["numpy"] == metadata.version("numpy")


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docstrings, "PACKAGES", {"no-such-distribution": "nothing"})
    with pytest.raises(ModuleNotFoundError, match="no-such-distribution"):
        package_versions()


def test_builds_of_one_version_are_told_apart(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record: list[str | None] = ["known/inner/deep.py,sha256=abc,120\n"]

    class Installed:
        locate_file = staticmethod(lambda path: sources / "site")
        read_text = staticmethod(lambda name: record[0])

    monkeypatch.setattr("saelib.language.corpus.docstrings.metadata.distribution", lambda name: Installed)
    keys = [installed()]
    record[0] = "known/inner/deep.py,sha256=abd,120\n"
    keys.append(installed())
    record[0] = None  # installed by something else than pip: the files themselves are looked at
    keys += [installed(), installed()]
    assert keys.pop() == keys[-1]
    (sources / "site" / "known" / "inner" / "deep.py").write_text(NESTED + "\n")
    keys.append(installed())
    monkeypatch.setattr("saelib.language.corpus.docstrings.sys.version", "3.11.2 (another build)")
    keys.append(installed())
    assert len({json.dumps(key) for key in keys}) == len(keys) == 5


def test_real_sources_are_there_and_a_process_of_their_own_parses_them() -> None:
    sources = _source_files()
    names = [name for name, _ in sources]
    assert names == sorted(names) and len(set(names)) == len(names) > 3000
    assert {"argparse.py", "numpy/linalg/_linalg.py", "torch/nn/functional.py"} <= set(names)
    assert not any("/tests/" in name or name.startswith("test/") for name in names)
    command = [sys.executable, "-m", "saelib.language.corpus.docstrings", "7", "200"]
    lines = subprocess.run(command, stdout=subprocess.PIPE, cwd=PROJECT, check=True).stdout.splitlines()
    assert [Document(*json.loads(line)) for line in lines] == list(map(_parse, sources[7::200]))
    assert sum(len(json.loads(line)[1]) for line in lines) > 20


def test_parts_are_put_together_and_a_failed_one_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"0": [["b.py", [PROSE]], ["d.py", []]], "1": [["a.py", ["An earlier module says something else here."]]]}
    failing: set[str] = set()

    def run(command: list[str], **options: object) -> SimpleNamespace:
        part = command[-2]
        assert options["cwd"] == PROJECT  # so that the command finds the library from wherever it is started
        return SimpleNamespace(returncode=part in failing, stdout="\n".join(map(json.dumps, parts[part])).encode())

    monkeypatch.setattr("saelib.language.corpus.docstrings.subprocess.run", run)
    assert [document.name for document in documents()] == ["a.py", "b.py"]
    failing.add("1")
    with pytest.raises(RuntimeError, match=r"reading docstrings failed.*docstrings', '1', '2'"):
        documents()
