"""A saved map comes back to the bit, and a damaged one is refused by name, then fitted again."""

import json
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from saelib.run.manifest import MANIFEST
from saelib.run.reading import DamagedFileError
from saelib.sae.mapping import fit_map
from saelib.sae.saved_maps import has_map, load_map, map_folder, save_map

WIDTH = 6


@pytest.fixture
def folder(tmp_path):
    x = torch.randn(400, WIDTH, generator=torch.Generator().manual_seed(0))
    place = map_folder(tmp_path, "affine", 2, 3, 5)
    save_map(place, fit_map("affine", x, x.roll(1, 1) + 0.5))
    return place


@pytest.mark.parametrize("start", ["affine", "procrustes"])
def test_a_folder_keeps_a_map(tmp_path, start):
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(400, WIDTH, generator=generator), torch.randn(400, WIDTH, generator=generator)
    folder = map_folder(tmp_path, start, 2, 3, 5)
    assert folder.name == f"{start}-L2-L3-data5"
    assert not has_map(folder)
    saved = fit_map(start, x, x.roll(1, 1) + noise)
    save_map(folder, saved)
    again = load_map(folder)
    for name, value in vars(saved).items():
        same = torch.equal(value, getattr(again, name)) if isinstance(value, Tensor) else value == vars(again)[name]
        assert same, name
    assert (again.ridge is None) == (start == "procrustes")
    assert has_map(folder)


@pytest.mark.parametrize("name", ["map.safetensors", "map.json", MANIFEST])
@pytest.mark.parametrize("damage", ["flipped", "half zero", "cut", "empty", "no UTF-8"])
def test_no_byte_of_a_map_changes_unseen(folder, name, damage):
    path = folder / name
    content, half = path.read_bytes(), path.stat().st_size // 2
    path.write_bytes(
        {
            "flipped": content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :],
            "half zero": content[:half] + bytes(len(content) - half),
            "cut": content[:half],
            "empty": b"",
            "no UTF-8": b"\xff" + content[1:],
        }[damage]
    )
    with pytest.raises(DamagedFileError, match=rf"{folder}.*{name}.*; delete the folder and run again"):
        load_map(folder)
    with pytest.warns(UserWarning, match="delete the folder .*: it is fitted again"):
        assert not has_map(folder)


@pytest.mark.parametrize("name", ["map.safetensors", "map.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"affine-L2-L3-data5 .* {name} is missing; delete the folder"):
        load_map(folder)
    with pytest.warns(UserWarning, match="is missing"):
        assert not has_map(folder)


@pytest.mark.parametrize(
    ("fit", "told"),
    [
        ([], "in place of an object"),
        ({}, "TypeError"),
        ({"r2": "high"}, "r2 is 'high'"),
        ({"ridge": [1]}, r"ridge is \[1\]"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_fit_of_the_wrong_kind_is_named_in_a_folder_without_checksums(folder, fit, told):
    (folder / MANIFEST).unlink()
    whole = json.loads((folder / "map.json").read_text())
    (folder / "map.json").write_text(json.dumps(whole | fit if fit else fit))
    with pytest.raises(DamagedFileError, match=f"{folder}.*{told}"):
        load_map(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"matrix": torch.zeros(WIDTH)}, "not enough values"),
        ({"offset": torch.zeros(WIDTH + 1)}, r"offset holds no \[6\] finite"),
        ({"back_matrix": torch.full((WIDTH, WIDTH), torch.nan)}, r"back_matrix holds no \[6, 6\] finite"),
        ({"back_offset": torch.zeros(WIDTH, dtype=torch.int32)}, r"back_offset holds no \[6\] finite"),
        ({"other": torch.zeros(1)}, "other"),
    ],
)
def test_tensors_that_are_no_map_are_named_in_a_folder_without_checksums(folder, change, told):
    (folder / MANIFEST).unlink()
    save_file(load_file(folder / "map.safetensors") | change, folder / "map.safetensors")
    with pytest.raises(DamagedFileError, match=f"{folder} is no map between layers .*{told}"):
        load_map(folder)


def test_a_map_of_an_earlier_release_has_no_checksums_and_is_believed(folder):
    before = load_map(folder)
    (folder / MANIFEST).unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert has_map(folder)
    assert torch.equal(load_map(folder).matrix, before.matrix)


def test_a_map_in_the_place_of_another_one_is_refused(folder):
    other = folder.with_name("affine-L1-L3-data5")
    folder.rename(other)
    with pytest.raises(DamagedFileError, match="affine-L1-L3-data5 was saved as 'affine-L2-L3-data5', between other"):
        load_map(other)
    with pytest.warns(UserWarning, match="it is fitted again"):
        assert not has_map(other)
