"""Splits, cache, order of rows and hashes of a corpus, on texts small enough to be looked through."""

import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import PreTrainedTokenizerFast

from saelib.language.corpus.load import load_corpus
from saelib.language.corpus.rows import ShuffledRows
from saelib.language.corpus.streams import tokenize
from saelib.language.corpus.text import TEXT_DOCUMENT_CHARACTERS, Document
from saelib.language.corpus.text_files import TextSource, read_documents
from tests.helpers.python_tokenizer import LetterTokenizer
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
        monkeypatch.setattr("saelib.language.corpus.streams.tokenize", refuse)
        monkeypatch.setattr("saelib.language.corpus.load.documents_of", refuse)
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


def test_changed_text_is_tokenised_afresh(text: Path, own_runs: Path) -> None:
    first = load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0)
    text.write_text(text.read_text() + "\n\nOne more paragraph at the end of it all.")
    assert load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0).sha256 != first.sha256
    assert len(list((own_runs / "cache").iterdir())) == 2


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


@pytest.mark.parametrize("change", [{"build": "another"}, {"files of torch": "others"}])
def test_docstrings_of_another_build_are_read_afresh(
    change: dict[str, str], monkeypatch: pytest.MonkeyPatch, no_parsing: Callable[[], None]
) -> None:
    made = [Document(f"package/module{number}.py", ["Some words."] * 20) for number in range(200)]
    monkeypatch.setattr("saelib.language.corpus.docstrings.documents", lambda: made)
    monkeypatch.setattr("saelib.language.corpus.docstrings.installed", lambda: {"build": "one"})
    load_corpus("docstrings", TOKENIZER, CONTEXT, 10, seed=0)
    no_parsing()
    monkeypatch.setattr("saelib.language.corpus.docstrings.installed", lambda: {"build": "one"} | change)
    with pytest.raises(AssertionError, match="parsed although cached"):
        load_corpus("docstrings", TOKENIZER, CONTEXT, 10, seed=0)


def test_the_same_text_in_another_packing_gives_the_same_rows(text: Path, tmp_path: Path) -> None:
    first = load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0)
    content = text.read_bytes()
    packed = {
        "mark.txt": b"\xef\xbb\xbf" + content,
        "windows.txt": content.replace(b"\n", b"\r\n"),
        "packed.txt.gz": gzip.compress(content),
        "blanks.md": content.replace(b"\n\n", b"\n \t\n\n"),
    }
    for name, other in packed.items():
        (tmp_path / name).write_bytes(other)
        again = load_corpus(str(tmp_path / name), TOKENIZER, CONTEXT, 10, seed=0)
        assert again.sha256 == first.sha256 and np.array_equal(again.held_out, first.held_out)


def test_records_are_read_by_their_column(text: Path, tmp_path: Path) -> None:
    """One document for each record: those of one number stay together on one side."""
    stories = [" ".join([f"x{100 + number} stands here."] * 60) for number in range(90)]
    lines = [json.dumps({"text": "never", "body": story}) + "\n" for story in stories]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(lines))
    corpus = load_corpus(f"{path}:body", TOKENIZER, CONTEXT, 10, seed=0)
    pd.DataFrame({"body": stories}).to_parquet(tmp_path / "a.parquet")
    assert load_corpus(f"{tmp_path}/a.parquet:body", TOKENIZER, CONTEXT, 10, seed=0).sha256 == corpus.sha256
    assert isinstance(corpus.train, ShuffledRows)
    assert not numbers(all_rows(corpus.train)) & numbers(corpus.held_out)
    assert numbers(corpus.held_out)


def test_one_long_line_is_a_corpus(tmp_path: Path) -> None:
    path = tmp_path / "long.txt"
    path.write_text(" ".join(f"Sentence {number} says its number." for number in range(20_000)))
    corpus = load_corpus(str(path), TOKENIZER, CONTEXT, 20, seed=0)
    assert corpus.held_out.shape == (20, CONTEXT) and corpus.train_tokens is not None
    assert corpus.train_tokens > 100_000


def beginning_with_bos() -> PreTrainedTokenizerFast:
    tokenizer = small_tokenizer()
    template = TemplateProcessing(single="ban $A", pair="ban $A $B", special_tokens=[("ban", BAN)])
    tokenizer.backend_tokenizer.post_processor = template
    tokenizer.bos_token = "ban"
    return tokenizer


