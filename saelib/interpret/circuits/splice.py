"""A residual stream written as features and what they leave: the one place where features are put in and out.

In: an SAE and streams of its layer. Out: features with the error term, and streams made of changed features.

    stream = decode(features) + error,    features = encode(stream)

The error is what the SAE does not reconstruct; it is kept as it is (detached), so that the stream of unchanged features
is the model's own. Skipped positions keep their own stream, whatever the features.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder


class Split(NamedTuple):
    """A stream as an SAE reads it, without the skipped positions."""

    features: Float[Tensor, "prompts positions d_sae"]
    error: Float[Tensor, "prompts positions d_model"]


@torch.no_grad()
def split(sae: SparseAutoencoder, stream: Float[Tensor, "prompts context d_model"], skipped: int = 0) -> Split:
    """Features of a stream, and what they leave of it."""
    read = stream[:, skipped:]
    features = sae.encode(read)
    return Split(features, read - sae.decode(features))


def joined(
    sae: SparseAutoencoder,
    stream: Float[Tensor, "prompts context d_model"],
    features: Float[Tensor, "prompts positions d_sae"],
    error: Float[Tensor, "prompts positions d_model"] | None,
) -> Float[Tensor, "prompts context d_model"]:
    """The stream that features write, behind the skipped positions of the model's own; differentiable in the features.

    Args:
        stream: the model's own.
        error: None leaves it away.
    """
    written = sae.decode(features) if error is None else sae.decode(features) + error
    skipped = stream.shape[1] - features.shape[1]
    return torch.cat([stream[:, :skipped], written], dim=1) if skipped else written
