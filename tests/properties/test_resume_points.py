"""With any damage to its files a resume point is passed over, and the one before it is taken."""

import shutil
import warnings
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saelib.run.resume import ResumePoint, newest_resume_point, save_resume_point
from tests.properties.strategies import damaged

FILES = ("state.safetensors", "progress.json", "manifest.json")


def save(folder: Path, tokens: int) -> None:
    save_resume_point(folder, tokens, {"weights": torch.full((3, 2), float(tokens))}, {"tokens": tokens, "loss": 0.5})


def newest(folder: Path) -> ResumePoint | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return newest_resume_point(folder)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two resume points; to be read only."""
    folder = tmp_path_factory.mktemp("resume_points")
    for tokens in (64, 128):
        save(folder, tokens)
    return folder


@given(names=st.sets(st.sampled_from(FILES), min_size=1), data=st.data())
def test_the_newest_whole_one_is_taken(saved: Path, tmp_path: Path, names: set[str], data: st.DataObject) -> None:
    folder = tmp_path / "points"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved, folder)
    for name in names:
        path = folder / "128" / name
        path.write_bytes(data.draw(damaged(path.read_bytes())))
    found = newest(folder)
    assert found is not None
    tokens = int(found.folder.name)
    assert found.progress == {"tokens": tokens, "loss": 0.5}
    assert torch.equal(found.tensors["weights"], torch.full((3, 2), float(tokens)))
    save(folder, 192)
    assert {str(tokens), "192"} <= {path.name for path in folder.iterdir()}  # the damaged one does not count


@given(
    names=st.sets(st.text(min_size=1, max_size=8).filter(lambda name: "/" not in name and "\0" not in name), max_size=3)
)
def test_what_else_lies_there_is_no_resume_point(saved: Path, tmp_path: Path, names: set[str]) -> None:
    folder = tmp_path / "points"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved, folder)
    for name in names - {".", "..", "64", "128"}:
        (folder / name).mkdir(exist_ok=True)
    found = newest(folder)
    assert found is not None
    assert found.folder.name == "128"
