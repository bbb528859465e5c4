"""Small SAEs whose every weight is in use."""

import torch

from saelib.sae.autoencoder import SparseAutoencoder, random_sae


def small_sae(d_model: int = 6, d_sae: int = 20, seed: int = 0) -> SparseAutoencoder:
    sae = random_sae(d_model, d_sae, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        sae.b_enc.normal_(0, 0.1)
        sae.b_dec.normal_(0, 0.1)
    return sae
