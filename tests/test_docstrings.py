"""Which paragraphs of a docstring count as prose, and that documents come in one order, each paragraph once."""

from importlib import metadata
from pathlib import Path

import pytest

from saelib import docstrings
from saelib.docstrings import _parse, _source_files, documents, package_versions, prose_paragraphs, unique_documents

PROSE = "This sentence has more than enough words to count."


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
        ("See :ref:`the user guide <guide>` for what there is to say.", ["See the user guide for what there is to say."]),
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
    for path, text in {
        standard / "zebra.py": f'"""{PROSE}"""\nraise SystemExit("a source was run")\n',
        standard / "apes.py": f'"""{PROSE}\n\nApes say this in one place, and nobody else does."""\n',
        standard / "broken.py": f'"""{PROSE}"""\ndef (:\n',
        standard / "latin.py": b'"""Caf\xe9 sources in another encoding are read as well as can be."""\n',
        standard / "test" / "tests.py": '"""Sentences in a folder of tests are never read at all."""\n',
        standard / "site-packages" / "other.py": '"""Packages that are not named are never read at all."""\n',
        site / "known" / "inner" / "deep.py": (
            f'class Outer:\n    """{PROSE}"""\n\n    def method(self):\n        """The method says something of its own here."""\n'
            '        if True:\n            def hidden():\n                """This one stands in a block that is not entered."""\n'
        ),
        site / "unknown" / "module.py": '"""Packages that are not named are never read at all."""\n',
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    class Installed:
        @staticmethod
        def locate_file(path: str) -> Path:
            return site / path

    monkeypatch.setattr(docstrings, "PACKAGES", {"Known-Distribution": "known"})
    monkeypatch.setattr(docstrings.sysconfig, "get_paths", lambda: {"stdlib": str(standard)})
    monkeypatch.setattr(docstrings.metadata, "distribution", lambda name: Installed)
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


def test_documents_of_this_environment() -> None:
    """The whole extraction, in processes of its own, against some files parsed here."""
    sources = _source_files()
    names = [name for name, _ in sources]
    assert names == sorted(names) and len(set(names)) == len(names) > 3000
    assert not any("/tests/" in name or name.startswith("test/") for name in names)
    found = {document.name: document.paragraphs for document in documents()}
    assert list(found) == sorted(found)
    assert {"argparse.py", "numpy/linalg/_linalg.py", "torch/nn/functional.py"} <= set(found)
    assert sum(len(text.split()) for paragraphs in found.values() for text in paragraphs) > 1_000_000
    for source in sources[::100]:
        assert set(found.get(source[0], [])) <= set(_parse(source).paragraphs)
