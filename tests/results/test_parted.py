"""A table by parts: what is noted counts, what is joined says of what, and any kill leaves what can be made again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saelib.results.parted import PartedTable, made_of
from saelib.results.provenance import write_table
from saelib.run.manifest import MANIFEST
from saelib.run.reading import DamagedFileError


@pytest.fixture
def parted(tmp_path: Path) -> PartedTable:
    parted = PartedTable(tmp_path / "scores")
    for name, number in (("b", 2), ("a", 1), ("c-10", 10), ("c-02", 3)):
        parted.write(name, pd.DataFrame({"number": [number]}))
    return parted


def test_parts_are_together_in_the_order_of_their_names(parted: PartedTable) -> None:
    assert parted.parts == ["a", "b", "c-02", "c-10"]
    assert parted.together()["number"].tolist() == [1, 2, 3, 10]
    assert parted.together(["b", "a"])["number"].tolist() == [2, 1]


def test_without_parts_the_joined_table_is_all_there_is(tmp_path: Path) -> None:
    parted = PartedTable(tmp_path / "scores")
    with pytest.raises(FileNotFoundError):
        parted.together()
    write_table(pd.DataFrame({"number": [5]}), parted.path)
    assert parted.together()["number"].tolist() == [5]


def test_a_joined_table_is_that_of_these_parts_and_no_others(parted: PartedTable) -> None:
    assert not parted.is_joined(parted.parts)
    parted.join(parted.parts, parted.together())
    assert parted.is_joined(parted.parts) and not parted.is_joined(["a"])
    assert pd.read_parquet(parted.path)["number"].tolist() == [1, 2, 3, 10]
    parted.write("a", pd.DataFrame({"number": [7]}))
    assert not parted.is_joined(parted.parts)
    parted.path.write_bytes(b"PAR1")
    assert made_of(parted.path) is None


def test_a_joined_table_with_a_flipped_bit_is_made_again(parted: PartedTable) -> None:
    """In a page of its numbers: what it says of its parts is whole."""
    whole = parted.together().assign(score=[np.e, np.pi, np.sqrt(2), np.sqrt(3)])  # digits that no page shortens
    parted.join(parted.parts, whole)
    content = bytearray(parted.path.read_bytes())
    content[content.index(np.float64(np.pi).tobytes())] ^= 1
    parted.path.write_bytes(content)
    assert pd.read_parquet(parted.path)["score"][1] != np.pi, "nobody sees it who does not look at checksums"
    assert not parted.is_joined(parted.parts)
    parted.join(parted.parts, whole)
    pd.testing.assert_frame_equal(pd.read_parquet(parted.path), whole)


def test_a_part_of_another_kind_is_named(parted: PartedTable) -> None:
    with pytest.raises(DamagedFileError, match=r"a\.parquet is another table: it has no column arm; put it back from"):
        PartedTable(parted.folder, needed=("arm",)).together()


def test_a_part_that_was_not_noted_is_made_again(parted: PartedTable) -> None:
    """As where a process was killed between writing and noting it."""
    write_table(pd.DataFrame({"number": [4]}), parted.place("d"))
    assert not parted.has("d") and "d" not in parted.parts


def test_a_part_that_changed_is_refused_and_can_be_made_again_where_it_is_deleted(parted: PartedTable) -> None:
    write_table(pd.DataFrame({"number": [4]}), parted.place("b"))
    with pytest.raises(DamagedFileError, match=r"b\.parquet is not what manifest\.json .* delete it"):
        parted.together()
    parted.place("b").unlink()
    assert not parted.has("b")
    parted.write("b", pd.DataFrame({"number": [2]}))
    assert parted.together()["number"].tolist() == [1, 2, 3, 10]


def test_parts_of_an_earlier_release_are_believed_and_noted_when_they_are_joined(parted: PartedTable) -> None:
    (parted.folder / MANIFEST).unlink()
    assert parted.together()["number"].tolist() == [1, 2, 3, 10]
    parted.join(parted.parts, parted.together())
    write_table(pd.DataFrame({"number": [4]}), parted.place("b"))
    with pytest.raises(DamagedFileError):
        parted.together()


def test_whole_numbers_that_some_parts_lack_stay_whole(tmp_path: Path) -> None:
    parted = PartedTable(tmp_path / "scores")
    parted.write("a", pd.DataFrame({"number": [1]}))
    parted.write("b", pd.DataFrame({"number": [2], "step": pd.array([2**60 + 1], "Int64")}))
    whole = parted.together()
    assert whole["step"].tolist() == [pd.NA, 2**60 + 1]
    parted.join(parted.parts, whole)
    pd.testing.assert_frame_equal(pd.read_parquet(parted.path), whole)
