"""Rows of token ids from a data set on the Hugging Face Hub, in their own order, one parquet file at a time.

In: the name of a data set with a `tokens` column, such as NeelNanda/pile-small-tokenized-2b. Out: a `Corpus` whose
first rows are held out and whose training rows follow them. (The layer-transfer paper evaluated on its first training
rows; holding them out is a difference on purpose.) Files come through the hub's cache: each is fetched when its first
row is wanted, and what was fetched once is read without a network.
"""

import bisect
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int, Int32

from saelib.language.corpus.hub_files import training_files
from saelib.language.corpus.rows import Corpus, begin_with, check_ids, hash_tokens
from saelib.language.hub import fetching, network_errors
from saelib.run.files import sha256_of_file
from saelib.run.reading import DamagedFileError, naming_damage
from saelib.run.secrets import one_line

if TYPE_CHECKING:
    import pyarrow

COLUMN = "tokens"
HASH = re.compile(r"[0-9a-f]{64}")


class HubRows:
    """Rows of parquet files, read one row group at a time, wherever reading starts.

    A stored row is cut into as many rows as go into it, so rows of 1024 tokens serve a context of 256 as well.

    Args:
        first_row: rows before it are left out.
        first: token ids that every row begins with; a row that does not gets them in front and loses its end.
        vocabulary: how many token ids the model knows; None checks nothing.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[str],
        fetch: Callable[[str], Path],
        context_length: int,
        first_row: int = 0,
        first: Sequence[int] = (),
        vocabulary: int | None = None,
    ) -> None:
        self.name, self.files, self.fetch = name, files, fetch
        self.context_length, self.first_row = context_length, first_row
        self.first, self.vocabulary = first, vocabulary
        self._groups: list[tuple[str, int]] = []  # file and number of each row group of the files opened so far
        self._starts: list[int] = [0]  # first row of each of them, and the row after the last
        self._opened = 0  # files
        self._stored_length = 0  # tokens of a stored row, the same for all; 0 until one was seen
        self._read: tuple[int, Int32[np.ndarray, "rows context"]] | None = None  # the row group read last

    def take(self, start: int, count: int) -> Int32[np.ndarray, "count context"]:
        """Rows `start` to `start + count` after `first_row`; behind the last row comes the first one again.

        Raises:
            FileNotFoundError: the next file is not in the cache and cannot be fetched.
            ValueError: the rows do not fit `context_length`, or no row is left after `first_row`.
            DamagedFileError: a file in the cache was changed since it was fetched.
        """
        parts: list[Int32[np.ndarray, "some context"]] = []
        while (taken := sum(map(len, parts))) < count:
            parts.append(self._rows_from(self._row_of(start + taken))[: count - taken])
        return np.concatenate(parts) if parts else np.empty((0, self.context_length), np.int32)

    def _row_of(self, position: int) -> int:
        """Row of the data set at a position of the order; opens files until it is reached."""
        while self.first_row + position >= self._starts[-1] and self._opened < len(self.files):
            self._open_next_file()
        rows = self._starts[-1] - self.first_row
        if rows <= 0:
            raise ValueError(
                f"data set {self.name} has {self._starts[-1]} rows of {self.context_length} tokens, of which "
                f"{self.first_row} are held out; lower held_out_rows"
            )
        return self.first_row + (position % rows if self._opened == len(self.files) else position)

    def _rows_from(self, row: int) -> Int32[np.ndarray, "some context"]:
        """Rows from `row` to the end of its row group."""
        group = bisect.bisect_right(self._starts, row) - 1
        if self._read is None or self._read[0] != group:
            self._read = None  # one row group in memory at a time
            self._read = group, self._read_group(*self._groups[group])
        return self._read[1][row - self._starts[group] :]

    def _open_next_file(self) -> None:
        import pyarrow.parquet

        file = self.files[self._opened]
        path = self._path(file)
        self._check_whole(path, file)
        with self._naming_damage(path, file), pyarrow.parquet.ParquetFile(path) as opened:
            columns = opened.schema_arrow.names
            sizes = [opened.metadata.row_group(group).num_rows for group in range(opened.num_row_groups)]
        if COLUMN not in columns:
            raise ValueError(
                f"data set {self.name} has no column {COLUMN!r} but {', '.join(columns)}; "
                "it must hold rows of token ids, tokenised for the model at hand. To train on its text: "
                f"`hf download {self.name} {file} --repo-type dataset --local-dir .`, then corpus='{file}:COLUMN'"
            )
        for group, size in enumerate(sizes):
            if size and not self._stored_length:
                self._read_group(file, group)  # tells the length
            self._groups.append((file, group))
            self._starts.append(self._starts[-1] + size * self._stored_length // self.context_length)
        self._opened += 1

    def _read_group(self, file: str, group: int) -> Int32[np.ndarray, "rows context"]:
        import pyarrow.parquet

        path = self._path(file)
        with self._naming_damage(path, file), pyarrow.parquet.ParquetFile(path) as opened:
            column = opened.read_row_group(group, columns=[COLUMN])[COLUMN].combine_chunks()
        self._check_lengths(column, file)
        ids = self._ids(column, file).astype(np.int32).reshape(-1, self.context_length)
        return begin_with(ids, self.first) if self.first else ids

    def _ids(self, column: "pyarrow.Array", file: str) -> Int[np.ndarray, " tokens"]:
        """All token ids of a row group, in the type that they are stored in."""
        place, flat = f"data set {self.name}, {file},", column.flatten()
        if flat.null_count:
            raise ValueError(f"{place} holds rows in which a token id is missing; tokenise it again")
        ids: Int[np.ndarray, " tokens"] = flat.to_numpy(zero_copy_only=False)
        if self.vocabulary is not None:
            check_ids(ids, self.vocabulary, place, "take the model for which the data set was tokenised")
        return ids

    def _check_lengths(self, column: "pyarrow.Array", file: str) -> None:
        import pyarrow.compute

        place = f"data set {self.name}, {file}"
        if not (pyarrow.types.is_nested(column.type) and pyarrow.types.is_integer(column.type.value_type)):
            raise ValueError(f"{place}: column {COLUMN!r} holds {column.type} instead of rows of token ids")
        lengths = pyarrow.compute.min_max(pyarrow.compute.list_value_length(column).fill_null(0))
        shortest, longest = lengths["min"].as_py(), lengths["max"].as_py()
        if shortest != longest or self._stored_length not in (0, longest):
            raise ValueError(f"{place}: rows of {shortest} and of {self._stored_length or longest} tokens; "
                             "all rows must be equally long")  # fmt: skip
        if not longest or longest % self.context_length:
            raise ValueError(
                f"{place}: rows of {longest} tokens cannot be cut into rows of "
                f"context_length={self.context_length}; set context_length={longest} or a divisor of it"
            )
        self._stored_length = longest

    def _naming_damage(self, path: Path, file: str) -> AbstractContextManager[None]:
        return naming_damage(path, f"no whole parquet file of data set {self.name}", self._fetch_again(file))

    def _fetch_again(self, file: str) -> str:
        return f"run `hf download {self.name} {file} --repo-type dataset --force-download` where there is a network"

    def _check_whole(self, path: Path, file: str) -> None:
        """The hub's cache names a large file by its SHA-256."""
        known = path.resolve().name
        if HASH.fullmatch(known) and sha256_of_file(path) != known:
            raise DamagedFileError(f"data set {self.name}: {path} was changed; {self._fetch_again(file)}")

    def _path(self, file: str) -> Path:
        try:
            with fetching(f"data set {self.name}, {file}"):
                return self.fetch(file)
        except network_errors() as error:
            raise FileNotFoundError(
                f"data set {self.name}: {file} is not in the Hugging Face cache and cannot be fetched "
                f"({one_line(error)}); run `hf download {self.name} {file} --repo-type dataset` where there is a "
                "network, then run again"
            ) from error