BAN = small_tokenizer().convert_tokens_to_ids("ban")


def test_rows_begin_as_the_tokenizer_begins_a_text_or_as_is_said(text: Path) -> None:
    llama, gpt2 = beginning_with_bos(), TOKENIZER  # the second one names a BOS and does not write it

    def first(tokenizer: PreTrainedTokenizerFast, prepend_bos: bool | None) -> tuple[list[int], bool]:
        corpus = load_corpus(str(text), tokenizer, CONTEXT, 10, seed=0, prepend_bos=prepend_bos)
        assert isinstance(corpus.train, ShuffledRows)
        rows = np.concatenate([corpus.held_out, all_rows(corpus.train)])
        assert rows.shape[1] == CONTEXT and rows.dtype == np.int32
        return sorted(set(rows[:, 0].tolist()))[:2], corpus.prepend_bos

    assert first(llama, None) == first(llama, True) == ([BAN], True)
    assert first(gpt2, True) == ([0], True)
    for tokenizer, setting in ((llama, False), (gpt2, None), (gpt2, False)):
        found, said = first(tokenizer, setting)
        assert len(found) == 2 and not said


def test_bos_stands_before_the_text_and_replaces_none_of_it(text: Path) -> None:
    plain, begun = (load_corpus(str(text), TOKENIZER, CONTEXT, 10, 0, prepend_bos) for prepend_bos in (False, True))
    wide = load_corpus(str(text), TOKENIZER, CONTEXT - 1, 10, 0, False)
    assert isinstance(begun.train, ShuffledRows) and isinstance(wide.train, ShuffledRows)
    assert np.array_equal(begun.train.rows[:, 1:], wide.train.rows) and not begun.train.rows[:, 0].any()
    assert np.array_equal(begun.held_out[:, 1:], wide.held_out)
    assert begun.sha256 != plain.sha256 == load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0).sha256
    assert begun.train_tokens == begun.train.rows.size


def test_no_room_behind_the_first_token_is_refused(text: Path) -> None:
    with pytest.raises(ValueError, match="context_length=1 has no place for text behind 1 first tokens"):
        load_corpus(str(text), TOKENIZER, 1, 10, 0, True)


def test_python_tokenizers_make_a_corpus(text: Path) -> None:
    corpus = load_corpus(str(text), LetterTokenizer("Number stand,0123456789:xhegi."), CONTEXT, 10, 0)
    assert 3 < corpus.held_out.max() < 32 and corpus.prepend_bos is False


def test_tokens_that_the_model_has_no_embedding_for_are_refused_where_they_occur(text: Path) -> None:
    more = small_tokenizer()
    more.add_tokens(["<never>", "stands"])
    load_corpus(str(text), more, CONTEXT, 10, 0)  # the model is told to know them all
    with pytest.raises(ValueError, match="holds token id 321, the model knows 320 ids; it stands for 'stands'; give"):
        load_corpus(str(text), more, CONTEXT, 10, 0, vocabulary=320)
    unused = small_tokenizer()
    unused.add_tokens(["<never>"])
    load_corpus(str(text), unused, CONTEXT, 10, 0, vocabulary=320)
    unused.add_special_tokens({"bos_token": "<bos>"})
    load_corpus(str(text), unused, CONTEXT, 10, 0, vocabulary=320)
    with pytest.raises(ValueError, match=r"puts first holds token id 321, .* knows 320 ids; set prepend_bos=False"):
        load_corpus(str(text), unused, CONTEXT, 10, 0, True, vocabulary=320)


def test_missing_text_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=f"no such text file.*{tmp_path}/none.txt"):
        load_corpus(str(tmp_path / "none.txt"), TOKENIZER, CONTEXT, 10, seed=0)


def test_file_with_another_ending_is_text_too(text: Path) -> None:
    renamed = text.rename(text.with_suffix(".md"))
    assert load_corpus(str(renamed), TOKENIZER, CONTEXT, 10, seed=0).held_out.shape == (10, CONTEXT)


def test_too_few_tokens_are_counted_and_those_needed_said(text: Path) -> None:
    streams = tokenize(read_documents(TextSource(text)), TOKENIZER)
    problem = (
        f"is too short: its training documents have {len(streams.train):,} tokens and its held-out ones, 5% of all, "
        f"{len(streams.held_out):,}; context_length=16 and held_out_rows=1000000 need 16 and 16,000,000. Take a text "
        "of some 320,000,000 tokens or more, or lower held_out_rows"
    )
    with pytest.raises(ValueError, match=re.escape(problem)):
        load_corpus(str(text), TOKENIZER, CONTEXT, 1_000_000, seed=0)


