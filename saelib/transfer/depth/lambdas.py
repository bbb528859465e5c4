"""λ and activation scale of every layer of the model, for a study that goes beyond the layers which the run trains.

In: an experiment whose scratch SAEs are trained. Out: a number of each for every layer; where they had to be measured,
kept in `runs/<run>/depth_lambda.json`, sealed for the run's config; its hash stands in the study's table.

A layer of the run keeps its own λ. Where λ is one number for all layers, so it is here. Any other layer has
λ_source · unit / unit_source, a unit being mean norm / √d_model: an SAE of a stream s times as large is the same
function at s times the λ, so this asks of each layer the same trade of error against sparsity. Trials for an equal L0
at thirty layers would cost more than all else in the study, and a mapped SAE has the L0 that it has: what is compared
at equal L0 is read off scratch SAEs at several λ (`compare.equal_l0`).
"""

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from saelib.run.lock import writing
from saelib.run.sealed import json_sum, read_sealed_json, write_sealed_json
from saelib.transfer.lambdas import LAMBDA, NORM_ROWS, SCALE, is_chosen, norm_units, rounded

if TYPE_CHECKING:
    from pathlib import Path

    from saelib.transfer.experiment import Experiment


INPUT = "depth_lambda"  # name of its content among the inputs of the study's table


class ByDepth(NamedTuple):
    """By layer, of all layers of the model."""

    l1_coefficients: dict[int, float]
    """λ, in the model's own units."""
    activation_scales: dict[int, float]
    """What streams are divided by while SAEs train on them."""


def depth_lambda_path(run_folder: "Path") -> "Path":
    """Where a run keeps them."""
    return run_folder / f"{INPUT}.json"


def numbers_sha256(numbers: ByDepth) -> str:
    """What the study's table says of them."""
    return json_sum([sorted(by_layer.items()) for by_layer in numbers])


def depth_lambdas(experiment: "Experiment") -> ByDepth:
    """λ and scale of all layers; what has to be measured for them is measured once.

    Raises:
        FileNotFoundError: the run's own are not chosen yet.
        ValueError: a layer's residual stream is 0 or not finite.
        RunInUseError: another process is at work on the run.
        DamagedFileError: what was kept is not what was written for this config.
    """
    config, path, source = experiment.config, depth_lambda_path(experiment.folder), experiment.config.depth_source
    assert source is not None
    own = ByDepth(experiment.l1_coefficients, experiment.activation_scales)
    if not is_chosen(config):
        return ByDepth(*(dict.fromkeys(range(experiment.model.n_layers), numbers[source]) for numbers in own))
    if not path.is_file():
        with writing(experiment):
            write_sealed_json(path, _as_json(_measured(experiment, own, source)), of=config.sha256())
    return read_sealed_json(path, _by_depth, config.sha256(), "delete it, and it is measured again")


def _measured(experiment: "Experiment", own: ByDepth, source: int) -> ByDepth:
    """Own numbers where a layer has them; elsewhere the source's in proportion to the norms."""
    config, layers = experiment.config, range(experiment.model.n_layers)
    rows = experiment.training_rows(config.data_seeds[0]).take(0, NORM_ROWS)
    units = norm_units(experiment.model, rows, layers, experiment.settled)
    in_units = own.l1_coefficients[source] / units[source]
    coefficients = {layer: rounded(in_units * unit) for layer, unit in units.items()}
    alike = dict.fromkeys(layers, own.activation_scales[source])
    scales = {layer: rounded(unit) for layer, unit in units.items()} if config.activation_scale == "norm" else alike
    return ByDepth(coefficients | own.l1_coefficients, scales | own.activation_scales)


def _as_json(numbers: ByDepth) -> dict[str, dict[str, float]]:
    return {name: {str(layer): value for layer, value in by_layer.items()} for name, by_layer in
            numbers._asdict().items()}  # fmt: skip


def _by_depth(kept: dict[str, Any]) -> ByDepth:
    numbers = ByDepth(*({int(layer): float(value) for layer, value in kept[name].items()} for name in ByDepth._fields))
    for kind, by_layer in zip((LAMBDA, SCALE), numbers, strict=True):
        if wrong := [value for value in by_layer.values() if not kind.least <= value < math.inf]:
            raise ValueError(f"{wrong[0]} is no {kind.input}")
    return numbers
