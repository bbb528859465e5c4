"""The plain ways by which notebooks check the fast ones, against the fast ones and against numbers from papers."""

from pathlib import Path

import numpy as np
import pytest

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.reference import gpt_neox_parameters, plain_angular_distance
from saelib.language.residuals import residual_geometry

ROWS = np.random.default_rng(0).integers(1, 320, (3, 24), dtype=np.int32)


@pytest.fixture(scope="module")
def model(random_model_folder: Path) -> LanguageModel:
    return load_language_model(str(random_model_folder), "cpu")


def test_plain_angular_distance_is_the_geometrys(model: LanguageModel) -> None:
    fast = residual_geometry(model, ROWS[:1], [0, 2], batch_rows=1).angular_distance[0, 1]
    assert fast == pytest.approx(plain_angular_distance(model, ROWS[:1], (0, 2)), abs=1e-5)


def test_number_of_parameters(model: LanguageModel) -> None:
    assert gpt_neox_parameters(model.vocabulary, model.n_layers, model.d_model) == model.parameters
    assert gpt_neox_parameters(50_304, 12, 768) == 162_322_944  # Pythia-160M, as its authors count it
