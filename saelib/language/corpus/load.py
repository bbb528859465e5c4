"""A corpus by name: the docstrings of this environment, a user's own files, or a hub data set of token rows.

In: the name, and the tokenizer of the language model. Out: a `Corpus` whose train and held-out rows come from
different documents.
"""

import hashlib
import json
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int32

from saelib.language.corpus import docstrings
from saelib.language.corpus.hub import load_hub_corpus
from saelib.language.corpus.rows import Corpus, ShuffledRows, check_ids
from saelib.language.corpus.streams import TokenStreams, cached_streams
from saelib.language.corpus.text import HELD_OUT_SHARE
from saelib.language.corpus.text_files import TextSource, content_key, documents_of, text_source
from saelib.language.tokenizing import first_tokens, special_token, tokenizer_name

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCSTRINGS = "docstrings"


def load_corpus(
    source: str,
    tokenizer: "PreTrainedTokenizerBase",
    context_length: int,
    held_out_rows: int,
    seed: int,
    prepend_bos: bool | None = None,
    vocabulary: int | None = None,
    commit: str | None = None,
) -> Corpus:
    """Load the rows of `source`: "docstrings", a path, or a hub data set with a `tokens` column.

    Args:
        source: a path is one that is there, or a name with the ending of a text; see `text_files`.
        tokenizer: of the language model that will read the rows.
        context_length: tokens of each row, the BOS token included.
        held_out_rows: how many rows are kept for evaluation.
        seed: of the order in which training rows come (a hub data set keeps its own order, as the paper did).
        prepend_bos: does every row begin with the BOS token? None: as the tokenizer does when it encodes a text; rows
            of a hub data set, which are encoded already, stay as they are unless this is True.
        vocabulary: how many token ids the model knows; if not given, what the tokenizer makes of a text is believed.
        commit: of a hub data set, where a run has read it before: its branch may have moved since.

    Raises:
        FileNotFoundError: `source` looks like a path, and no file is there; or there is no such data set.
        ValueError: a file cannot be read; the source holds too few tokens, or rows that do not fit `context_length`,
            or ids that the model does not know; the tokenizer lacks an end-of-text token, or the BOS token wanted.
    """
    if source == DOCSTRINGS:
        streams, sources = _docstring_streams(tokenizer)
    elif (own := text_source(source)) is not None:
        streams, sources = _own_streams(own, tokenizer)
    else:
        return _hub_corpus(source, tokenizer, context_length, held_out_rows, prepend_bos, vocabulary, commit)
    first = first_tokens(tokenizer, prepend_bos)
    if vocabulary is not None:
        _check_tokens(source, streams, first, tokenizer, vocabulary)
    train, held_out = _rows_of(source, streams, first, context_length, held_out_rows)
    return Corpus(
        name=source,
        train=ShuffledRows(train, seed),
        held_out=held_out,
        train_tokens=int(train.size),
        sha256=_identity(streams, first),
        sources=sources,
        prepend_bos=bool(first),
    )


def _docstring_streams(tokenizer: "PreTrainedTokenizerBase") -> tuple[TokenStreams, dict[str, str]]:
    sources = docstrings.package_versions() | {"extraction": str(docstrings.EXTRACTION_VERSION)}
    return cached_streams(sources | docstrings.installed(), docstrings.documents, tokenizer), sources


def _own_streams(own: TextSource, tokenizer: "PreTrainedTokenizerBase") -> tuple[TokenStreams, dict[str, str]]:
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
) -> Corpus:
    first = first_tokens(tokenizer, setting=True) if prepend_bos else []
    known, bos = len(tokenizer) if vocabulary is None else vocabulary, special_token(tokenizer, "bos")
    check_ids(np.array(first), known, f"what tokenizer {tokenizer_name(tokenizer)} puts first", "leave prepend_bos out")
    corpus = load_hub_corpus(source, context_length, held_out_rows, first, known, bos, commit)
    if prepend_bos is False and corpus.prepend_bos:
        raise ValueError(
            f"prepend_bos=False: the rows of data set {source} begin with the BOS token, and rows that are tokenised "
            "already are taken as they are; leave prepend_bos out"
        )
    return corpus


def _check_tokens(
    source: str, streams: TokenStreams, first: list[int], tokenizer: "PreTrainedTokenizerBase", vocabulary: int
) -> None:
    """Refuse tokens that were added to a tokenizer and not to the model, where the rows hold any."""
    name = tokenizer_name(tokenizer)
    check_ids(np.array(first), vocabulary, f"what tokenizer {name} puts first", "set prepend_bos=False")
    for stream in streams:
        if stream.size and (highest := int(stream.max())) >= vocabulary:
            token = tokenizer.convert_ids_to_tokens(highest)
            remedy = f"it stands for {token!r}; give the model an embedding for it, or take the tokenizer it came with"
            check_ids(stream, vocabulary, f"corpus {source!r}", remedy)


def _rows_of(
    source: str, streams: TokenStreams, first: list[int], context_length: int, held_out_rows: int
) -> tuple[Int32[np.ndarray, "rows context"], Int32[np.ndarray, "held_out context"]]:
    """Training rows, and as many held-out ones as are wanted, spread over all held-out documents.

    Raises:
        ValueError: the text is too short for them.
    """
    width = context_length - len(first)
    if width < 1:
        raise ValueError(f"context_length={context_length} has no place for text behind {len(first)} first tokens")
    train, held_out = (_cut_into_rows(stream, width) for stream in (streams.train, streams.held_out))
    if not len(train) or len(held_out) < held_out_rows:
        needed = max(width / (1 - HELD_OUT_SHARE), held_out_rows * width / HELD_OUT_SHARE)
        remedy = f"Take a text of some {round(needed):,} tokens or more"
        if len(streams.train) + len(streams.held_out) >= needed:  # few documents, or one over and over
            remedy = "Its documents are too few, or too much alike, to fall on both sides: take a longer text"
        raise ValueError(
            f"corpus {source!r} is too short: its training documents have {len(streams.train):,} tokens and its "
            f"held-out ones, {HELD_OUT_SHARE:.0%} of all, {len(streams.held_out):,}; context_length={context_length} "
            f"and held_out_rows={held_out_rows} need {width:,} and {held_out_rows * width:,}. {remedy}, or lower "
            "held_out_rows or context_length"
        )
    chosen = np.linspace(0, len(held_out) - 1, held_out_rows).astype(int)
    return _begun(train, first), _begun(held_out[chosen], first)


def _cut_into_rows(stream: Int32[np.ndarray, " tokens"], width: int) -> Int32[np.ndarray, "rows width"]:
    """Whole rows; what is left over at the end is dropped."""
    return stream[: len(stream) // width * width].reshape(-1, width)


def _begun(rows: Int32[np.ndarray, "rows width"], first: list[int]) -> Int32[np.ndarray, "rows context"]:
    if not first:
        return rows
    return np.concatenate([np.tile(np.array(first, np.int32), (len(rows), 1)), rows], axis=1)


def _identity(streams: TokenStreams, first: list[int]) -> str:
    """Hash of all that decides the rows of a context length; that of the token ids where nothing is put in front."""
    return hashlib.sha256(json.dumps([streams.sha256, first]).encode()).hexdigest() if first else streams.sha256
