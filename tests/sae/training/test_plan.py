"""An SAE starts from its source or from its seed, and can be trained either way."""

from pathlib import Path

import pytest
import torch

from saelib.sae.folder import load_sae, save_sae
from saelib.sae.training.plan import PhaseFolders, SaePlan, start_sae
from tests.helpers.small_world import ToyModel, toy_config, toy_folders

SCRATCH = SaePlan("scratch", 1, 7, 7, 1e-2)
TRANSFER = SaePlan("forward", 1, 7, 7, 1e-2, "copy", source_arm="scratch", source_layer=0, source_tokens=256)


def start(plan: SaePlan, folders: PhaseFolders) -> "dict[str, torch.Tensor]":
    return dict(start_sae(plan, ToyModel(), toy_config(), folders).named_parameters())


def same(first: "dict[str, torch.Tensor]", second: "dict[str, torch.Tensor]") -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_place_for_each_sae_and_token_count(tmp_path: Path) -> None:
    folders = PhaseFolders(tmp_path / "saes", tmp_path / "resume_points" / "scratch")
    assert folders.sae("forward", 3, 1, 4096) == tmp_path / "saes" / "forward" / "L3" / "seed1" / "4096"
    assert TRANSFER.name == "forward L1 seed 7"


def test_a_random_start_depends_on_seed_and_layer_alone(tmp_path: Path) -> None:
    weights = start(SCRATCH, toy_folders(tmp_path))
    assert same(weights, start(SaePlan("control", 1, 7, 7, 1e-5), toy_folders(tmp_path)))
    assert not same(weights, start(SaePlan("scratch", 1, 8, 8, 1e-2), toy_folders(tmp_path)))
    assert not same(weights, start(SaePlan("scratch", 2, 7, 7, 1e-2), toy_folders(tmp_path)))


def test_a_transfer_starts_as_a_copy_that_can_be_trained(tmp_path: Path) -> None:
    folders = toy_folders(tmp_path)
    source = start_sae(SaePlan("scratch", 0, 7, 7, 1e-2), ToyModel(), toy_config(), folders)
    save_sae(source, folders.sae("scratch", 0, 7, 256))
    weights = start(TRANSFER, folders)
    assert same(weights, dict(source.named_parameters()))
    assert all(weight.requires_grad for weight in weights.values())
    assert all(weight.requires_grad for weight in start(SCRATCH, folders).values())
    read = load_sae(folders.sae("scratch", 0, 7, 256))
    assert not any(weight.requires_grad for weight in read.parameters())


def test_a_missing_source_is_named(tmp_path: Path) -> None:
    message = (
        "forward L1 seed 7 starts from .*/scratch/L0/seed7/256, which is missing; train the SAEs of the arm scratch"
    )
    with pytest.raises(FileNotFoundError, match=message):
        start(TRANSFER, toy_folders(tmp_path))


def test_a_place_says_which_sae_belongs_there(tmp_path: Path) -> None:
    folders = PhaseFolders(tmp_path / "saes", tmp_path / "resume_points")
    place = folders.sae("forward_affine", 3, 2, 4096)
    wanted = {"arm": "forward_affine", "sae_layer": 3, "seed": 2, "tokens": 4096}
    assert folders.expected(place) == wanted
    assert folders._replace(config_sha256="c").expected(place) == wanted | {"config_sha256": "c"}
    for elsewhere in (tmp_path / "other" / "L3" / "seed2" / "4096", place.parent, place / "more", folders.saes):
        assert folders.expected(elsewhere) is None
