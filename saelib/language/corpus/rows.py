"""Rows of token ids: what a corpus is to those who train and evaluate, whatever its text came from.

In: arrays of token ids. Out: rows in a fixed order, and a hash that goes into every result.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from jaxtyping import Int, Int32


class TokenRows(Protocol):
    """Rows of equal length in a fixed order: the same `start` gives the same rows, whatever was read before."""

    def take(self, start: int, count: int) -> Int32[np.ndarray, "count context"]:
        """Rows `start` to `start + count` of the order."""
        ...


@dataclass(frozen=True, repr=False)
class Corpus:
    """Token rows of one source, split by document."""

    name: str
    train: TokenRows
    held_out: Int32[np.ndarray, "rows context"]
    train_tokens: int | None  # in one pass over the corpus; None where the source does not tell
    sha256: str  # of the token ids, or of the name and revision of a hub data set; and of what is put in front
    sources: dict[str, str]  # versions of what the text came from
    prepend_bos: bool = False  # does every row begin with the BOS token, behind a sink token or being it?
    sink_token: str | None = None  # with which every row begins; its position is left out of all that is learned

    def __repr__(self) -> str:
        size = "stream" if self.train_tokens is None else f"{self.train_tokens:,} training tokens"
        rows, context = self.held_out.shape
        return f"Corpus({self.name!r}, {size}, {rows} held-out rows x {context}, sha256 {self.sha256[:12]})"

    @property
    def revision(self) -> str | None:
        """Commit of a hub data set."""
        return self.sources.get("revision")

    @property
    def beginning(self) -> dict[str, str | bool | int]:
        """What every row begins with, for whoever shall make such rows again."""
        beginning: dict[str, str | bool | int] = {"prepend_bos": self.prepend_bos}
        if self.sink_token is not None:
            beginning |= {"sink_token": self.sink_token, "sink_token_id": self.first_token}
        return beginning

    @property
    def first_token(self) -> int:
        """Id of the first token of the first held-out row: of all rows, where something is put in front of them."""
        return int(self.held_out[0, 0])

    def in_order(self, seed: int) -> TokenRows:
        """The same training rows in the order of another seed; a hub data set has one order only."""
        return ShuffledRows(self.train.rows, seed) if isinstance(self.train, ShuffledRows) else self.train


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


def begin_with(
    rows: Int32[np.ndarray, "rows context"], first: Sequence[int]
) -> Int32[np.ndarray, "rows context"]:  # fmt: skip
    """Rows of the same length that begin with `first`: what a row lacks of it is put in front, and its end drops."""
    begun, done = rows.copy(), np.zeros(len(rows), bool)
    for lacking in range(len(first) + 1):
        rest = np.array(first[lacking:], np.int32)
        found = ~done & (rows[:, : len(rest)] == rest).all(axis=1)
        begun[found, lacking:] = rows[found, : rows.shape[1] - lacking]
        begun[found, :lacking] = first[:lacking]
        done |= found
    return begun


def check_ids(ids: Int[np.ndarray, "*any"], vocabulary: int, place: str, remedy: str) -> None:
    """Refuse token ids that the model has no embedding for.

    Raises:
        ValueError: names the place and the id.
    """
    if ids.size and not 0 <= (worst := int(ids.min() if ids.min() < 0 else ids.max())) < vocabulary:
        raise ValueError(f"{place} holds token id {worst}, the model knows {vocabulary} ids; {remedy}")


def hash_tokens(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 of named arrays of token ids: names, shapes and values, whatever the byte order of the machine."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name], "<i4").reshape(-1).data)  # no copy: a corpus may be large
    return digest.hexdigest()


def shared_rows(first: Int[np.ndarray, "rows context"], second: Int[np.ndarray, "others context"]) -> int:
    """How many different rows stand in both arrays."""
    return len({row.tobytes() for row in first} & {row.tobytes() for row in second})
