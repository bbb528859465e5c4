"""A parquet file written here is read as it was written, or not at all."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saelib.results.provenance import write_table
from saelib.run.parquet import read_notes, read_parquet, write_parquet
from saelib.run.reading import DamagedFileError, read_table

STEP = 11  # bytes between two tries
TABLE = pd.DataFrame({
    "arm": ["scratch", "forward", None],
    "layer": pd.array([1, None, 2**60 + 1], "Int64"),
    "loss": np.array([0.1, np.nan, 3.0]),
    "part": np.array([1, 2, 3], np.float32),
    "seed": [1, 2, 3],
})  # fmt: skip


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_parquet(TABLE, tmp_path / "a.parquet", {b"made_of": b"b"})
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a.parquet"), TABLE)
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a.parquet", ["seed"]), TABLE[["seed"]])
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "a.parquet"), TABLE)
    assert read_notes(tmp_path / "a.parquet")[b"made_of"] == b"b"


def test_a_table_of_somebody_else_is_read_as_it_is(tmp_path: Path) -> None:
    TABLE.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_parquet(tmp_path / "a.parquet"), TABLE)


def test_no_flipped_bit_gives_other_numbers(tmp_path: Path) -> None:
    """Wherever the bit is, in pages, headers, names or notes: the table is refused, or equal to what was written."""
    path = tmp_path / "a.parquet"
    write_table(TABLE, path)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), STEP):
        changed = bytearray(content)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            pd.testing.assert_frame_equal(read_table(path), TABLE, check_dtype=False)
        except DamagedFileError:
            refused += 1
    assert refused > len(content) / STEP / 2


def test_a_table_without_a_column_that_it_needs_is_another_one(tmp_path: Path) -> None:
    write_table(TABLE, tmp_path / "a.parquet")
    with pytest.raises(DamagedFileError, match=r"a\.parquet is another table: it has no column r2 and tokens; put it"):
        read_table(tmp_path / "a.parquet", needed=("seed", "r2", "tokens"))
