"""A corpus by name: docstrings or novels that are installed, a user's own files, or a hub data set of token rows.

In: the name, and the tokenizer of the language model. Out: a `Corpus` whose train and held-out rows come from
different documents.
"""

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32

from saelib.language.corpus import austen, docstrings
from saelib.language.corpus.hub import load_hub_corpus
from saelib.language.corpus.rows import Corpus, ShuffledRows, check_ids
from saelib.language.corpus.streams import TokenStreams, cached_streams
from saelib.language.corpus.text import HELD_OUT_SHARE
from saelib.language.corpus.text_files import content_key, documents_of, text_source
from saelib.language.tokenizing import document_separator, first_tokens, special_token, tokenizer_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCSTRINGS, AUSTEN = "docstrings", "austen"


def load_corpus(
    source: str,
    tokenizer: "PreTrainedTokenizerBase",
    context_length: int,
    held_out_rows: int,
    seed: int,
    prepend_bos: bool | None = None,
    vocabulary: int | None = None,
    commit: str | None = None,
    sink_token: str | None = None,
    within_documents: bool = False,
) -> Corpus:
    """Load the rows of `source`: "docstrings", "austen", a path, or a hub data set with a `tokens` column.

    Args:
        source: a path is one that is there, or a name with the ending of a text; see `text_files`.
        tokenizer: of the language model that will read the rows.
        context_length: tokens of each row, BOS and sink token included.
        held_out_rows: how many rows are kept for evaluation.
        seed: of the order in which training rows come (a hub data set keeps its own order, as the paper did).
        prepend_bos: does every row begin with the BOS token? None: as the tokenizer does when it encodes a text; rows
            of a hub data set, which are encoded already, stay as they are unless this is True.
        vocabulary: how many token ids the model knows; if not given, what the tokenizer makes of a text is believed.
        commit: of a hub data set, where a run has read it before: its branch may have moved since.
        sink_token: text of a token that every row begins with; where it is the BOS token that stands there anyway,
            once. Rows of a hub data set, that do not begin with it, get it in front and lose their end.
        within_documents: no row crosses from one document into the next, nor holds what separates them; what is left
            over at a document's end is dropped.

    Raises:
        FileNotFoundError: `source` looks like a path, and no file is there; or there is no such data set; or the novels
            are not installed.
        ValueError: a file cannot be read; the source holds too few tokens, or rows that do not fit `context_length`,
            or ids that the model does not know; the tokenizer lacks an end-of-text token, or the BOS or the sink token
            that is wanted.
    """
    check_cut(source, within_documents)
    if is_data_set(source):
        return _hub_corpus(
            source, tokenizer, context_length, held_out_rows, prepend_bos, vocabulary, commit, sink_token
        )
    streams, sources = _streams(source, tokenizer)
    bos = first_tokens(tokenizer, prepend_bos)
    first = _with_sink(bos, tokenizer, sink_token)
    if vocabulary is not None:
        _check_tokens(source, streams, first, tokenizer, vocabulary, sink_token)
    separator = document_separator(tokenizer) if within_documents else None
    train, held_out = _rows_of(source, streams, first, context_length, held_out_rows, separator)
    return Corpus(
        name=source,
        train=ShuffledRows(train, seed),
        held_out=held_out,
        train_tokens=int(train.size),
        sha256=_identity(streams, first, within_documents),
        sources=sources,
        prepend_bos=bool(bos) or first[:1] == [special_token(tokenizer, "bos")],
        sink_token=sink_token,
    )


def is_data_set(source: str) -> bool:
    """Whether a corpus' name means a data set on the Hugging Face Hub, whose rows are tokenised already."""
    return source not in (DOCSTRINGS, AUSTEN) and text_source(source) is None


def check_cut(source: str, within_documents: bool) -> None:
    """Refuse to cut what comes in rows.

    Raises:
        ValueError: `source` is a hub data set, and its rows shall end with their documents.
        FileNotFoundError: it looks like a path, and no file is there.
    """
    if within_documents and is_data_set(source):
        raise ValueError(f"rows='within': those of data set {source} are cut already; leave rows out")


def _with_sink(bos: list[int], tokenizer: "PreTrainedTokenizerBase", sink_token: str | None) -> list[int]:
    """What rows begin with: the sink token before the others, unless it is the first of them."""
    if sink_token is None:
        return bos
    try:
        sink = first_tokens(tokenizer, sink_token)
    except ValueError as error:
        raise ValueError(f"sink_token={sink_token!r}: {error}") from error
    return bos if bos[:1] == sink else sink + bos


def _streams(source: str, tokenizer: "PreTrainedTokenizerBase") -> tuple[TokenStreams, dict[str, str]]:
    """Tokens of a text, and what it was made from, by name."""
    if source == DOCSTRINGS:
        sources = docstrings.package_versions() | {"extraction": str(docstrings.EXTRACTION_VERSION)}
        return cached_streams(sources | docstrings.installed(), docstrings.documents, tokenizer), sources
    if source == AUSTEN:
        package = austen.package_folder()
        sources = austen.sources(package)
        return cached_streams(sources, lambda: austen.documents(package), tokenizer), sources
    own = text_source(source)
    assert own is not None, "data sets have rows of their own"
    key = content_key(own)
    return cached_streams(key, lambda: documents_of(own, key), tokenizer), {"text": key["text"]}


