"""Training on a GPU ends where training on a CPU does, compiled once, and in the same bytes after an interruption."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch._dynamo.utils import counters

from saelib.language.precision import Precision
from saelib.sae.folder import load_sae
from saelib.sae.training.train import train
from saelib.transfer.plans import scratch_plans, transfer_plans
from tests.helpers.small_world import StopsAfter, ToyModel, files_below, one_order, toy_config, toy_folders, toy_rows

pytestmark = pytest.mark.cuda
LAYERS, PRECISIONS = [0, 1, 2], ["float32", "tf32", "bfloat16"]


def train_toy(base: Path, phase: str = "scratch", model: ToyModel | None = None, layers: list[int] = LAYERS,
              **changes: Any) -> list[dict[str, Any]]:  # fmt: skip
    config = toy_config(**changes)
    plans = one_order({"scratch": scratch_plans, "transfer": transfer_plans}[phase](layers, config))
    model = model or ToyModel("cuda")
    return train(plans, getattr(config, phase), model, toy_rows(), config, toy_folders(base, phase), resume_seconds=0.0)


def test_both_phases_end_where_those_on_the_cpu_do(tmp_path: Path) -> None:
    for phase in ("scratch", "transfer"):
        logs = [train_toy(tmp_path / device, phase, ToyModel(device)) for device in ("cpu", "cuda")]
        for ours, theirs in zip(*logs, strict=True):
            assert ours | {"value": 0} == theirs | {"value": 0}
            assert theirs["value"] == pytest.approx(ours["value"], rel=1e-3), ours
    for path in sorted((tmp_path / "cpu" / "saes").rglob("sae_weights.safetensors")):
        folder = path.parent.relative_to(tmp_path / "cpu")
        ours, theirs = (load_sae(tmp_path / device / folder) for device in ("cpu", "cuda"))
        for name, weight in ours.named_parameters():
            off = (theirs.get_parameter(name) - weight).norm() / weight.norm().clamp_min(1e-6)
            assert off < 0.01, (folder, name)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_an_interrupted_run_ends_in_the_same_bytes(tmp_path: Path, precision: Precision) -> None:
    log = train_toy(tmp_path / "whole", precision=precision)
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path / "cut", precision=precision, model=StopsAfter(3, "cuda"))
    assert train_toy(tmp_path / "cut", precision=precision) == log
    assert files_below(tmp_path / "cut" / "saes") == files_below(tmp_path / "whole" / "saes")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_joint_training_equals_separate_training(tmp_path: Path, precision: Precision) -> None:
    train_toy(tmp_path / "all", precision=precision)
    train_toy(tmp_path / "one", precision=precision, layers=[1])
    kept = files_below(tmp_path / "one" / "saes" / "scratch" / "L1")
    assert kept == files_below(tmp_path / "all" / "saes" / "scratch" / "L1")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_step_is_compiled_once_and_taken(tmp_path: Path, precision: Precision, recwarn: Any) -> None:
    torch.compiler.reset()
    counters.clear()
    train_toy(tmp_path, precision=precision)
    assert counters["stats"]["unique_graphs"] == 1
    assert not [one for one in recwarn if "the step runs without torch.compile" in str(one.message)]
