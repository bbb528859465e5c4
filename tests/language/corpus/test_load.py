"""Splits, cache, order of rows and hashes of a corpus, on texts small enough to be looked through."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saelib.language.corpus.load import load_corpus
from saelib.language.corpus.rows import ShuffledRows
from saelib.language.corpus.text import (
    TEXT_DOCUMENT_CHARACTERS,
    Document,
    tokenizer_hash,
)
from tests.helpers.small_models import cache_hub_rows, random_rows, small_tokenizer

TOKENIZER = small_tokenizer()
CONTEXT = 16
DOCUMENTS = 60


@pytest.fixture(autouse=True)
def own_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file of documents each of which says its own number over and over."""
    paragraph = "Number {0} stands here, and {0} again: {0}."
    document = "\n\n".join([paragraph] * (TEXT_DOCUMENT_CHARACTERS // len(paragraph.format("x100")) + 1))
    path = tmp_path / "numbers.txt"
    path.write_text("\n\n".join(document.format(f"x{100 + number}") for number in range(DOCUMENTS)))
    return path


@pytest.fixture
def no_parsing(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, whatever cuts or tokenises a text fails."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("parsed although cached")

    def forbid() -> None:
        for name in ("tokenize", "text_documents"):
            monkeypatch.setattr(f"saelib.language.corpus.load.{name}", refuse)
        monkeypatch.setattr("saelib.language.corpus.docstrings.documents", refuse)

    return forbid


def numbers(rows: np.ndarray) -> set[str]:
    """The documents' numbers that rows of token ids speak of; words that a row's ends may have cut do not count."""
    words = [word.strip(":,.") for row in rows for word in TOKENIZER.decode(row).split()[1:-1]]
    return {word for word in words if len(word) == 4 and word.startswith("x")}


def all_rows(rows: ShuffledRows) -> np.ndarray:
    return rows.take(0, len(rows.rows))


def test_text_file_is_split_by_document(text: Path) -> None:
    corpus = load_corpus(str(text), TOKENIZER, CONTEXT, held_out_rows=40, seed=0)
    assert isinstance(corpus.train, ShuffledRows)
    train, held_out = numbers(all_rows(corpus.train)), numbers(corpus.held_out)
    assert len(train) > DOCUMENTS / 2 and held_out
    assert not train & held_out
    assert corpus.held_out.shape == (40, CONTEXT) and corpus.held_out.dtype == np.int32
    assert corpus.train_tokens == corpus.train.rows.size
    assert corpus.name == str(text) and list(corpus.sources) == ["text"]


def test_held_out_rows_are_spread_over_the_held_out_documents(text: Path) -> None:
    few = load_corpus(str(text), TOKENIZER, CONTEXT, held_out_rows=20, seed=0).held_out
    assert len(numbers(few)) > 2  # the first 20 rows are all of one document


def test_second_load_is_equal_and_parses_nothing(text: Path, no_parsing: Callable[[], None]) -> None:
    first = load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0)
    no_parsing()
    second = load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0)
    assert second.sha256 == first.sha256 and second.sources == first.sources
    assert np.array_equal(second.held_out, first.held_out)
    assert np.array_equal(second.train.take(0, 50), first.train.take(0, 50))


def test_changed_text_or_tokenizer_is_tokenised_afresh(
    text: Path, own_runs: Path, no_parsing: Callable[[], None]
) -> None:
    first = load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0)
    text.write_text(text.read_text() + "\n\nOne more paragraph at the end of it all.")
    assert load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0).sha256 != first.sha256
    assert len(list((own_runs / "cache").iterdir())) == 2
    other = small_tokenizer()
    other.add_tokens(["stands"])
    assert tokenizer_hash(other) != tokenizer_hash(TOKENIZER) == tokenizer_hash(small_tokenizer())
    no_parsing()
    with pytest.raises(AssertionError, match="parsed although cached"):
        load_corpus(str(text), other, CONTEXT, 10, seed=0)


def test_seed_orders_rows_and_nothing_else(text: Path) -> None:
    first, second = (load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=seed) for seed in (0, 1))
    assert np.array_equal(first.held_out, second.held_out) and first.sha256 == second.sha256
    assert isinstance(first.train, ShuffledRows) and isinstance(second.train, ShuffledRows)
    one, other = all_rows(first.train), all_rows(second.train)
    assert not np.array_equal(one, other)
    assert sorted(map(tuple, one)) == sorted(map(tuple, other))


def test_docstrings_are_a_corpus_of_their_own(monkeypatch: pytest.MonkeyPatch, no_parsing: Callable[[], None]) -> None:
    made = [Document(f"package/module{number}.py", [f"Module number x{number} says so."] * 20) for number in range(200)]
    monkeypatch.setattr("saelib.language.corpus.docstrings.documents", lambda: made)
    first = load_corpus("docstrings", TOKENIZER, CONTEXT, 10, seed=0)
    no_parsing()
    assert load_corpus("docstrings", TOKENIZER, CONTEXT, 10, seed=0).sha256 == first.sha256
    assert {"python", "torch", "numpy"} <= set(first.sources)
    monkeypatch.setattr("saelib.language.corpus.docstrings.EXTRACTION_VERSION", 0)
    with pytest.raises(AssertionError, match="parsed although cached"):
        load_corpus("docstrings", TOKENIZER, CONTEXT, 10, seed=0)


def test_missing_text_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"no such text file.*{tmp_path}/none.txt"):
        load_corpus(str(tmp_path / "none.txt"), TOKENIZER, CONTEXT, 10, seed=0)


def test_file_with_another_ending_is_text_too(text: Path) -> None:
    renamed = text.rename(text.with_suffix(".md"))
    assert load_corpus(str(renamed), TOKENIZER, CONTEXT, 10, seed=0).held_out.shape == (10, CONTEXT)


def test_too_few_held_out_rows_are_counted(text: Path) -> None:
    with pytest.raises(ValueError, match=r"has \d+ held-out rows of 16 tokens, 1000000 are wanted; lower held_out"):
        load_corpus(str(text), TOKENIZER, CONTEXT, 1_000_000, seed=0)


def test_text_without_a_full_row_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "short.txt"
    path.write_text("Hardly a word.")
    with pytest.raises(ValueError, match="no full training row; use a longer text or a shorter context_length"):
        load_corpus(str(path), TOKENIZER, 512, 0, seed=0)


def test_rows_made_for_another_tokenizer_are_refused(hub: Path) -> None:
    cache_hub_rows(hub, "somebody/rows", {"data/train.parquet": random_rows(5) + 1000})
    with pytest.raises(ValueError, match="the tokenizer knows 320 ids"):
        load_corpus("somebody/rows", small_tokenizer(), CONTEXT, 3, seed=0)


def test_unknown_corpus_says_what_it_could_have_been(hub: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'docstrngs' is neither 'docstrings' nor a text file, and no data set"):
        load_corpus("docstrngs", small_tokenizer(), CONTEXT, 3, seed=0)
