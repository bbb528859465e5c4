"""A corpus by name: the docstrings of this environment, a text file, or a Hugging Face data set of token rows.

In: the name, and the tokenizer of the language model. Out: a `Corpus` whose train and held-out rows come from
different documents. Text is tokenised once; the token ids are kept in `runs/cache`.
"""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int32

from saelib.language.corpus import docstrings
from saelib.language.corpus.hub import load_hub_corpus
from saelib.language.corpus.rows import Corpus, ShuffledRows, hash_tokens
from saelib.language.corpus.text import (
    HELD_OUT_SHARE,
    Document,
    split_documents,
    text_documents,
    tokenize,
    tokenizer_hash,
)
from saelib.run.files import cache_folder, read_json, replace_folder, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCSTRINGS = "docstrings"


def load_corpus(
    source: str, tokenizer: "PreTrainedTokenizerBase", context_length: int, held_out_rows: int, seed: int
) -> Corpus:
    """Load the rows of `source`: "docstrings", the path of a text file, or a hub data set with a `tokens` column.

    Args:
        source: a name with the ending .txt, or of a file that is there, means a text file.
        tokenizer: of the language model that will read the rows.
        context_length: tokens of each row.
        held_out_rows: how many rows are kept for evaluation.
        seed: of the order in which training rows come (a hub data set keeps its own order, as the paper did).

    Raises:
        FileNotFoundError: `source` looks like a path, and no file is there; or there is no such data set.
        ValueError: the source holds too few held-out rows, or rows shorter than `context_length`; or a data set
            was tokenised for another model.
    """
    if source == DOCSTRINGS or Path(source).suffix == ".txt" or Path(source).is_file():
        return _load_text_corpus(source, tokenizer, context_length, held_out_rows, seed)
    corpus = load_hub_corpus(source, context_length, held_out_rows)
    if corpus.held_out.size and corpus.held_out.max() >= len(tokenizer):
        raise ValueError(
            f"corpus {source!r} holds token id {corpus.held_out.max()}, the tokenizer knows {len(tokenizer)} ids; "
            "take the model for which the data set was tokenised"
        )
    return corpus


def _load_text_corpus(
    source: str, tokenizer: "PreTrainedTokenizerBase", context_length: int, held_out_rows: int, seed: int
) -> Corpus:
    streams = _token_streams(source, tokenizer)
    train, held_out = (_cut_into_rows(stream, context_length) for stream in (streams.train, streams.held_out))
    if len(held_out) < held_out_rows:
        raise ValueError(
            f"corpus {source!r} has {len(held_out)} held-out rows of {context_length} tokens, "
            f"{held_out_rows} are wanted; lower held_out_rows or use a longer text"
        )
    # Rows spread over all held-out documents, which are sorted by name.
    chosen = np.linspace(0, len(held_out) - 1, held_out_rows).astype(int)
    return Corpus(
        name=source,
        train=ShuffledRows(train, seed),
        held_out=held_out[chosen],
        train_tokens=int(train.size),
        sha256=streams.sha256,
        sources=streams.sources,
    )


def _cut_into_rows(stream: Int32[np.ndarray, " tokens"], context_length: int) -> Int32[np.ndarray, "rows context"]:
    """Whole rows; what is left over at the end is dropped."""
    return stream[: len(stream) // context_length * context_length].reshape(-1, context_length)


class TokenStreams(NamedTuple):
    """Token ids of both splits, end to end, before they are cut into rows."""

    train: Int32[np.ndarray, " tokens"]
    held_out: Int32[np.ndarray, " others"]
    sha256: str  # of both
    sources: dict[str, str]  # versions of what the text came from


def _token_streams(source: str, tokenizer: "PreTrainedTokenizerBase") -> TokenStreams:
    """Token ids of a text, from the cache where the same text was tokenised before."""
    from safetensors.numpy import load_file

    sources = _versions(source)
    key = {**sources, "tokenizer": tokenizer_hash(tokenizer), "held_out_share": HELD_OUT_SHARE}
    folder = cache_folder() / f"corpus-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]}"
    if not folder.exists():
        _fill_cache(folder, _read_documents(source), tokenizer, sources)
    tokens, details = load_file(folder / "tokens.safetensors"), read_json(folder / "corpus.json")
    return TokenStreams(tokens["train"], tokens["held_out"], details["sha256"], details["sources"])


def _fill_cache(
    folder: Path, documents: list[Document], tokenizer: "PreTrainedTokenizerBase", sources: dict[str, str]
) -> None:
    from safetensors.numpy import save_file

    streams = {split: tokenize(members, tokenizer) for split, members in split_documents(documents).items()}
    details = {"sha256": hash_tokens(streams), "sources": sources}

    def fill(temporary: Path) -> None:
        save_file(streams, temporary / "tokens.safetensors")
        write_json(temporary / "corpus.json", details)

    replace_folder(folder, fill)


def _versions(source: str) -> dict[str, str]:
    """What the text depends on: versions of what is installed, or the hash of a text file."""
    if source == DOCSTRINGS:
        return docstrings.package_versions() | {"extraction": str(docstrings.EXTRACTION_VERSION)}
    return {"text": hashlib.sha256(_read_text(source).encode()).hexdigest()}


def _read_documents(source: str) -> list[Document]:
    return docstrings.documents() if source == DOCSTRINGS else text_documents(_read_text(source))


def _read_text(source: str) -> str:
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"corpus {source!r}: no such text file (looked at {path.resolve()})")
    return path.read_text(encoding="utf-8")