def test_one_document_over_and_over_is_on_one_side_and_the_message_says_so(tmp_path: Path) -> None:
    path = tmp_path / "same.txt"
    path.write_text("a" * 100_000)
    with pytest.raises(ValueError, match="too few, or too much alike, to fall on both sides: take a longer text, or"):
        load_corpus(str(path), TOKENIZER, CONTEXT, 1, seed=0)


@pytest.mark.parametrize("words", ["", " \n\n ", "Hardly a word."])
def test_empty_and_short_texts_are_refused_with_what_is_needed(tmp_path: Path, words: str) -> None:
    path = tmp_path / "short.txt"
    path.write_text(words)
    found = len(TOKENIZER(words)["input_ids"]) + 1 if words.strip() else 0
    with pytest.raises(ValueError, match=rf"have {found} tokens .* 0; context_length=64 and held_out_rows=8 need 64 "
                                         r"and 512. Take a text of some 10,240 tokens"):  # fmt: skip
        load_corpus(str(path), TOKENIZER, 64, 8, seed=0)
    with pytest.raises(ValueError, match=r"need 950 and 0. Take a text of some 1,000 tokens or more"):
        load_corpus(str(path), TOKENIZER, 950, 0, seed=0)


def test_rows_made_for_another_tokenizer_are_refused(hub: Path) -> None:
    cache_hub_rows(hub, "somebody/rows", {"data/train.parquet": random_rows(5) + 1000})
    for vocabulary in (None, 320):
        with pytest.raises(ValueError, match=r"somebody/rows.* holds token id \d+, the model knows 320 ids; take the"):
            load_corpus("somebody/rows", small_tokenizer(), CONTEXT, 3, seed=0, vocabulary=vocabulary)
    load_corpus("somebody/rows", small_tokenizer(), CONTEXT, 3, seed=0, vocabulary=1320)


def test_hub_rows_begin_with_bos_where_it_is_asked_for(hub: Path) -> None:
    cache_hub_rows(hub, "somebody/rows", {"data/train.parquet": random_rows(20)})
    plain, begun = (
        load_corpus("somebody/rows", small_tokenizer(), CONTEXT, 3, seed=0, prepend_bos=setting)
        for setting in (None, True)
    )
    assert np.array_equal(plain.held_out, random_rows(20)[:1].reshape(4, 16)[:3]) and not plain.prepend_bos
    assert not begun.held_out[:, 0].any() and begun.prepend_bos


def test_bos_that_hub_rows_have_is_not_taken_away(hub: Path) -> None:
    rows = random_rows(20, context=CONTEXT)
    rows[:, 0] = 0
    cache_hub_rows(hub, "somebody/rows", {"data/train.parquet": rows})
    for setting in (None, True):
        corpus = load_corpus("somebody/rows", small_tokenizer(), CONTEXT, 3, seed=0, prepend_bos=setting)
        assert np.array_equal(corpus.held_out, rows[:3]) and corpus.prepend_bos
    with pytest.raises(ValueError, match="prepend_bos=False: the rows of data set somebody/rows begin with the BOS"):
        load_corpus("somebody/rows", small_tokenizer(), CONTEXT, 3, seed=0, prepend_bos=False)


def test_unknown_corpus_says_what_it_could_have_been(hub: Path) -> None:
    with pytest.raises(FileNotFoundError, match="'docstrngs' is neither 'docstrings' nor a file or folder of texts"):
        load_corpus("docstrngs", small_tokenizer(), CONTEXT, 3, seed=0)


def test_a_text_that_is_written_to_while_it_is_read_is_not_kept(
    text: Path, own_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_under_way(source: TextSource) -> Iterator[Document]:
        yield from read_documents(source)
        text.write_text(text.read_text() + "\n\nMore.")

    with monkeypatch.context() as patch:
        patch.setattr("saelib.language.corpus.text_files.read_documents", write_under_way)
        with pytest.raises(ValueError, match=f"corpus {text} was changed while it was read"):
            load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0)
    assert not list(own_runs.rglob("tokens.safetensors"))
    assert load_corpus(str(text), TOKENIZER, CONTEXT, 10, seed=0).held_out.shape == (10, CONTEXT)
