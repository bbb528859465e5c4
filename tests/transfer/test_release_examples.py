"""What this room's page says to type about released SAEs runs as it stands, against stand-ins of hub and model."""

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from saelib.transfer.experiment import Experiment
from tests.helpers.pages import fences, read_page, section
from tests.helpers.release_hub import serve_releases
from tests.helpers.small_models import cache_hub_model, cache_hub_rows, random_rows
from tests.helpers.small_releases import cache_published, cache_repository, known_sae, save_as_authors

PAGE = section(read_page("saelib/transfer/README.md"), "The authors' SAEs, other people's, ours for others")
READING, IN_PLACE_OF_TRAINING, FOR_OTHERS = fences(PAGE, "python")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "hub"


def run(code: str, **names: Any) -> dict[str, Any]:
    exec(code, names)
    return names


def test_reading(hub: Path) -> None:
    cache_published(hub, layers=4)
    of_others = cache_repository(hub, "jbloom/GPT2-Small-SAEs-Reformatted") / "blocks.8.hook_resid_pre"
    of_others.mkdir()
    two = known_sae()
    save_file({name: weight.detach() for name, weight in two.named_parameters()}, of_others / "sae_weights.safetensors")
    config = {"d_in": 6, "d_sae": 20, "hook_point": "blocks.8.hook_resid_pre", "hook_point_layer": 8}
    (of_others / "cfg.json").write_text(json.dumps(config | {"dtype": "torch.float32"}))
    save_as_authors(Path("path/to/folder"), known_sae(), 3)
    names = run(READING)
    assert names["where"]["folder"] == "forward/L3/500M"
    assert names["other"].lineage["sae_layer"] == 7
    x = torch.randn(3, 6)
    # SAELens 2 subtracts b_dec from the input
    assert torch.allclose(names["other"](x), two(x - two.b_dec), atol=1e-5)
    assert torch.equal(names["mine"](x), two(x))


def test_in_place_of_training(hub: Path, empty_runs: Path) -> None:
    cache_hub_model(hub, "EleutherAI/pythia-160m-deduped")
    cache_hub_rows(hub, "NeelNanda/pile-small-tokenized-2b", {"data/train.parquet": random_rows(80)})
    cache_published(hub)
    fewer = ('scratch={"checkpoints": [0, 500_002_816, 999_997_440]}', 'transfer={"checkpoints": [0, 500_002_816]}')
    assert all(f"`{one}`" in PAGE for one in fewer)
    sizes = ("context_length=64", "expansion_factor=2", "chunk_rows=64", "held_out_rows=4", "evaluation_batch_rows=2")
    assert 'saes="published")' in IN_PLACE_OF_TRAINING
    small = IN_PLACE_OF_TRAINING.replace('saes="published")', f'saes="published", {", ".join(fewer + sizes)})')
    experiment = run(small)["experiment"]
    assert experiment.folder == empty_runs / "pythia-160m-published"
    assert (experiment.folder / "evaluation.parquet").is_file()


@pytest.mark.enable_socket
def test_for_others(run_of_all: Experiment, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    with serve_releases(tmp_path / "cache", monkeypatch) as hub:
        names = run(FOR_OTHERS, experiment=run_of_all)
        assert "owner/name: 13 files" in capsys.readouterr().out  # 2 layers, 2 replicates, 3 files each, and the page
        assert hub.repositories["owner/name"].keys() == names["upload"].files.keys()
        assert (tmp_path / "release" / "README.md").read_text() == names["upload"].card


@pytest.fixture
def run_of_all(request: pytest.FixtureRequest) -> Experiment:
    """The finished run of this folder's tests."""
    experiment: Experiment = request.getfixturevalue("run")
    return experiment
