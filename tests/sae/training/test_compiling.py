"""Where numba cannot compile, or keep what it compiled, training goes on or says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from saelib.run.files import PROJECT
from saelib.sae.training.compiling import compile_now
from saelib.sae.training.sparse_step import why_not_compiled

TRAIN_A_STEP = """
import torch
from saelib.sae.autoencoder import random_sae
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.trainee import new_trainee
from tests.helpers.small_world import toy_config
sae = random_sae(16, 32, torch.Generator().manual_seed(0))
trainee = new_trainee(SaePlan("scratch", 0, 0, 0, 1e-2), sae, toy_config())
trainee.step(torch.randn(8, 16), 0.1, 1.0, 1.0)
print(type(trainee).__name__)
"""


def train_a_step(**environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", TRAIN_A_STEP]
    return subprocess.run(
        command, cwd=PROJECT, env=os.environ | environment, capture_output=True, text=True, check=False
    )


def test_here_numba_compiles() -> None:
    assert why_not_compiled() is None


def test_what_is_missing_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    assert why_not_compiled() == "numba is not installed (pip install numba)"


def test_a_numba_that_refuses_this_numpy_is_quoted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text('raise ImportError("Numba needs NumPy 2.4 or less")')
    monkeypatch.delitem(sys.modules, "numba")
    monkeypatch.syspath_prepend(tmp_path)
    assert why_not_compiled() == "numba cannot be imported (Numba needs NumPy 2.4 or less)"


def test_with_numba_switched_off_training_goes_by_dense_products() -> None:
    done = train_a_step(NUMBA_DISABLE_JIT="1")
    assert done.stdout == "TiledTrainee\n", done.stderr
    assert "numba is switched off (unset NUMBA_DISABLE_JIT), so that SAEs train by dense products" in done.stderr


NO_FOLDER = """
from numba.core import caching
caching.CacheImpl._locator_classes = []
"""


def test_where_no_folder_can_be_written_every_process_compiles_and_one_warning_says_so() -> None:
    command = [sys.executable, "-c", NO_FOLDER + TRAIN_A_STEP]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.stdout == "SparseTrainee\n", done.stderr
    assert done.stderr.count("UserWarning: no folder for compiled code can be written") == 1
    assert "NUMBA_CACHE_DIR" in done.stderr


def test_damaged_code_on_disk_is_named_with_its_folder(tmp_path: Path) -> None:
    kept = {"NUMBA_CACHE_DIR": str(tmp_path)}
    assert train_a_step(**kept).returncode == 0
    damaged = next(tmp_path.rglob("kernels.find_active*.nbc"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    done = train_a_step(**kept)
    assert f"RuntimeError: compiled code in {damaged.parent} is damaged; delete the .nbi" in done.stderr


def test_other_errors_of_a_loop_stay_what_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        compile_now(lambda number: 1 / number, [0])
