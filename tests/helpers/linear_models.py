"""A language model without anything curved, in which effects of features can be worked out by hand."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from saelib.language.forward_pass import BarePass, Parts
from saelib.language.head import LinearHead
from saelib.language.model import LanguageModel
from saelib.sae.autoencoder import SparseAutoencoder


class AddEarlier(nn.Module):
    """Each position gets the sum of itself and of all before it."""

    def forward(self, residual: Tensor) -> Tensor:
        return residual.cumsum(1)


def linear_model(table: Sequence[Sequence[float]], unembedding: Tensor | None = None) -> LanguageModel:
    """Two layers: the first does nothing, the second adds earlier positions. A logit is a coordinate of that sum.

    So with a stream x after layer 0, logit i at the last position is the sum of x[position, i] over the positions.

    Args:
        table: residual vector of each token.
        unembedding: vocabulary by d_model in place of the coordinates.
    """
    vectors = torch.tensor(table)
    model = LanguageModel.__new__(LanguageModel)
    model.name, model.device, model.n_layers, model.n_ctx = "linear", torch.device("cpu"), 2, None
    model.d_model, model.vocabulary = vectors.shape[1], len(vectors)
    way = BarePass.__new__(BarePass)
    layers = nn.ModuleList([nn.Identity(), AddEarlier()])
    way.parts = Parts(lambda tokens: vectors[tokens], layers, lambda residual: {}, nn.Identity(), centred=False)
    way.head = LinearHead(torch.eye(vectors.shape[1]) if unembedding is None else unembedding)
    model.__dict__["_pass"] = way
    return model


def identity_sae(d_model: int) -> SparseAutoencoder:
    """A feature is a coordinate where that is positive; the error term holds the negative ones."""
    sae = SparseAutoencoder(d_model, d_model)
    with torch.no_grad():
        sae.W_enc.copy_(torch.eye(d_model))
        sae.W_dec.copy_(torch.eye(d_model))
    return sae
