"""Text as documents, and documents as token ids, split before anything is trained.

In: a text, or documents; a tokenizer. Out: train and held-out documents, and the token ids of each side.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int32

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

HELD_OUT_SHARE = 0.05  # of documents, drawn by the hash of the name, so that a new version moves no document
TEXT_DOCUMENT_CHARACTERS = 4_000  # a text file is cut into documents of about this size, at blank lines


class Document(NamedTuple):
    """Text that stays on one side of the split: a name that decides the side, and its paragraphs."""

    name: str
    paragraphs: list[str]


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
