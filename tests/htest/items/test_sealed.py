"""Lines that were changed, cut off or swapped are found; those of earlier releases are believed."""

import hashlib
import json
from pathlib import Path

import pytest

from saelib.htest.items.sealed import read_sealed, write_sealed
from saelib.run.reading import DamagedFileError

VALUES = [{"row": row, "text": f'line "{row}" é', "share": row / 7} for row in range(1, 7)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_sealed(tmp_path / "file.jsonl", VALUES)
    return tmp_path / "file.jsonl"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def test_what_is_written_is_read(path: Path) -> None:
    assert read_sealed(path, dict) == VALUES


def test_each_line_has_the_sum_of_what_it_says_and_the_last_one_their_number(path: Path) -> None:
    *others, last = map(json.loads, lines_of(path))
    assert last["lines"] == len(VALUES) and all("lines" not in values for values in others)
    for values in (*others, last):
        known = values.pop("sha256")
        assert known == hashlib.sha256(json.dumps(values).encode()).hexdigest()


def test_every_flipped_bit_is_found_or_changes_nothing(path: Path) -> None:
    """Nothing but a blank between two values may be another one."""
    content = path.read_bytes()
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << place % 8]) + content[place + 1 :])
        try:
            found = read_sealed(path, dict)
        except DamagedFileError as error:
            assert str(path) in str(error) and "delete it" in str(error)
        else:
            assert [{name: part for name, part in values.items() if name in VALUES[0]} for values in found] == VALUES


def test_every_way_to_cut_it_off_is_found(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content) - 1):  # without the last line break alone it is whole
        path.write_bytes(content[:length])
        with pytest.raises(DamagedFileError, match=r"file\.jsonl"):
            read_sealed(path, dict)


def test_the_line_is_named(path: Path) -> None:
    lines = lines_of(path)
    lines[2] = lines[2].replace(b'"row": 3', b'"row": 8')
    path.write_bytes(b"".join(lines))
    with pytest.raises(DamagedFileError, match=r"line 3, cannot be read .*sha256 is that of another content"):
        read_sealed(path, dict)


def test_a_line_less_is_found(path: Path) -> None:
    path.write_bytes(b"".join(lines_of(path)[1:]))
    with pytest.raises(DamagedFileError, match="line 5, was line 6 when it was written"):
        read_sealed(path, dict)


def test_a_file_that_grows_keeps_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    write_sealed(path, VALUES[:4])
    before = path.read_bytes()
    write_sealed(path, VALUES)
    assert path.read_bytes().startswith(before)
    assert read_sealed(path, dict) == VALUES
    path.write_bytes(b"".join(lines_of(path)[:5]))
    with pytest.raises(DamagedFileError, match="ends after line 5"):
        read_sealed(path, dict)


def test_lines_without_sums_are_believed_and_stay(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_text("".join(json.dumps(values, ensure_ascii=False) + "\n" for values in VALUES[:3]), encoding="utf-8")
    before = path.read_bytes()
    assert read_sealed(path, dict) == VALUES[:3]
    write_sealed(path, VALUES)
    assert path.read_bytes().startswith(before)
    assert read_sealed(path, dict) == VALUES


def test_half_a_surrogate_pair_is_kept(tmp_path: Path) -> None:
    write_sealed(tmp_path / "file.jsonl", [{"reply": "\ud83d \U0001f600"}])
    assert read_sealed(tmp_path / "file.jsonl", dict) == [{"reply": "\ud83d \U0001f600"}]


@pytest.mark.parametrize(
    "content", [b"", b"[]\n", b"3\n", b"null\n", b"\xff\n", b"\0\0\0", b"[" * 100_000, b'{"a": NaN}']
)
def test_what_is_no_such_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"file\.jsonl.*put the file back"):
        read_sealed(path, dict)
