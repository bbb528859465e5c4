"""Parquet files that show any change of their bytes: each page has a checksum, and the names of the columns have one.

In: a table. Out: a file, and the table again, or an error of pyarrow or a ValueError. A file of somebody else, or of an
earlier release, has no checksums: it is read as it is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

SEAL = b"saelib_columns"  # in the schema: SHA-256 of the columns' names and of what else the schema notes


def write_parquet(table: "pd.DataFrame", path: Path, notes: Mapping[bytes, bytes] | None = None) -> None:
    """Write a table without its index.

    Args:
        notes: kept in its schema, for `read_notes`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = pa.Table.from_pandas(table, preserve_index=False)
    noted = {**content.schema.metadata, **(notes or {})}
    sealed = content.replace_schema_metadata(noted | {SEAL: _seal(content.schema.names, noted)})
    pq.write_table(sealed, path, write_page_checksum=True)


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> "pd.DataFrame":
    """The table of a file, or some of its columns; their pages are compared with their checksums.

    Raises:
        ValueError: columns are not named as they were written.
        pyarrow.ArrowException, OSError: a page was changed, or it is no such file.
    """
    import pandas as pd

    read_notes(path)
    wanted = None if columns is None else list(columns)
    return pd.read_parquet(path, columns=wanted, page_checksum_verification=True)


def read_notes(path: Path) -> dict[bytes, bytes]:
    """What the schema of a file notes.

    Raises:
        ValueError, pyarrow.ArrowException, OSError: as `read_parquet`.
    """
    import pyarrow.parquet as pq

    schema = pq.read_schema(path)
    notes = dict(schema.metadata or {})
    if notes.get(SEAL, seal := _seal(schema.names, notes)) != seal:
        raise ValueError("the names of its columns are not those that were written")
    return notes


def _seal(names: Sequence[str], notes: Mapping[bytes, bytes]) -> bytes:
    others = sorted((name, value) for name, value in notes.items() if name != SEAL)
    return hashlib.sha256(repr([list(names), others]).encode()).hexdigest().encode()
