"""A program that trains the toy SAEs, for tests that kill it: `python -m tests.helpers.train_toy FOLDER`."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from saelib.sae.training.train import train
from saelib.transfer.plans import scratch_plans
from tests.helpers.small_world import ToyModel, one_order, toy_config, toy_folders, toy_rows


class SlowModel(ToyModel):
    """Leaves time to be killed in."""

    def residual_streams(self, tokens: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
        time.sleep(0.05)
        return super().residual_streams(tokens, layers)


if __name__ == "__main__":
    torch.set_num_threads(1)
    config, folders = toy_config(), toy_folders(Path(sys.argv[1]))
    print("ready", flush=True)
    plans = one_order(scratch_plans([0, 1, 2], config))
    train(plans, config.scratch, SlowModel(), toy_rows(), config, folders, resume_seconds=0)
