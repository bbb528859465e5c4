"""Rows that begin with a sink token, of texts and of a hub data set; and rows that stay within a document."""

from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from saelib.language.corpus.load import load_corpus
from saelib.language.corpus.rows import Corpus, ShuffledRows, begin_with
from saelib.language.sinks import sink_token
from tests.helpers.framed_tokenizers import framed
from tests.helpers.sink_models import OTHER_BOS, bare_tokenizer
from tests.helpers.small_models import cache_hub_rows, random_rows, small_tokenizer

CONTEXT, END = 16, "<|endoftext|>"
DATA = "somebody/rows"


@pytest.fixture
def text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    path = tmp_path / "mine.txt"
    path.write_text("\n\n".join(f"Paragraph {number} stands here, x{number * 7}." for number in range(2000)))
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "hub"


def with_bos(writes_it: bool) -> PreTrainedTokenizerFast:
    """A tokenizer that names a BOS token of its own, id 320, and writes it or not."""
    tokenizer = bare_tokenizer()
    tokenizer.add_special_tokens({"bos_token": OTHER_BOS})
    if writes_it:
        framed(tokenizer, OTHER_BOS)
    return tokenizer


@pytest.mark.parametrize(
    ("kind", "prepend_bos", "sink", "first", "says_bos"),
    [
        ("bos is the end", None, END, [0], True),
        ("bos is the end", False, END, [0], True),
        ("bos is the end", True, END, [0], True),  # once
        ("named", None, END, [0], False),
        ("named", True, END, [0, 320], True),
        ("named", None, OTHER_BOS, [320], True),
        ("named", False, OTHER_BOS, [320], True),
        ("written", None, OTHER_BOS, [320], True),  # it stands there anyway
        ("written", False, OTHER_BOS, [320], True),
        ("written", None, END, [0, 320], True),
        ("written", False, END, [0], False),
        ("none", None, END, [0], False),
        ("none", False, "a", ["a"], False),
    ],
)  # fmt: skip
def test_a_row_is_the_token_and_one_token_less_of_text(
    text: Path, kind: str, prepend_bos: bool | None, sink: str, first: list[int], says_bos: bool
) -> None:
    tokenizer = {"bos is the end": small_tokenizer, "none": bare_tokenizer, "named": lambda: with_bos(False),
                 "written": lambda: with_bos(True)}[kind]()  # fmt: skip
    wanted = [tokenizer.convert_tokens_to_ids(one) if isinstance(one, str) else one for one in first]
    corpus = load_corpus(str(text), tokenizer, CONTEXT, 10, 0, prepend_bos, sink_token=sink)
    plain = load_corpus(str(text), tokenizer, CONTEXT - len(wanted), 10, 0, prepend_bos=False)
    assert isinstance(corpus.train, ShuffledRows) and isinstance(plain.train, ShuffledRows)
    for rows, without in ((corpus.train.rows, plain.train.rows), (corpus.held_out, plain.held_out)):
        assert (rows[:, : len(wanted)] == wanted).all()
        assert np.array_equal(rows[:, len(wanted) :], without)
    assert corpus.beginning == {"prepend_bos": says_bos, "sink_token": sink, "sink_token_id": wanted[0]}
    assert corpus.sha256 != plain.sha256 and plain.beginning == {"prepend_bos": False}


def test_bos_that_stands_there_anyway_makes_the_same_rows(text: Path) -> None:
    begun, sunk = (load_corpus(str(text), with_bos(True), CONTEXT, 10, 0, sink_token=one) for one in (None, OTHER_BOS))
    assert begun.sha256 == sunk.sha256 and np.array_equal(begun.held_out, sunk.held_out)


@pytest.mark.parametrize(
    ("bos", "prepend_bos", "sink", "first"),
    [(None, None, END, [0]), (320, None, END, [0, 320]), (320, True, END, [0, 320]), (None, True, END, [0, 320]),
     (320, None, OTHER_BOS, [320]), (None, False, OTHER_BOS, [320])],
)  # fmt: skip
def test_hub_rows_get_it_in_front_and_lose_their_end(
    hub: Path, bos: int | None, prepend_bos: bool | None, sink: str, first: list[int]
) -> None:
    rows = random_rows(20, CONTEXT)
    rows[:, 0] = 7 if bos is None else bos
    cache_hub_rows(hub, DATA, {"data/train.parquet": rows})
    corpus = load_corpus(DATA, with_bos(False), CONTEXT, 3, 0, prepend_bos, 321, sink_token=sink)
    rest = rows if bos is None else rows[:, 1:]
    wanted = np.concatenate([np.tile(first, (20, 1)), rest], axis=1)[:, :CONTEXT]
    assert np.array_equal(np.concatenate([corpus.held_out, corpus.train.take(0, 17)]), wanted)
    assert corpus.beginning == {"prepend_bos": 320 in first, "sink_token": sink, "sink_token_id": first[0]}


