"""The lambda of each layer of a run: the weight of the L1 penalty, for as large a residual stream as the layer has.

In: a config, and what was measured or found for the run. Out: `runs/<run>/lambda.json`, a number for each layer, and
its hash, which is an input of everything that is trained after it. One lambda for all layers fits one model's norms: an
SAE's squared error grows with the square of the stream's norm, its L1 penalty with the norm alone.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from saelib.language.residuals import norms_by_position
from saelib.run.files import write_json
from saelib.run.reading import read_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jaxtyping import Int

    from saelib.language.model import LanguageModel
    from saelib.transfer.config import ExperimentConfig

INPUT = "lambda"  # its name among a run's inputs
NORM_ROWS = 64
"""Training rows, the first of the first replicate, on which norms are measured."""
DIGITS = 6  # of a lambda: what machines agree on


def is_chosen(config: "ExperimentConfig") -> bool:
    """Whether the run's lambdas are more than the config's number: measured, or searched."""
    return config.target_l0 is not None or config.l1_unit == "norm"


def lambda_path(run_folder: Path) -> Path:
    """Where a run keeps them."""
    return run_folder / "lambda.json"


def norm_units(
    model: "LanguageModel", rows: "Int[np.ndarray, 'rows context']", layers: "Sequence[int]", config: "ExperimentConfig"
) -> dict[int, float]:
    """By layer, mean norm of the residual stream / sqrt(d_model), positions that are skipped left out.

    A stream scaled to a mean norm of sqrt(d_model), as by SAELens's `normalize_activations="expected_average_only_in"`,
    has 1. An SAE of a stream that is s times as large is the same function at s times the lambda.

    Raises:
        ValueError: a layer's norm is 0 or not finite; names model and layer.
    """
    norms = norms_by_position(model, rows, layers, config.evaluation_batch_rows)[:, config.skip_first :].mean(axis=1)
    for layer, norm in zip(layers, norms, strict=True):
        if not 0 < norm < math.inf:
            raise ValueError(
                f"the residual stream of layer {layer} of the language model {model.name} has a mean norm of {norm:g}, "
                "by which no lambda can be chosen: see whether the model's weights are whole, or leave this layer out"
            )
    return {layer: float(norm) / math.sqrt(model.d_model) for layer, norm in zip(layers, norms, strict=True)}


def rounded(coefficient: float) -> float:
    """A lambda with `DIGITS` figures."""
    return float(f"{coefficient:.{DIGITS}g}")


def write_lambdas(path: Path, units: Mapping[int, float], coefficients: Mapping[int, float]) -> None:
    """Keep them, with the norm units that they were made from."""
    write_json(
        path,
        {
            "l1_coefficient": {str(layer): value for layer, value in coefficients.items()},
            "norm_unit": {str(layer): value for layer, value in units.items()},
            "rows": NORM_ROWS,
        },
    )


def read_lambdas(path: Path) -> dict[int, float]:
    """What `write_lambdas` kept.

    Raises:
        FileNotFoundError: they are not chosen yet.
        DamagedFileError: the file is damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not there: lambda is chosen when the phase scratch is trained (`saelib.train_phase`)"
        )
    return dict(read_json(path, _coefficients, "put it back, or name another run"))


def _coefficients(kept: Any) -> dict[int, float]:
    coefficients = {int(layer): float(value) for layer, value in kept["l1_coefficient"].items()}
    if wrong := [value for value in coefficients.values() if not 0 <= value < math.inf]:
        raise ValueError(f"{wrong[0]} is no lambda")
    return coefficients


def lambdas_sha256(coefficients: Mapping[int, float]) -> str:
    """What is pinned of them."""
    return hashlib.sha256(json.dumps(sorted(coefficients.items())).encode()).hexdigest()
