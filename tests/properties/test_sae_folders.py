"""A folder with any bytes in its files is the SAE that was saved, or refused by its name."""

import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from saelib.run.manifest import MANIFEST
from saelib.run.reading import read_json
from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.folder import CONFIG, LINEAGE, WEIGHTS, load_sae, save_sae
from tests.properties.strategies import damaged, with_other_values

FILES = (CONFIG, WEIGHTS, LINEAGE, MANIFEST)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SAE's folder; to be read only."""
    folder = tmp_path_factory.mktemp("saved") / "256"
    save_sae(a_sae(), folder, lineage={"arm": "scratch", "sae_layer": 1, "seed": 0, "tokens": 256})
    return folder


def a_sae() -> SparseAutoencoder:
    return random_sae(4, 8, torch.Generator().manual_seed(0))


def same(found: SparseAutoencoder) -> bool:
    return all(map(torch.equal, found.parameters(), a_sae().parameters()))


def loaded_or_refused(folder: Path) -> SparseAutoencoder | None:
    """The SAE of a folder, or None where it is refused by its name."""
    try:
        return load_sae(folder)
    except (FileNotFoundError, ValueError) as error:
        assert type(error).__name__ in ("FileNotFoundError", "ValueError", "DamagedFileError")
        assert str(folder) in str(error)
        return None


@given(name=st.sampled_from(FILES), data=st.data())
def test_a_damaged_folder_is_the_same_sae_or_refused(
    saved: Path, tmp_path: Path, name: str, data: st.DataObject
) -> None:
    folder = tmp_path / "256"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    (folder / name).write_bytes(data.draw(damaged((saved / name).read_bytes())))
    found = loaded_or_refused(folder)
    assert found is None or same(found)


@given(data=st.data())
def test_a_config_of_others_gives_an_sae_or_is_refused(saved: Path, tmp_path: Path, data: st.DataObject) -> None:
    """Without a manifest, as other libraries save it: what its config says is believed, or refused."""
    folder = tmp_path / "256"
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    (folder / MANIFEST).unlink()
    (folder / CONFIG).write_bytes(data.draw(with_other_values(read_json(saved / CONFIG))))
    found = loaded_or_refused(folder)
    assert found is None or (found.d_model, found.d_sae) == (4, 8)
