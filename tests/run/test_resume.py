"""A resume point is whole, or it is passed over."""

import pytest
import torch

from saelib.run.manifest import MANIFEST, write_manifest
from saelib.run.reading import read_json_lines
from saelib.run.resume import PROGRESS, STATE, newest_resume_point, save_resume_point, settle
from saelib.run.timing import TIMING


def save(folder, tokens):
    save_resume_point(folder, tokens, {"weights": torch.full((3,), float(tokens))}, {"tokens": tokens})


def test_newest_is_loaded_and_two_are_kept(tmp_path):
    for tokens in (5, 10, 100):
        save(tmp_path, tokens)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "100"]
    found = newest_resume_point(tmp_path)
    assert found
    assert found.folder == tmp_path / "100"
    assert found.progress == {"tokens": 100}
    assert found.tensors["weights"].tolist() == [100.0] * 3


def test_no_resume_point(tmp_path):
    assert newest_resume_point(tmp_path / "absent") is None


def loaded_tokens(folder):
    found = newest_resume_point(folder)
    assert found
    return found.progress["tokens"]


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", [STATE, PROGRESS, MANIFEST])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "removed", "emptied"])
def test_a_damaged_resume_point_gives_way_to_the_one_before(tmp_path, name, damage):
    save(tmp_path, 5)
    save(tmp_path, 10)
    path = tmp_path / "10" / name
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-7])
    elif damage == "flipped":
        flip_a_byte(path)
    elif damage == "removed":
        path.unlink()
    else:
        path.write_bytes(b"")
    with pytest.warns(UserWarning, match="resume point .*10 is damaged"):
        assert loaded_tokens(tmp_path) == 5


@pytest.mark.parametrize("damaged", [(200, 300), (100, 200, 300), (50, 60), (150,)])
def test_damaged_points_are_not_counted_and_the_new_one_stays(tmp_path, damaged):
    for tokens in (10, *damaged):
        save_resume_point(tmp_path, tokens, {}, {"tokens": tokens}, kept=9)
    for tokens in damaged:
        (tmp_path / str(tokens) / STATE).write_bytes(b"")
    save(tmp_path, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "100"]
    assert loaded_tokens(tmp_path) == 100


def test_wall_times_beside_the_points_are_those_of_the_newest(tmp_path):
    lines = [{"seconds": 1.0}, {"seconds": 2.0}]
    for tokens in (1, 2):
        save_resume_point(tmp_path, tokens, {}, {}, intervals=lines[:tokens])
    (tmp_path / TIMING).write_text("{", encoding="utf-8")  # a full disk
    found = newest_resume_point(tmp_path)
    assert found
    assert found.intervals == lines
    settle(found.folder, found.intervals)
    assert read_json_lines(tmp_path / TIMING, dict) == lines


def test_a_point_that_is_whole_and_cannot_be_read_gives_way_too(tmp_path):
    save(tmp_path, 5)
    save(tmp_path, 10)
    (tmp_path / "10" / PROGRESS).write_text("[]", encoding="utf-8")
    write_manifest(tmp_path / "10")
    with pytest.warns(UserWarning, match="10 is damaged"):
        assert loaded_tokens(tmp_path) == 5


def test_an_unfinished_write_is_not_a_resume_point(tmp_path):
    save(tmp_path, 5)
    (tmp_path / ".10.abc").mkdir()  # what a kill during a write leaves
    (tmp_path / ".10.abc" / STATE).write_bytes(b"half")
    assert loaded_tokens(tmp_path) == 5
