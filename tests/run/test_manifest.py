"""Checksums beside files: what was changed is seen, and a folder without any is believed."""

from pathlib import Path

import pytest

from saelib.run.files import sha256_of_file, write_json
from saelib.run.manifest import MANIFEST, check_part, find_damage, has_part, known_parts, note_part, write_manifest
from saelib.run.reading import DamagedFileError, read_json


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in "ab":
        (tmp_path / name).write_text(name)
    write_manifest(tmp_path)
    return tmp_path


def test_a_manifest_has_the_sum_of_every_file(folder: Path) -> None:
    assert read_json(folder / MANIFEST) == {name: sha256_of_file(folder / name) for name in "ab"}
    assert find_damage(folder, "a", "b") is None
    (folder / "c").write_text("added later")
    (folder / ".b.x.temporary").write_text("left over")
    assert find_damage(folder) is None


def test_damage_is_said_with_the_name_of_the_file(folder: Path) -> None:
    (folder / "b").write_text("B")
    assert find_damage(folder) == "b is not what manifest.json says"
    (folder / "b").unlink()
    assert find_damage(folder) == "b is missing, which manifest.json names"
    assert find_damage(folder, "c") == "manifest.json does not name c"
    (folder / MANIFEST).unlink()
    assert find_damage(folder) == "manifest.json is missing"
    assert find_damage(folder / "absent") == "manifest.json is missing"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"3", b'{"a": 3}', b'{"a": null}', b"\xff"])
def test_a_damaged_manifest_is_damage(folder: Path, content: bytes) -> None:
    (folder / MANIFEST).write_bytes(content)
    assert f"{folder / MANIFEST} is not " in str(find_damage(folder))
    with pytest.raises(DamagedFileError, match=r"manifest\.json is not .*; put it back from a copy, or delete its "):
        known_parts(folder)


def test_a_manifest_leads_to_no_file_elsewhere(folder: Path) -> None:
    write_json(folder / MANIFEST, {"../../etc/passwd": "0"})
    assert find_damage(folder) == "../../etc/passwd is missing, which manifest.json names"


def write_part(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content)
    note_part(folder, name)
    return folder / name


def test_parts_are_noted_one_by_one(tmp_path: Path) -> None:
    assert known_parts(tmp_path) == {} and not has_part(tmp_path / "a.parquet")
    first = write_part(tmp_path, "a.parquet", "1")
    second = write_part(tmp_path, "b.parquet", "2")
    assert known_parts(tmp_path) == {path.name: sha256_of_file(path) for path in (first, second)}
    for path in (first, second):
        check_part(path)
        assert has_part(path)
    first.write_text("2")
    with pytest.raises(DamagedFileError, match=rf"{first} is not what manifest\.json beside it says; put it back"):
        check_part(first)
    check_part(second)
    check_part(write_part(tmp_path, "a.parquet", "3"))


def test_swapped_parts_are_seen(tmp_path: Path) -> None:
    first, second = write_part(tmp_path, "a", "1"), write_part(tmp_path, "b", "2")
    first.write_text("2")
    second.write_text("1")
    for path in (first, second):
        with pytest.raises(DamagedFileError, match=str(path)):
            check_part(path)


def test_a_part_that_a_killed_process_left_unnoted_is_made_again(tmp_path: Path) -> None:
    write_part(tmp_path, "a", "1")
    (tmp_path / "b").write_text("2")
    assert not has_part(tmp_path / "b")
    with pytest.raises(DamagedFileError, match="b is not what"):
        check_part(tmp_path / "b")
    check_part(write_part(tmp_path, "b", "2"))


def test_a_part_that_was_deleted_is_not_there(tmp_path: Path) -> None:
    write_part(tmp_path, "a", "1").unlink()
    assert not has_part(tmp_path / "a")


def test_parts_of_an_earlier_release_are_believed_and_then_noted(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("1")
    check_part(tmp_path / "old")
    assert has_part(tmp_path / "old")
    write_part(tmp_path, "new", "2")
    assert known_parts(tmp_path).keys() == {"old", "new"}
    assert has_part(tmp_path / "old")
    (tmp_path / "old").write_text("3")
    with pytest.raises(DamagedFileError, match="old is not what"):
        check_part(tmp_path / "old")
