"""Chapters of novels as documents, the package that they come from, and what stands where it is absent."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from saelib.language.corpus import austen
from saelib.language.corpus.load import load_corpus
from saelib.language.corpus.rows import ShuffledRows
from saelib.language.corpus.text import Document
from saelib.run.reading import DamagedFileError
from tests.helpers.r_packages import write_package
from tests.helpers.small_models import small_tokenizer

NOVEL = [
    "A NOVEL", "", "By Somebody", "", "ADVERTISEMENT", "", "This is not of the novel.", "", "VOLUME I", "", "",
    "CHAPTER I", "", "", "The first sentence goes on", "in a second line.", "", "The _second_ one, of _two", "words_.",
    "", "CHAPTER II", "", "Mr. and Mrs. Volume were at the end.", "", "Volume II", "", "", "Chapter 1", "",
    "A chapter of the second volume.", "  ", "THE END",
]  # fmt: skip
TOKENIZER = small_tokenizer()


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only library of R."""
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(austen, "LIBRARIES", (str(tmp_path / "library"),))
    monkeypatch.delenv("R_LIBS", raising=False)
    return tmp_path / "library"


def test_a_chapter_is_a_document_of_unwrapped_paragraphs() -> None:
    assert austen.chapters(NOVEL) == [
        Document("A Novel/1", ["The first sentence goes on in a second line.", "The second one, of two words."]),
        Document("A Novel/2", ["Mr. and Mrs. Volume were at the end."]),
        Document("A Novel/3", ["A chapter of the second volume."]),
    ]


@pytest.mark.parametrize("lines", [[], ["A title"], ["A title", "", "Chapter 1"]])
def test_a_text_without_chapters_has_no_documents(lines: list[str]) -> None:
    assert austen.chapters(lines) == []


def test_documents_are_those_of_all_novels_in_the_order_of_the_package(library: Path) -> None:
    package = write_package(library, [NOVEL, ["Another", "", "Chapter 1", "", "It costs £20,000."]])
    found = austen.documents(package)
    assert [document.name for document in found] == ["A Novel/1", "A Novel/2", "A Novel/3", "Another/1"]
    assert found[-1].paragraphs == ["It costs £20,000."]


def test_sources_are_the_version_and_the_hash_of_the_texts(library: Path) -> None:
    package = write_package(library, [NOVEL], version="1.0.0.9000")
    text = hashlib.sha256((package / "data" / "Rdata.rdb").read_bytes()).hexdigest()
    assert austen.sources(package) == {"janeaustenr": "1.0.0.9000", "text": text, "extraction": "1"}
    (package / "DESCRIPTION").write_text("Package: janeaustenr\n")
    with pytest.raises(DamagedFileError, match="DESCRIPTION names no version; .*apt install --reinstall"):
        austen.sources(package)


def test_a_library_of_the_users_own_comes_first(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_package(library, [NOVEL])
    assert austen.package_folder() == library / "janeaustenr"
    own = write_package(tmp_path / "own", [NOVEL])
    monkeypatch.setenv("R_LIBS", f"{tmp_path / 'empty'}:{tmp_path / 'own'}")
    assert austen.package_folder() == own


def test_where_the_package_is_absent_the_error_says_how_to_have_it(library: Path) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        load_corpus("austen", TOKENIZER, 16, 2, seed=0)
    message = str(raised.value)
    assert str(library) in message
    assert "`apt install --no-install-recommends r-cran-janeaustenr`" in message
    assert "dpkg -x" in message and "R_LIBS" in message


def novels(chapters: int) -> list[list[str]]:
    """Novels whose chapters say their own numbers, over and over."""
    told = [[f"Chapter {place}", "", *[f"Number x{100 + place} of the novel is said."] * 20, ""]
            for place in range(1, chapters + 1)]  # fmt: skip
    return [["FIRST", "", *(line for chapter in told for line in chapter)]]


def test_the_novels_are_a_corpus_that_is_split_by_chapter(library: Path) -> None:
    package = write_package(library, novels(120))
    corpus = load_corpus("austen", TOKENIZER, 16, 8, seed=0)
    assert isinstance(corpus.train, ShuffledRows)
    train, held_out = (set(re.findall(r"x\d{3}", TOKENIZER.decode(rows.ravel())))
                       for rows in (corpus.train.rows, corpus.held_out))  # fmt: skip
    assert len(train) > 100 and held_out and not train & held_out
    assert corpus.name == "austen" and corpus.sources == austen.sources(package)


def test_a_text_that_was_tokenised_before_is_not_read_again_and_a_changed_one_is(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = write_package(library, novels(120))
    first = load_corpus("austen", TOKENIZER, 16, 8, seed=0)
    with monkeypatch.context() as cached:
        cached.setattr(austen, "documents", lambda _: pytest.fail("read although cached"))
        again = load_corpus("austen", TOKENIZER, 16, 8, seed=0)
    assert again.sha256 == first.sha256 and np.array_equal(again.held_out, first.held_out)
    (package / "data" / "Rdata.rdb").write_bytes(b"")
    with pytest.raises(ValueError, match="corpus 'austen' is too short"):
        load_corpus("austen", TOKENIZER, 16, 8, seed=0)


def is_installed() -> bool:
    try:
        return austen.package_folder().is_dir()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not is_installed(), reason=f"{austen.DEBIAN} is not installed here")
def test_the_real_package_has_six_novels_of_so_many_chapters() -> None:
    found = austen.documents(austen.package_folder())
    assert Counter(document.name.partition("/")[0] for document in found) == {
        "Emma": 55, "Mansfield Park": 48, "Northanger Abbey": 31, "Persuasion": 24, "Pride And Prejudice": 61,
        "Sense And Sensibility": 50,
    }  # fmt: skip
    assert found[0].paragraphs[0].startswith("Emma Woodhouse, handsome, clever, and rich, with a comfortable home")
    assert all(len(text) > 1000 for text in (" ".join(document.paragraphs) for document in found))
