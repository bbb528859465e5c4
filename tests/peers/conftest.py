"""The exchange with the peers' environment: a folder that both sides read and write, made once.

The peers (sae-lens 6, transformer-lens 3.9) cannot live beside the kit's own packages, so their half runs as a
script in `.venv-peers` and the answers come back as files.
"""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from benchmarks.inputs import build_random_model
from benchmarks.workload import MODEL_FOLDER, ROWS_FILE, Workload
from saelib.language.loading import load_language_model
from saelib.run.files import PROJECT
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.folder import save_sae
from saelib.sae.releases.push import upload_of
from tests.helpers.small_releases import cache_repository
from tests.peers.sae_lens_side import PLACE, PUSHED

HERE = Path(__file__).parent
SIZES = Workload(language_model="random", layers=3, d_model=32, d_sae=128, vocabulary=256, context=32, batch_tokens=512,
                 chunk_tokens=512, tokens=2048, experiment_tokens=2048)  # fmt: skip
ROWS, LAYER = 16, 1
QUIET = {"HF_HUB_OFFLINE": "1", "WANDB_MODE": "disabled", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def peers_python() -> Path:
    """Python of the peers' environment: `$SAELIB_PEERS_PYTHON`, or the one that `make peers` makes."""
    python = Path(os.environ.get("SAELIB_PEERS_PYTHON", PROJECT / ".venv-peers" / "bin" / "python"))
    if not python.exists():
        pytest.skip(f"{python} is missing: `make peers` makes the environment of sae-lens and sparsify")
    return python


@pytest.fixture(scope="session")
def run_peer(peers_python: Path) -> Callable[..., None]:
    """Run a module in the peers' environment, with environment variables; its error output is the failure's message."""

    def run(module: str, *arguments: str | Path, **variables: str) -> None:
        command = [str(peers_python), "-m", module, *map(str, arguments)]
        done = subprocess.run(command, cwd=PROJECT, env=os.environ | QUIET | variables, capture_output=True, text=True,
                              timeout=300)  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]

    return run


@pytest.fixture(scope="session")
def exchange(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model, rows, vectors and an SAE of the kit, pushed to a hub's cache too, before a peer has seen them."""
    folder = tmp_path_factory.mktemp("exchange")
    build_random_model(SIZES, folder / MODEL_FOLDER)
    sharpen_predictions(folder / MODEL_FOLDER)
    model = load_language_model(str(folder / MODEL_FOLDER), device="cpu")
    rows = sampled_rows(model)
    streams = model.residual_streams(rows, [LAYER])[0].reshape(-1, SIZES.d_model)
    save_file({"rows": rows.int().numpy()}, folder / ROWS_FILE)
    save_file({"vectors": streams.detach().numpy()}, folder / "vectors.safetensors")
    metadata = {"model_name": "random", "hook_name": f"blocks.{LAYER}.hook_resid_post", "context_size": SIZES.context}
    save_sae(imperfect_sae(SIZES.d_model, SIZES.d_sae), folder / "ours", metadata)
    pushed = upload_of(PUSHED, {PLACE: folder / "ours"}, card="A page.")
    pushed.write(cache_repository(folder / "hub", PUSHED))
    return folder


def sharpen_predictions(folder: Path) -> None:
    """Scale the unembedding up: the clean loss then differs from the zero-ablated one, whose ratio is tested."""
    from transformers import GPTNeoXForCausalLM

    model = GPTNeoXForCausalLM.from_pretrained(folder)
    model.get_output_embeddings().weight.data *= 4
    model.save_pretrained(folder)


def sampled_rows(model: object) -> torch.Tensor:
    """Rows that the model itself would write, so that it predicts them better than chance."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(0, SIZES.vocabulary, (ROWS, 1), generator=generator)
    with torch.no_grad():
        for _ in range(SIZES.context - 1):
            probabilities = model.logits(rows)[:, -1].softmax(-1)  # type: ignore[attr-defined]
            rows = torch.cat([rows, torch.multinomial(probabilities, 1, generator=generator)], 1)
    return rows


def imperfect_sae(d_model: int, d_sae: int) -> SparseAutoencoder:
    """An SAE that reconstructs well but not perfectly: +-orthogonal directions, disturbed, every bias in use."""
    generator = np.random.default_rng(0)
    bases = [np.linalg.qr(generator.normal(size=(d_model, d_model)))[0] for _ in range(d_sae // (2 * d_model))]
    decoder = torch.tensor(np.concatenate([sign * basis for basis in bases for sign in (1, -1)]), dtype=torch.float32)
    sae = SparseAutoencoder(d_model, d_sae)
    with torch.no_grad():
        sae.W_dec.copy_(decoder)
        sae.W_enc.copy_(decoder.T / len(bases) + torch.tensor(0.01 * generator.normal(size=(d_model, d_sae))))
        sae.b_enc.copy_(torch.tensor(0.02 * generator.normal(size=d_sae)))
        sae.b_dec.copy_(torch.tensor(0.02 * generator.normal(size=d_model)))
    return sae