def _hub_corpus(
    source: str,
    tokenizer: "PreTrainedTokenizerBase",
    context_length: int,
    held_out_rows: int,
    prepend_bos: bool | None,
    vocabulary: int | None,
    commit: str | None,
    sink_token: str | None,
) -> Corpus:
    begun = first_tokens(tokenizer, setting=True) if prepend_bos else []
    first = _with_sink(begun, tokenizer, sink_token)
    known, bos = len(tokenizer) if vocabulary is None else vocabulary, special_token(tokenizer, "bos")
    remedy = "leave prepend_bos out" if begun else "choose another sink_token"
    check_ids(np.array(first), known, f"what tokenizer {tokenizer_name(tokenizer)} puts first", remedy)
    _check_room(context_length, first)
    corpus = load_hub_corpus(source, context_length, held_out_rows, first, known, bos, commit)
    own = corpus.held_out[:, len(first) - len(begun) :]  # behind a sink token
    have_bos = bool(own.size) and bool((own[:, 0] == bos).all())
    if prepend_bos is False and have_bos:
        raise ValueError(
            f"prepend_bos=False: the rows of data set {source} begin with the BOS token, and rows that are tokenised "
            "already are taken as they are; leave prepend_bos out"
        )
    return replace(corpus, sink_token=sink_token, prepend_bos=bool(begun) or have_bos or first[:1] == [bos])


def _check_tokens(
    source: str,
    streams: TokenStreams,
    first: list[int],
    tokenizer: "PreTrainedTokenizerBase",
    vocabulary: int,
    sink_token: str | None,
) -> None:
    """Refuse tokens that were added to a tokenizer and not to the model, where the rows hold any."""
    name = tokenizer_name(tokenizer)
    remedy = "set prepend_bos=False" if sink_token is None else "set prepend_bos=False, or choose another sink_token"
    check_ids(np.array(first), vocabulary, f"what tokenizer {name} puts first", remedy)
    for stream in streams:
        if stream.size and (highest := int(stream.max())) >= vocabulary:
            token = tokenizer.convert_ids_to_tokens(highest)
            remedy = f"it stands for {token!r}; give the model an embedding for it, or take the tokenizer it came with"
            check_ids(stream, vocabulary, f"corpus {source!r}", remedy)


def _rows_of(
    source: str,
    streams: TokenStreams,
    first: list[int],
    context_length: int,
    held_out_rows: int,
    separator: int | None = None,
) -> tuple[Int32[np.ndarray, "rows context"], Int32[np.ndarray, "held_out context"]]:
    """Training rows, and as many held-out ones as are wanted, spread over all held-out documents.

    Args:
        separator: which no row shall cross.

    Raises:
        ValueError: the text is too short for them.
    """
    width = _check_room(context_length, first)
    train, held_out = (_cut_into_rows(stream, width, separator) for stream in (streams.train, streams.held_out))
    if not len(train) or len(held_out) < held_out_rows:
        needed = max(width / (1 - HELD_OUT_SHARE), held_out_rows * width / HELD_OUT_SHARE)
        remedy = f"Take a text of some {round(needed):,} tokens or more"
        if len(streams.train) + len(streams.held_out) >= needed:  # few documents, or one over and over
            remedy = "Its documents are too few, or too much alike, to fall on both sides: take a longer text"
            if separator is not None:
                remedy = "With rows='within' its documents are too short for such rows: set rows='joined'"
        raise ValueError(
            f"corpus {source!r} is too short: its training documents have {len(streams.train):,} tokens and its "
            f"held-out ones, {HELD_OUT_SHARE:.0%} of all, {len(streams.held_out):,}; context_length={context_length} "
            f"and held_out_rows={held_out_rows} need {width:,} and {held_out_rows * width:,}. {remedy}, or lower "
            "held_out_rows or context_length"
        )
    chosen = np.linspace(0, len(held_out) - 1, held_out_rows).astype(int)
    return _begun(train, first), _begun(held_out[chosen], first)


def _check_room(context_length: int, first: list[int]) -> int:
    """Tokens of text in a row."""
    if context_length <= len(first):
        raise ValueError(f"context_length={context_length} has no place for text behind {len(first)} first tokens")
    return context_length - len(first)


def _cut_into_rows(
    stream: Int32[np.ndarray, " tokens"], width: int, separator: int | None
) -> Int32[np.ndarray, "rows width"]:
    """Whole rows, of the whole stream or of what stands between two separators; what is left over is dropped."""
    if separator is None:
        return stream[: len(stream) // width * width].reshape(-1, width)
    ends = np.append(np.flatnonzero(stream == separator), len(stream))
    starts = np.append(0, ends[:-1] + 1)
    counts = np.maximum(ends - starts, 0) // width
    place = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)  # of a row in its document
    firsts = np.repeat(starts, counts) + width * place
    return stream[firsts[:, None] + np.arange(width)]


def _begun(rows: Int32[np.ndarray, "rows width"], first: list[int]) -> Int32[np.ndarray, "rows context"]:
    if not first:
        return rows
    return np.concatenate([np.tile(np.array(first, np.int32), (len(rows), 1)), rows], axis=1)


def _identity(streams: TokenStreams, first: list[int], within_documents: bool) -> str:
    """Hash of all that decides the rows of a context length; that of the token ids where these are cut as they are."""
    how = [first, "within"] if within_documents else [first] if first else []
    return hashlib.sha256(json.dumps([streams.sha256, *how]).encode()).hexdigest() if how else streams.sha256
