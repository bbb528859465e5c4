"""A small random model with pairs of prompts, read once."""

import pytest
import torch

from saelib.interpret.circuits.examples import Examples, read_pairs
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.sae.autoencoder import SparseAutoencoder
from tests.helpers.prompt_pairs import Pairs, random_pairs
from tests.helpers.small_models import save_small_model
from tests.helpers.small_saes import small_sae

LAYER, D_SAE, SKIPPED = 1, 24, 1


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """Random, with weights large enough that every layer tells."""
    return load_language_model(str(save_small_model(tmp_path_factory.mktemp("gpt_neox"))), device="cpu")


@pytest.fixture(scope="session")
def hooked(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model that runs with hooks on transformers' own pass."""
    return load_language_model(str(save_small_model(tmp_path_factory.mktemp("olmo2"), "olmo2")), device="cpu")


@pytest.fixture(scope="session")
def sae(model: LanguageModel) -> SparseAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of the biases
        return small_sae(model.d_model, D_SAE).requires_grad_(False)


@pytest.fixture(scope="session")
def pairs(model: LanguageModel) -> Pairs:
    return random_pairs(model.vocabulary)


@pytest.fixture(scope="session")
def train(model: LanguageModel, pairs: Pairs) -> Examples:
    return read_pairs(model, pairs, [LAYER], SKIPPED)[LAYER]


@pytest.fixture(scope="session")
def others(model: LanguageModel) -> Examples:
    return read_pairs(model, random_pairs(model.vocabulary, seed=1), [LAYER], SKIPPED)[LAYER]
