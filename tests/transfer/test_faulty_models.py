"""A model with broken weights is refused by its name before a run is claimed, whatever lambda and rates are."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from saelib.transfer.stages import train_phase
from tests.transfer.conftest import OpenSmall

REFUSED = {0.0: "language model .*times_0.0 is refused: the residual stream of layer 0 is 0 at every token",
           math.nan: "language model .*times_nan: .* numbers of .* are NaN or infinite"}  # fmt: skip


@pytest.fixture
def broken_model(random_model_folder: Path, tmp_path: Path) -> Any:
    def broken(factor: float) -> str:
        folder = Path(shutil.copytree(random_model_folder, tmp_path / f"times_{factor}"))
        weights = load_file(folder / "model.safetensors")
        save_file({name: torch.full_like(value, factor) for name, value in weights.items()},
                  folder / "model.safetensors", {"format": "pt"})  # fmt: skip
        return str(folder)

    return broken


@pytest.mark.parametrize("options", [{}, {"l1_unit": "norm", "l1_coefficient": 1.0}])
@pytest.mark.parametrize("factor", [0.0, math.nan])
def test_broken_weights_are_said_before_the_run_is_claimed(
    empty_runs: Path, open_small: OpenSmall, broken_model: Any, factor: float, options: dict[str, Any]
) -> None:
    experiment = open_small(run="broken", language_model=broken_model(factor), **options)
    with pytest.raises(ValueError, match=REFUSED[factor]) as caught:
        train_phase(experiment, "scratch")
    assert "learning rate (" not in str(caught.value)
    assert not experiment.folder.exists()
