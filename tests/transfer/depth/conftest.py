"""A finished study on the random model of three layers, two of which the run trains."""

from typing import Any

import pytest

from saelib.transfer.checks import Results
from saelib.transfer.depth.study import run_depth
from saelib.transfer.experiment import Experiment
from saelib.transfer.stages import train_phase
from tests.transfer.conftest import OpenSmall

ASKED: dict[str, Any] = {
    "layers": [0, 1],
    "map_tokens": 512,
    "depth_source": 0,
    "depth_budgets": [1024, 2048],
    "depth_scratch_layers": [1, 2],
    "depth_l1_multiples": [0.5, 1.0, 2.0],
    "depth_fine_tuning": [2],
    "depth_fine_tuning_tokens": 1024,
    "depth_group": [0, 1],
}


@pytest.fixture(scope="session")
def deep(open_small: OpenSmall) -> Experiment:
    """Its run."""
    experiment = open_small(run="deep", **ASKED)
    train_phase(experiment, "scratch")
    run_depth(experiment)
    return experiment


@pytest.fixture(scope="session")
def scores(deep: Experiment) -> Results:
    """Its tables."""
    return run_depth(deep)
