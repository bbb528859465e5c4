"""Small SAEs whose every weight is in use."""

import torch

from saelib.sae.autoencoder import SparseAutoencoder, random_sae


def small_sae(d_model: int = 6, d_sae: int = 20, seed: int = 0) -> SparseAutoencoder:
    sae = random_sae(d_model, d_sae, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        sae.b_enc.normal_(0, 0.1)
        sae.b_dec.normal_(0, 0.1)
    return sae


def scaled(sae: SparseAutoencoder, factors: torch.Tensor) -> SparseAutoencoder:
    """The same function by other weights: each feature divided by its factor, its decoder row times it."""
    other = SparseAutoencoder(sae.d_model, sae.d_sae)
    with torch.no_grad():
        other.W_enc.copy_(sae.W_enc / factors)
        other.b_enc.copy_(sae.b_enc / factors)
        other.W_dec.copy_(sae.W_dec * factors.unsqueeze(1))
        other.b_dec.copy_(sae.b_dec)
    return other
