"""Text as rows of token ids, split into train and held-out rows before anything is trained.

In: the docstrings of this environment, a text file, or a Hugging Face data set of token rows. Out: a `Corpus`
whose train and held-out rows come from different documents, with a hash that goes into every result.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from jaxtyping import Int32

from saelib.language.corpus import docstrings
from saelib.language.corpus.docstrings import Document
from saelib.run.files import cache_folder, read_json, replace_folder, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

DOCSTRINGS = "docstrings"
HELD_OUT_SHARE = 0.05  # of documents, drawn by the hash of the name, so that a new version moves no document
TEXT_DOCUMENT_CHARACTERS = 4_000  # a text file is cut into documents of about this size, at blank lines


class TokenRows(Protocol):
    """Rows of equal length in a fixed order: the same `start` gives the same rows, whatever was read before."""

    def take(self, start: int, count: int) -> Int32[np.ndarray, "count context"]:
        """Rows `start` to `start + count` of the order."""
        ...


@dataclass(frozen=True)
class Corpus:
    """Token rows of one source, split by document."""

    name: str
    train: TokenRows
    held_out: Int32[np.ndarray, "rows context"]
    train_tokens: int | None  # in one pass over the corpus; None where the source does not tell
    sha256: str  # of the token ids, or of the name and revision of a hub data set
    sources: dict[str, str]  # versions of what the text came from


class ShuffledRows:
    """Rows in memory, in an order that is a pure function of the seed and the epoch."""

    def __init__(self, rows: Int32[np.ndarray, "rows context"], seed: int) -> None:
        if not len(rows):
            raise ValueError("the corpus holds no full training row; use a longer text or a shorter context_length")
        self.rows, self.seed = rows, seed

    def take(self, start: int, count: int) -> Int32[np.ndarray, "count context"]:
        """Rows `start` to `start + count`; each epoch of `len(rows)` is a new permutation."""
        positions = np.arange(start, start + count)
        epochs, within = np.divmod(positions, len(self.rows))
        taken = np.empty((count, self.rows.shape[1]), np.int32)
        for epoch in np.unique(epochs):
            order = np.random.default_rng([self.seed, int(epoch)]).permutation(len(self.rows))
            taken[epochs == epoch] = self.rows[order[within[epochs == epoch]]]
        return taken


def load_corpus(
    source: str, tokenizer: "PreTrainedTokenizerBase", context_length: int, held_out_rows: int, seed: int
) -> Corpus:
    """Load the rows of `source`: "docstrings", the path of a text file, or a hub data set with a `tokens` column.

    Args:
        context_length: tokens in a row.
        held_out_rows: how many rows are kept for evaluation.
        seed: of the order in which training rows come (a hub data set keeps its own order, as the paper did).

    Raises:
        FileNotFoundError: `source` looks like a path, and no file is there.
        ValueError: the source holds too few held-out rows, or rows shorter than `context_length`.
    """
    if source == DOCSTRINGS or Path(source).suffix == ".txt" or Path(source).is_file():
        streams, details = _token_streams(source, tokenizer)
        rows = {split: stream[: len(stream) // context_length * context_length].reshape(-1, context_length)
                for split, stream in streams.items()}  # fmt: skip
        if len(rows["held_out"]) < held_out_rows:
            raise ValueError(
                f"corpus {source!r} has {len(rows['held_out'])} held-out rows of {context_length} tokens, "
                f"{held_out_rows} are wanted; lower held_out_rows or use a longer text"
            )
        # Rows spread over all held-out documents, which are sorted by name.
        chosen = np.linspace(0, len(rows["held_out"]) - 1, held_out_rows).astype(int)
        return Corpus(
            name=source,
            train=ShuffledRows(rows["train"], seed),
            held_out=rows["held_out"][chosen],
            train_tokens=int(rows["train"].size),
            sha256=details["sha256"],
            sources=details["sources"],
        )
    from saelib.language.corpus.hub import load_hub_corpus

    corpus = load_hub_corpus(source, context_length, held_out_rows)
    if corpus.held_out.size and corpus.held_out.max() >= len(tokenizer):
        raise ValueError(
            f"corpus {source!r} holds token id {corpus.held_out.max()}, the tokenizer knows {len(tokenizer)} ids; "
            "take the model for which the data set was tokenised"
        )
    return corpus


def _token_streams(
    source: str, tokenizer: "PreTrainedTokenizerBase"
) -> tuple[dict[str, Int32[np.ndarray, " tokens"]], dict[str, Any]]:
    """Token ids of both splits, from the cache where the same text was tokenised before."""
    from safetensors.numpy import load_file, save_file

    if source == DOCSTRINGS:
        key: dict[str, Any] = docstrings.package_versions() | {"extraction": str(docstrings.EXTRACTION_VERSION)}
    else:
        key = {"text": hashlib.sha256(_read_text(source).encode()).hexdigest()}
    sources = dict(key)
    key |= {"tokenizer": tokenizer_hash(tokenizer), "held_out_share": HELD_OUT_SHARE}
    folder = cache_folder() / f"corpus-{hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:16]}"
    if not folder.exists():
        read = docstrings.documents() if source == DOCSTRINGS else text_documents(_read_text(source))
        streams = {split: tokenize(documents, tokenizer) for split, documents in split_documents(read).items()}
        details = {"sha256": hash_tokens(streams), "sources": sources}

        def fill(temporary: Path) -> None:
            save_file(streams, temporary / "tokens.safetensors")
            write_json(temporary / "corpus.json", details)

        replace_folder(folder, fill)
    return load_file(folder / "tokens.safetensors"), read_json(folder / "corpus.json")


def _read_text(source: str) -> str:
    path = Path(source)
    if not path.is_file():
        raise FileNotFoundError(f"corpus {source!r}: no such text file (looked at {path.resolve()})")
    return path.read_text(encoding="utf-8")


def text_documents(text: str) -> list[Document]:
    """A text as documents of about `TEXT_DOCUMENT_CHARACTERS`, cut at blank lines and named by their content."""
    documents: list[Document] = []
    paragraphs: list[str] = []
    for paragraph in (*filter(None, map(str.strip, text.split("\n\n"))), ""):
        if paragraphs and (not paragraph or sum(map(len, paragraphs)) >= TEXT_DOCUMENT_CHARACTERS):
            documents.append(Document(hashlib.sha256("\n\n".join(paragraphs).encode()).hexdigest(), paragraphs))
            paragraphs = []
        paragraphs.append(paragraph)
    return documents


def split_documents(documents: Iterable[Document]) -> dict[str, list[Document]]:
    """Documents by split, `train` or `held_out`; a document's split depends on its name alone."""
    splits: dict[str, list[Document]] = {"train": [], "held_out": []}
    for document in documents:
        draw = int.from_bytes(hashlib.sha256(document.name.encode()).digest()[:8], "big") / 2**64
        splits["held_out" if draw < HELD_OUT_SHARE else "train"].append(document)
    return splits


def tokenize(documents: Iterable[Document], tokenizer: "PreTrainedTokenizerBase") -> Int32[np.ndarray, " tokens"]:
    """Documents end to end, each followed by the end-of-text token; no token is put in front (as in the paper)."""
    texts = ["\n".join(document.paragraphs) for document in documents]
    if not texts:
        return np.empty(0, np.int32)
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return np.concatenate([np.array([*ids, tokenizer.eos_token_id], np.int32) for ids in encoded])


def tokenizer_hash(tokenizer: "PreTrainedTokenizerBase") -> str:
    """SHA-256 of everything that decides how a text is cut into tokens."""
    return hashlib.sha256(tokenizer.backend_tokenizer.to_str().encode()).hexdigest()


def hash_tokens(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of named arrays of token ids: names, shapes and values, whatever the byte order of the machine."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name], "<i4").tobytes())
    return digest.hexdigest()
