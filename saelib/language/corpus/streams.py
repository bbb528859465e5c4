"""Documents as token ids, tokenised once and kept in `runs/cache` under everything that decides them.

In: documents and a tokenizer. Out: one stream of token ids for each side of the split, checked against its own hash
whenever it is read again.
"""

import hashlib
import json
import warnings
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int32

from saelib.language.corpus.rows import hash_tokens
from saelib.language.corpus.text import HELD_OUT_SHARE, Document, split_of
from saelib.language.tokenizing import document_separator, tokenizer_hash
from saelib.run.files import cache_folder, replace_folder, write_json
from saelib.run.reading import DamagedFileError, naming_damage, read_arrays, read_json_object

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FORMAT_VERSION = 2  # part of the cache key: raise it when the same documents and tokenizer yield other streams
TOKENS, RECORD = "tokens.safetensors", "corpus.json"
BATCH_CHARACTERS = 1_000_000  # tokenised at once: what a tokenizer returns takes some fifty times as many bytes


class _Streams(NamedTuple):
    train: Int32[np.ndarray, " tokens"]
    held_out: Int32[np.ndarray, " others"]


class TokenStreams(_Streams):
    """Token ids of both splits, end to end, before they are cut into rows."""

    @cached_property
    def sha256(self) -> str:
        """Of both; a large corpus takes a while, and it is asked for more than once."""
        return hash_tokens(self._asdict())


def tokenize(documents: Iterable[Document], tokenizer: "PreTrainedTokenizerBase") -> TokenStreams:
    """Documents end to end, each followed by the token that separates them; none is put in front (as in the paper).

    Raises:
        ValueError: the tokenizer has no end-of-text token.
    """
    end, streams = document_separator(tokenizer), {"train": array("i"), "held_out": array("i")}
    for batch in _batches(documents):
        texts = ["\n".join(document.paragraphs) for document in batch]
        encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
        for document, ids in zip(batch, encoded, strict=True):
            streams[split_of(document)].extend([*ids, end])
    return TokenStreams(**{split: np.frombuffer(stream, np.int32) for split, stream in streams.items()})


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += sum(map(len, document.paragraphs))
        if characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def cached_streams(
    text: Mapping[str, str], documents: Callable[[], Iterable[Document]], tokenizer: "PreTrainedTokenizerBase"
) -> TokenStreams:
    """Token ids of a text, from the cache where the same text was tokenised before.

    Args:
        text: everything that decides the documents.
        documents: reads them, where the cache has not got them whole.
    """
    folder = cache_folder() / f"corpus-{_key(text, tokenizer)}"
    if folder.exists():
        try:
            return _read(folder, text)
        except (OSError, ValueError) as error:
            remedy = "if that comes back, look after the disk"
            warnings.warn(f"{folder} is damaged and is made again ({error}); {remedy}", stacklevel=2)
    streams = tokenize(documents(), tokenizer)

    def fill(temporary: Path) -> None:
        from safetensors.numpy import save_file

        save_file(streams._asdict(), temporary / TOKENS)
        write_json(temporary / RECORD, {"sha256": streams.sha256, "text": dict(text)})

    replace_folder(folder, fill)
    return streams


def _key(text: Mapping[str, str], tokenizer: "PreTrainedTokenizerBase") -> str:
    """Short hash of what decides the streams: text, tokenizer, the code that runs it, split and format."""
    versions = [metadata.version(name) for name in ("tokenizers", "transformers")]
    whole = [dict(text), tokenizer_hash(tokenizer), versions, HELD_OUT_SHARE, FORMAT_VERSION]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:16]


def _read(folder: Path, text: Mapping[str, str]) -> TokenStreams:
    """What was kept.

    Raises:
        FileNotFoundError: a file is missing.
        DamagedFileError: it is not what was written, or of another text.
    """
    path, record = folder / TOKENS, read_json_object(folder / RECORD)
    with naming_damage(path, "no pair of streams"):
        streams = TokenStreams(**read_arrays(path))
        same = streams.sha256 == record.get("sha256") and record.get("text") == text
    if not same:
        raise DamagedFileError(f"{path} is not what {RECORD} beside it says")
    return streams
