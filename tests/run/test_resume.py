"""A resume point is whole, or it is passed over."""

import pytest
import torch

from saelib.run.resume import MANIFEST, PROGRESS, STATE, newest_resume_point, save_resume_point


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


def test_an_unfinished_write_is_not_a_resume_point(tmp_path):
    save(tmp_path, 5)
    (tmp_path / ".10.abc").mkdir()  # what a kill during a write leaves
    (tmp_path / ".10.abc" / STATE).write_bytes(b"half")
    assert loaded_tokens(tmp_path) == 5
