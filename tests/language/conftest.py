"""Small random models of every architecture, as folders and loaded, and a hub cache without a network."""

from pathlib import Path

import huggingface_hub
import pytest
import torch

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from tests.helpers.small_models import ARCHITECTURES, random_rows, save_small_model


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: save_small_model(tmp_path_factory.mktemp(name), name) for name in ARCHITECTURES}


@pytest.fixture(scope="session")
def models(folders: dict[str, Path]) -> dict[str, LanguageModel]:
    return {name: load_language_model(str(folder), device="cpu") for name, folder in folders.items()}


@pytest.fixture(scope="session")
def tokens() -> torch.Tensor:
    return torch.from_numpy(random_rows(3)).long()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, with the hub library in offline mode (both are read from the environment at import)."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path
