"""What each feature contributes to an answer, estimated from one gradient (attribution patching).

In: an SAE, and prompts at its layer with the gradient of their logit difference. Out: effects by position and feature
of pairs, as the layer-transfer paper scores circuits; and of facts its "DLA" score.

    effect = (f_patch - f_clean) d(logit(patch answer) - logit(clean answer))/df,    averaged over the pairs
    score of a fact = max over positions and features of f d(logit(right) - logit(wrong))/df

The error term is kept and detached. An effect is what setting that feature alone to its patched value would do to the
first order; `patching` does it exactly. It is positive where the feature supports the clean answer.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saelib.interpret.circuits.examples import BATCH_ROWS, Examples, by_batches, difference_at
from saelib.interpret.circuits.splice import Split, joined, split
from saelib.sae.autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


class Attribution(NamedTuple):
    """What one pass over clean and patched prompts tells of an SAE's features at each position."""

    effects: Float[Tensor, "positions d_sae"]
    """Mean over the pairs."""
    means: Float[Tensor, "positions d_sae"]
    """Mean of the features over the clean prompts."""
    active: Bool[Tensor, "positions d_sae"]
    """Whether a feature fires there on some clean prompt."""


def attribute(
    model: "LanguageModel",
    sae: SparseAutoencoder,
    train: Examples,
    gradient: Float[Tensor, "prompts context d_model"],
    steps: int = 1,
    batch_rows: int = BATCH_ROWS,
) -> Attribution:
    """Effects of all features, and their means.

    Args:
        train: pairs of prompts.
        gradient: of `stream_gradients`.
        steps: 1: the gradient at the clean features. n: integrated gradients, its mean over the features that lie
            0, 1/n, ..., (n-1)/n of the way to the patched ones; the clean error term stays.

    Raises:
        ValueError: the prompts are not in pairs.
    """
    train.patched()

    def of(rows: slice) -> tuple[Tensor, Tensor, Tensor]:
        part = train.rows(rows)
        clean = split(sae, part.stream, part.skipped)
        step = split(sae, part.patched(), part.skipped).features - clean.features
        slopes = _slopes(sae, clean.features, gradient[rows, part.skipped :])
        for taken in range(1, steps):
            slopes += _slopes_between(model, sae, part, clean, clean.features + taken / steps * step)
        return -(step * slopes).sum(0) / steps, clean.features.sum(0), (clean.features > 0).any(0)

    effects, sums, active = zip(*by_batches(model, of, len(train), batch_rows), strict=True)
    return Attribution(sum(effects) / len(train), sum(sums) / len(train), torch.stack(active).any(0))


def fact_scores(
    model: "LanguageModel",
    sae: SparseAutoencoder,
    facts: Examples,
    gradient: Float[Tensor, "prompts context d_model"],
    batch_rows: int = BATCH_ROWS,
) -> Float[np.ndarray, " prompts"]:
    """The paper's "DLA" of each prompt: the largest feature times gradient over its positions and all features."""

    def of(rows: slice) -> Tensor:
        part = facts.rows(rows)
        features = split(sae, part.stream, part.skipped).features
        shares = (features * _slopes(sae, features, gradient[rows, part.skipped :])).amax(-1)
        places = torch.arange(part.skipped, part.stream.shape[1], device=shares.device)
        return shares.masked_fill(places > part.last.unsqueeze(1), -torch.inf).amax(-1)

    return torch.cat(by_batches(model, of, len(facts), batch_rows)).cpu().numpy()


def _slopes(
    sae: SparseAutoencoder,
    features: Float[Tensor, "prompts positions d_sae"],
    gradient: Float[Tensor, "prompts positions d_model"],
) -> Float[Tensor, "prompts positions d_sae"]:
    """Gradient in the features, from that in the stream: back through the decoder alone."""
    with torch.enable_grad():
        leaf = features.detach().requires_grad_()
        return torch.autograd.grad(sae.decode(leaf), leaf, gradient)[0]


def _slopes_between(
    model: "LanguageModel", sae: SparseAutoencoder, part: Examples, clean: Split, features: Tensor
) -> Float[Tensor, "prompts positions d_sae"]:
    """Gradient in the features, at others than the clean ones."""
    with torch.enable_grad():
        leaf = features.detach().requires_grad_()
        difference = difference_at(model, part, joined(sae, part.stream, leaf, clean.error))
        return torch.autograd.grad(difference.sum(), leaf)[0]
