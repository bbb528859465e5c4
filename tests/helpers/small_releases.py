"""SAEs as others release them: folders as SAELens 3.14 wrote them for the paper's authors, in a hub cache, small."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file

from saelib.sae.autoencoder import SparseAutoencoder, random_sae
from saelib.sae.releases.layout import REPOSITORY, STEP, published_sae, published_tokens
from tests.helpers.small_models import COMMIT, cache_hub_model, cache_hub_rows, random_rows

ARMS = ("scratch", "forward", "backward")


def authors_config(sae: SparseAutoencoder, layer: int, **changes: Any) -> dict[str, Any]:
    """`cfg.json` of one of the authors' SAEs, called "jumprelu", which it is not."""
    return {
        "architecture": "jumprelu", "d_in": sae.d_model, "d_sae": sae.d_sae, "dtype": "torch.float32",
        "device": "cuda", "model_name": "pythia-160m-deduped", "hook_name": f"blocks.{layer}.hook_resid_post",
        "hook_layer": layer, "hook_head_index": None, "activation_fn_str": "relu", "activation_fn_kwargs": {},
        "apply_b_dec_to_input": False, "finetuning_scaling_factor": False, "sae_lens_training_version": "3.14.0",
        "prepend_bos": False, "dataset_path": "NeelNanda/pile-small-tokenized-2b", "dataset_trust_remote_code": True,
        "context_size": 1024, "normalize_activations": "none", "neuronpedia_id": None,
        "model_from_pretrained_kwargs": {},
    } | changes  # fmt: skip


def save_as_authors(folder: Path, sae: SparseAutoencoder, layer: int, threshold: float = 0.0, **changes: Any) -> Path:
    """A folder as the authors released theirs: a threshold for each feature, never trained."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: weight.detach().clone() for name, weight in sae.named_parameters()}
    save_file(weights | {"threshold": torch.full((sae.d_sae,), threshold)}, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(authors_config(sae, layer, **changes)))
    return folder


def cache_repository(hub: Path, name: str) -> Path:
    """An empty repository in a hub cache, as if it had been downloaded; returns its snapshot folder."""
    whole = hub / f"models--{name.replace('/', '--')}"
    (whole / "snapshots" / COMMIT).mkdir(parents=True)
    (whole / "refs").mkdir()
    (whole / "refs" / "main").write_text(COMMIT)
    return whole / "snapshots" / COMMIT


def known_sae(d_model: int = 6, d_sae: int = 20, seed: int = 0) -> SparseAutoencoder:
    """A random SAE, its biases too, that is the same whenever it is made."""
    generator = torch.Generator().manual_seed(seed)
    sae = random_sae(d_model, d_sae, generator)
    with torch.no_grad():
        sae.b_enc.normal_(0, 0.1, generator=generator)
        sae.b_dec.normal_(0, 0.1, generator=generator)
    return sae


def released(arm: str, layer: int, tokens: int, d_model: int = 32, d_sae: int = 64) -> SparseAutoencoder:
    """The stand-in of a released SAE: another one for each arm, layer and number of tokens."""
    return known_sae(d_model, d_sae, seed=ARMS.index(arm) * 10**6 + layer * 10**4 + tokens // 10**6)


def cache_published(hub: Path, layers: int = 3, d_model: int = 32, d_sae: int = 64) -> Path:
    """The authors' repository in a hub cache, for a model of so many layers; returns its snapshot folder."""
    snapshot = cache_repository(hub, REPOSITORY)
    for arm in ARMS:
        for layer in range(layers):
            for tokens in published_tokens(arm) if 0 <= layer + STEP.get(arm, 0) < layers else ():
                one = published_sae(arm, layer, tokens)
                save_as_authors(snapshot / one.folder, released(arm, layer, tokens, d_model, d_sae), layer)
    return snapshot


@contextmanager
def papers_hub(folder: Path) -> Iterator[Path]:
    """A hub cache, alone in reach, with small stand-ins of the paper's model, its data set and the released SAEs."""
    cache_hub_model(folder, "EleutherAI/pythia-160m-deduped")
    cache_hub_rows(folder, "NeelNanda/pile-small-tokenized-2b", {"data/train.parquet": random_rows(80)})
    cache_published(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
        patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        yield folder
