"""What every test shares: no network, fixed seeds, one thread, a runs folder of its own, a small random model."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

# Before anything imports the libraries that read them; programs and kernels that a test starts inherit them.
os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "WANDB_MODE": "disabled"}

import huggingface_hub.constants
import numpy as np
import pytest
import torch

from tests.faults.table import pytest_sessionfinish as pytest_sessionfinish
from tests.faults.table import pytest_terminal_summary as pytest_terminal_summary
from tests.faults.table import pytest_testnodedown as pytest_testnodedown


def pytest_configure(config: pytest.Config) -> None:
    """Tests run on the CPU, so that they are the same on every machine; all but those that ask for a GPU see none."""
    if config.getoption("markexpr") != "cuda":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of a GPU are skipped where there is none."""
    absent = pytest.mark.skip(reason="no CUDA device")
    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(absent)


@pytest.fixture(scope="session", autouse=True)
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """`$SAELIB_RUNS` of the whole session: runs and cached corpora never touch the working tree."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAELIB_RUNS", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def reproducible() -> None:
    """The same random numbers in every test, in whatever order the tests run; one thread, so sums keep their order."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (libraries may draw from the global state)
    torch.manual_seed(0)
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def hub_as_before() -> Iterator[None]:
    """No test leaves the hub's library with another address, cache or network than it found."""
    before = dict(vars(huggingface_hub.constants))
    yield
    left = {name for name, value in vars(huggingface_hub.constants).items() if before.get(name) is not value}
    assert not left, f"this test leaves huggingface_hub.constants changed: {sorted(left)}"


@pytest.fixture
def official_items_cached(runs: Path) -> Path:
    """The released H-Test items in the cache, as a fetch would leave them: they are no part of this project."""
    from tests.helpers.some_items import NOT_HERE, OFFICIAL

    if not OFFICIAL.is_dir():
        pytest.skip(NOT_HERE)
    folder = runs / "cache" / "htest_official"
    folder.mkdir(parents=True, exist_ok=True)
    for path in OFFICIAL.rglob("*.jsonl"):
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="session")
def random_model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random GPT-NeoX, 3 layers of width 32, with a tokenizer, as transformers saves them. Read only."""
    from saelib.language.embedded.train import Recipe, build_model, train_tokenizer

    folder = tmp_path_factory.mktemp("random_model")
    recipe = Recipe(vocabulary=320, width=32, layers=3, heads=4, longest_context=128)
    build_model(recipe).save_pretrained(folder)
    train_tokenizer(["A small text, so that the tokenizer has pairs to merge."] * 2, 320).save_pretrained(folder)
    return folder
