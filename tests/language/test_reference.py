"""The plain ways by which notebooks check the fast ones, against the fast ones and against numbers from papers."""

from pathlib import Path

import numpy as np
import pytest
import torch

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.predictions import loss_by_position
from saelib.language.reference import gpt_neox_parameters, plain_angular_distance, plain_loss, row_loss, way_of
from saelib.language.residuals import residual_geometry
from tests.helpers.families import small_family
from tests.helpers.small_models import small_tokenizer

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


@pytest.mark.parametrize("family", ["openai-gpt", "phimoe"])
def test_a_model_without_a_bridge_is_checked_by_transformers_own_passes(family: str) -> None:
    model = LanguageModel(f"./{family}", "", small_family(family), small_tokenizer())
    assert not model.has_bridge and way_of(model) == "Hugging Face"
    assert plain_loss(model, ROWS) == pytest.approx(loss_by_position(model, ROWS, batch_rows=2).mean(), abs=1e-5)
    fast = residual_geometry(model, ROWS[:1], [0, 2], batch_rows=1).angular_distance[0, 1]
    assert fast == pytest.approx(plain_angular_distance(model, ROWS[:1], (0, 2)), abs=1e-5)
    row = torch.from_numpy(ROWS[:1]).long()
    stream = torch.randn(1, row.shape[1], model.d_model, generator=torch.Generator().manual_seed(0))
    for layer in range(model.n_layers):
        chances = model.logits_from(stream, layer, row).log_softmax(-1)[0]
        wanted = -sum(float(chances[place, row[0, place + 1]]) for place in range(2, row.shape[1] - 1))
        found = row_loss(model, row, layer, stream, skip_first=2)
        assert found == pytest.approx(wanted / (row.shape[1] - 3), rel=1e-5), layer


def test_a_model_with_a_bridge_is_checked_by_it(model: LanguageModel) -> None:
    assert way_of(model) == "TransformerLens"