def test_hub_rows_without_room_or_an_embedding_for_it_are_refused_by_name(hub: Path) -> None:
    cache_hub_rows(hub, DATA, {"data/train.parquet": random_rows(20, CONTEXT)})
    with pytest.raises(ValueError, match="context_length=1 has no place for text behind 1 first tokens"):
        load_corpus(DATA, small_tokenizer(), 1, 3, 0, sink_token=END)
    with pytest.raises(ValueError, match=r"puts first holds token id 320, the model knows 320 ids; choose an"):
        load_corpus(DATA, with_bos(False), CONTEXT, 3, 0, vocabulary=320, sink_token=OTHER_BOS)
    with pytest.raises(ValueError, match=r"sink_token='<none>': first token '<none>' is no token .* '<\|endoftext"):
        load_corpus(DATA, small_tokenizer(), CONTEXT, 3, 0, sink_token="<none>")


def test_what_a_row_lacks_is_put_in_front_and_nothing_twice() -> None:
    rows = np.array([[1, 2, 5, 6], [2, 5, 6, 7], [5, 6, 7, 8]], np.int32)
    assert begin_with(rows, [1, 2]).tolist() == [[1, 2, 5, 6], [1, 2, 5, 6], [1, 2, 5, 6]]
    assert begin_with(rows, [2]).tolist() == [[2, 1, 2, 5], [2, 5, 6, 7], [2, 5, 6, 7]]


def test_which_token_is_found() -> None:
    """The BOS that rows begin with; the named one, though it is never written; what stands between documents."""

    def found(tokenizer: PreTrainedTokenizerFast, first: int | None = None) -> str:
        rows = np.full((2, CONTEXT), 7 if first is None else first, np.int32)
        return sink_token(tokenizer, Corpus("a", ShuffledRows(rows, 0), rows, 32, "0", {}, first is not None))

    assert found(with_bos(False)) == OTHER_BOS
    assert found(with_bos(True), first=320) == OTHER_BOS
    assert found(with_bos(False), first=0) == END
    assert found(bare_tokenizer()) == END


def documents_of(path: Path) -> list[list[int]]:
    """The documents of a text on one side of the split, by a loop over its tokens."""
    rows = load_corpus(str(path), small_tokenizer(), 2, 1, 0).train.rows  # type: ignore[attr-defined]
    documents: list[list[int]] = [[]]
    for token in rows.reshape(-1).tolist():
        if token == 0:
            documents.append([])
        else:
            documents[-1].append(token)
    return documents


@pytest.mark.parametrize("sink", [None, END])
def test_rows_within_documents_hold_no_separator_and_are_those_of_a_loop(text: Path, sink: str | None) -> None:
    width = 7 if sink else 8
    corpus = load_corpus(str(text), small_tokenizer(), 8, 10, 0, sink_token=sink, within_documents=True)
    wanted = [
        document[first : first + width]
        for document in documents_of(text)
        for first in range(0, len(document) // width * width, width)
    ]
    found = corpus.train.rows[:, 8 - width :]  # type: ignore[attr-defined]
    assert found.tolist()[: len(wanted) - 1] == wanted[: len(found)][: len(wanted) - 1]
    assert len(found) in (len(wanted), len(wanted) + 1)  # the loop's rows of 2 may lack the last token
    assert found.all() and corpus.held_out[:, 8 - width :].all()
    joined = load_corpus(str(text), small_tokenizer(), 8, 10, 0, sink_token=sink)
    assert not joined.train.rows[:, 1:].all() and corpus.sha256 != joined.sha256  # type: ignore[attr-defined]


def test_documents_shorter_than_a_row_and_rows_of_the_hub_are_refused(text: Path, hub: Path) -> None:
    with pytest.raises(
        ValueError, match="With rows='within' its documents are too short for such rows: set rows='join"
    ):
        load_corpus(str(text), small_tokenizer(), 20_000, 0, 0, within_documents=True)
    cache_hub_rows(hub, DATA, {"data/train.parquet": random_rows(20, CONTEXT)})
    with pytest.raises(ValueError, match=f"rows='within': those of data set {DATA} are cut already; leave rows out"):
        load_corpus(DATA, small_tokenizer(), CONTEXT, 3, 0, within_documents=True)