def load_hub_corpus(
    source: str,
    context_length: int,
    held_out_rows: int,
    first: Sequence[int] = (),
    vocabulary: int | None = None,
    bos: int | None = None,
    commit: str | None = None,
) -> Corpus:
    """Open a data set; the first `held_out_rows` rows are held out, and training starts right after them.

    Args:
        source: name on the hub, with a revision behind an @ if one is wanted: `owner/name@commit`.
        first: token ids that every row begins with; nothing leaves the rows as they are.
        vocabulary: how many token ids the model knows.
        bos: the BOS token, to tell whether the rows begin with it.
        commit: to read, whatever revision the name has now: a branch may have moved.

    Raises:
        FileNotFoundError: no such data set in the cache or on the hub.
        ValueError: its rows do not fit, or it has no more than `held_out_rows` of them.
    """
    from huggingface_hub import hf_hub_download

    name, _, revision = source.partition("@")
    commit, files = training_files(name, commit or revision or None)

    def fetch(file: str) -> Path:
        return Path(hf_hub_download(name, file, repo_type="dataset", revision=commit))

    train = HubRows(name, files, fetch, context_length, held_out_rows, first, vocabulary)
    train.take(0, 1)  # the data set is longer than what is held out
    held_out = HubRows(name, files, fetch, context_length, 0, first, vocabulary).take(0, held_out_rows)
    identity = [name, commit, hash_tokens({"held_out": held_out}), *([list(first)] if first else [])]
    return Corpus(
        name=source,
        train=train,
        held_out=held_out,
        train_tokens=None,
        sha256=hashlib.sha256(json.dumps(identity).encode()).hexdigest(),
        sources={"data_set": name, "revision": commit},
        prepend_bos=bool(first) or bool(len(held_out) and (held_out[:, 0] == bos).all()),
    )
