"""The lambda and the activation scale of each layer of a run, for as large a residual stream as the layer has.

In: a config, and what was measured or found for the run. Out: `runs/<run>/lambda.json` and `activation_scale.json`, a
number for each layer, and their hashes, which are inputs of everything that is trained after it. One lambda for all
layers fits one model's norms: an SAE's squared error grows with the square of the stream's norm, its L1 penalty with
the norm alone. Nor does one learning rate: Adam's steps are as long whatever the norm.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from saelib.language.residuals import norms_by_position
from saelib.run.files import write_json
from saelib.run.pinned import PinnedRun
from saelib.run.reading import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Int

    from saelib.language.model import LanguageModel
    from saelib.transfer.config import ExperimentConfig

NORM_ROWS = 64
"""Training rows, the first of the first replicate, on which norms are measured."""
DIGITS = 6  # of a number that was measured or found: what machines agree on


class ByLayer(NamedTuple):
    """A number for each layer of a run, kept once it is chosen."""

    input: str
    """Its name among a run's inputs, and its file's."""
    key: str
    """In the file."""
    least: float
    """That it may be."""

    def path(self, run_folder: Path) -> Path:
        """Where a run keeps it."""
        return run_folder / f"{self.input}.json"


LAMBDA, SCALE = ByLayer("lambda", "l1_coefficient", 0.0), ByLayer("activation_scale", "activation_scale", 1e-30)


def is_chosen(config: "ExperimentConfig") -> bool:
    """Whether the run's lambdas are more than the config's number: measured, or searched."""
    return config.target_l0 is not None or "norm" in (config.l1_unit, config.activation_scale)


def lambda_path(run_folder: Path) -> Path:
    """Where a run keeps its lambdas."""
    return LAMBDA.path(run_folder)


def norm_units(
    model: "LanguageModel", rows: "Int[np.ndarray, 'rows context']", layers: "Sequence[int]", config: "ExperimentConfig"
) -> dict[int, float]:
    """By layer, mean norm of the residual stream / sqrt(d_model), positions that are skipped left out.

    A stream scaled to a mean norm of sqrt(d_model), as by SAELens's `normalize_activations="expected_average_only_in"`,
    has 1. An SAE of a stream that is s times as large is the same function at s times the lambda.

    Args:
        config: with the sink token that was found (`Experiment.settled`).

    Raises:
        ValueError: a layer's norm is 0 or not finite; names model and layer.
    """
    norms = norms_by_position(model, rows, layers, config.evaluation_batch_rows)[:, config.skipped :].mean(axis=1)
    for layer, norm in zip(layers, norms, strict=True):
        if not 0 < norm < math.inf:
            raise ValueError(
                f"the residual stream of layer {layer} of the language model {model.name} has a mean norm of {norm:g}, "
                "by which no lambda can be chosen: see whether the model's weights are whole, or leave this layer out"
            )
    return {layer: float(norm) / math.sqrt(model.d_model) for layer, norm in zip(layers, norms, strict=True)}


def rounded(number: float) -> float:
    """A lambda or a scale with `DIGITS` figures."""
    return float(f"{number:.{DIGITS}g}")


def write_lambdas(path: Path, units: Mapping[int, float], coefficients: Mapping[int, float]) -> None:
    """Keep lambdas, with the norm units that they were made from."""
    _write(path, {LAMBDA.key: coefficients, "norm_unit": units})


def write_scales(path: Path, scales: Mapping[int, float]) -> None:
    """Keep activation scales."""
    _write(path, {SCALE.key: scales})


def _write(path: Path, columns: Mapping[str, Mapping[int, float]]) -> None:
    named = {name: {str(layer): value for layer, value in numbers.items()} for name, numbers in columns.items()}
    write_json(path, named | {"rows": NORM_ROWS})


def read_numbers(path: Path, kept: ByLayer) -> dict[int, float]:
    """The numbers of a file, by layer.

    Raises:
        FileNotFoundError: they are not chosen yet.
        DamagedFileError: the file is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: {kept.input} is chosen when the phase scratch is trained (`saelib.train_phase`)"
        )

    def parse(content: Any) -> dict[int, float]:
        numbers = {int(layer): float(value) for layer, value in content[kept.key].items()}
        if wrong := [value for value in numbers.values() if not kept.least <= value < math.inf]:
            raise ValueError(f"{wrong[0]} is no {kept.input}")
        return numbers

    return dict(read_json(path, parse, "put it back, or name another run"))


def pinned(run: PinnedRun[Any], kept: ByLayer) -> dict[int, float]:
    """The numbers that a run has kept, which are an input of it from now on.

    Raises:
        FileNotFoundError: they are not chosen yet.
        FileExistsError: the run was made with others.
        DamagedFileError: the file is damaged.
    """
    numbers = read_numbers(kept.path(run.folder), kept)
    run.pin(kept.input, numbers_sha256(numbers))
    return numbers


def numbers_sha256(numbers: Mapping[int, float]) -> str:
    """What is pinned of them."""
    return hashlib.sha256(json.dumps(sorted(numbers.items())).encode()).hexdigest()
