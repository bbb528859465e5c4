"""λ and scale of layers that the run does not train."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from saelib.run.files import write_json
from saelib.run.reading import DamagedFileError, read_json_object
from saelib.run.sealed import SUM, write_sealed_json
from saelib.transfer.depth.lambdas import depth_lambda_path, depth_lambdas, numbers_sha256
from saelib.transfer.depth.study import run_depth
from saelib.transfer.experiment import Experiment
from saelib.transfer.stages import train_phase
from tests.transfer.conftest import OpenSmall
from tests.transfer.depth.conftest import ASKED

pytestmark = pytest.mark.usefixtures("empty_runs")
ALONE = ASKED | {"sae_seeds": 1, "depth_budgets": None}


def mean_norms(experiment: Experiment) -> list[float]:
    rows = torch.from_numpy(experiment.training_rows(0).take(0, 64)).long()
    return [float(stream.norm(dim=-1).mean()) for stream in experiment.model.residual_streams(rows, [0, 1, 2])]


def test_one_number_for_all_layers_stays_one(open_small: OpenSmall) -> None:
    experiment = open_small(run="one", **ALONE)
    assert depth_lambdas(experiment).l1_coefficients == dict.fromkeys(range(3), 1.0)
    assert depth_lambdas(experiment).activation_scales == dict.fromkeys(range(3), 1.0)
    fixed = open_small(run="fixed", activation_scale=2.5, **ALONE)
    assert depth_lambdas(fixed).activation_scales == dict.fromkeys(range(3), 2.5)
    assert depth_lambdas(fixed).l1_coefficients == dict.fromkeys(range(3), 2.5)
    assert not experiment.folder.exists()


def test_a_layer_of_the_run_keeps_its_own_and_another_has_the_source_s_by_its_norm(open_small: OpenSmall) -> None:
    experiment = open_small(run="norms", l1_unit="norm", **ALONE)
    train_phase(experiment, "scratch")
    found, norms = depth_lambdas(experiment).l1_coefficients, mean_norms(experiment)
    assert {layer: found[layer] for layer in (0, 1)} == experiment.l1_coefficients
    assert found[2] == pytest.approx(experiment.l1_coefficients[0] * norms[2] / norms[0], rel=1e-4)
    assert found[2] == pytest.approx(norms[2] / 32**0.5, rel=1e-4)  # l1_coefficient is 1
    table = run_depth(experiment).evaluation
    assert (table["l1_coefficient"] == table["act_layer"].map(found)).all()
    assert set(table["inputs"].map(json.loads).map(lambda inputs: inputs["depth_lambda"])) == {
        numbers_sha256(depth_lambdas(experiment))
    }


def test_what_was_kept_is_sealed_for_its_run_and_numbers_that_are_none_are_refused(open_small: OpenSmall) -> None:
    experiment = open_small(run="sealed", l1_unit="norm", **ALONE)
    train_phase(experiment, "scratch")
    path, found, own = depth_lambda_path(experiment.folder), depth_lambdas(experiment), experiment.config.sha256()
    kept = read_json_object(path)
    values = {name: value for name, value in kept.items() if name != SUM}
    edited = kept | {"l1_coefficients": {"0": 5.0, "1": 5.0, "2": 5.0}}
    below: list[dict[str, Any]] = [
        values | {"l1_coefficients": {"2": -3.0}},
        values | {"activation_scales": {"2": 0.0}},
    ]
    writes: list[Callable[[], None]] = [
        partial(write_json, path, edited),
        partial(write_sealed_json, path, values, of="another config"),
        *(partial(write_sealed_json, path, wrong, of=own) for wrong in ({}, *below)),
    ]
    for write in writes:
        write()
        with pytest.raises(DamagedFileError, match="delete it, and it is measured again"):
            depth_lambdas(experiment)
    path.unlink()
    assert depth_lambdas(experiment) == found


def test_streams_are_scaled_by_their_own_norm(open_small: OpenSmall) -> None:
    experiment = open_small(run="scaled", activation_scale="norm", **ALONE)
    train_phase(experiment, "scratch")
    found, norms = depth_lambdas(experiment), mean_norms(experiment)
    assert found.activation_scales[2] == pytest.approx(norms[2] / 32**0.5, rel=1e-4)
    assert {layer: found.activation_scales[layer] for layer in (0, 1)} == experiment.activation_scales
    assert found.l1_coefficients[2] == pytest.approx(norms[2] / 32**0.5, rel=1e-4)
    assert run_depth(experiment).evaluation["loss"].notna().all()
