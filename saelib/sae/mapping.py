"""A linear map between the residual streams of two layers, and an SAE carried from one to the other by it.

In: activations of both layers at the same tokens; an SAE of the first. Out: a `LayerMap`; an SAE for the second, before
any training there. Between different models such maps are known to carry SAEs (Chen, Merullo, Stolfo, Pavlick,
"Transferring Linear Features Across Language Models With Model Stitching", arXiv 2506.06609); here both layers are of
one model.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder

HELD_OUT_SHARE = 0.25  # of the tokens: the last ones, so that hardly a row of text lies on both sides
RIDGES = tuple(10 ** (half / 2) for half in range(-16, 7))  # 1e-8 to 1e3, in units of the mean variance
AT_REST = 1e-9  # of the covariance's mean diagonal: a direction in which neither layer varies is mapped to itself


@dataclass(frozen=True, eq=False)
class LayerMap:
    """Two affine maps, y ~ x A + a from source to target and x ~ y B + b back, and how well they fit."""

    matrix: Float[Tensor, "source target"]
    """A."""
    offset: Float[Tensor, " target"]
    """a."""
    back_matrix: Float[Tensor, "target source"]
    """B."""
    back_offset: Float[Tensor, " source"]
    """b."""
    tokens: int
    """On which it was fitted, the held-out quarter included."""
    r2: float
    """1 - squared error / squared distance from the mean, on the held-out quarter when fitted on the rest."""
    r2_back: float
    """The same, from target to source."""
    ridge: float | None
    """Penalty on the squared entries of A, in units of the source's mean variance; None where there is none."""
    ridge_back: float | None
    """The same, of B and the target's."""

    def to(self, device: torch.device) -> "LayerMap":
        """The same map on a device."""
        names = ("matrix", "offset", "back_matrix", "back_offset")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


class Pairs(NamedTuple):
    """Mean and covariance of the joined vectors (x, y) over tokens, float64: all that linear fits and errors need."""

    mean: Float[Tensor, " both"]
    covariance: Float[Tensor, "both both"]
    width: int  # of x
    tokens: int

    @property
    def xx(self) -> Float[Tensor, "source source"]:
        """Covariance of x."""
        return self.covariance[: self.width, : self.width]

    @property
    def xy(self) -> Float[Tensor, "source target"]:
        """Covariance of x and y."""
        return self.covariance[: self.width, self.width :]

    @property
    def means(self) -> tuple[Float[Tensor, " source"], Float[Tensor, " target"]]:
        """Of x and of y."""
        return self.mean[: self.width], self.mean[self.width :]

    @property
    def spreads(self) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Of x and of y: mean squared distances from the mean."""
        spread = self.covariance.diagonal()
        return spread[: self.width].sum(), spread[self.width :].sum()

    def reverse(self) -> "Pairs":
        """The pairs (y, x)."""
        rolled = self.covariance.roll((-self.width, -self.width), (0, 1))
        return Pairs(self.mean.roll(-self.width), rolled, len(self.mean) - self.width, self.tokens)

    def joined(self, other: "Pairs") -> "Pairs":
        """Those of both."""
        tokens, gap = self.tokens + other.tokens, other.mean - self.mean
        share = 1 - self.tokens / tokens
        covariance = self.covariance.lerp(other.covariance, share) + share * (1 - share) * torch.outer(gap, gap)
        return Pairs(self.mean.lerp(other.mean, share), covariance, self.width, tokens)

    def offset(self, matrix: Float[Tensor, "source target"]) -> Float[Tensor, " target"]:
        """The best one beside a matrix: with it the mean error is 0."""
        return self.mean[self.width :] - self.mean[: self.width] @ matrix

    def r2(self, matrix: Float[Tensor, "source target"], offset: Float[Tensor, " target"]) -> float:
        """Of a map that was fitted on other pairs."""
        spread = self.covariance.diagonal()[self.width :].sum()
        error = spread - 2 * (matrix * self.xy).sum() + (matrix * (self.xx @ matrix)).sum()
        return float(1 - (error + (self.offset(matrix) - offset).square().sum()) / spread)


class _OneWay(NamedTuple):
    """One of the two maps of a `LayerMap`."""

    matrix: Float[Tensor, "source target"]
    offset: Float[Tensor, " target"]
    r2: float
    ridge: float | None = None


def fit_map(start: str, source: Float[Tensor, "tokens source"], target: Float[Tensor, "tokens target"]) -> LayerMap:
    """The map between two layers, from their activations at the same tokens.

    "affine": ridge regression, each way for itself; the penalty has the least error on the last quarter of the tokens,
    then all are fitted. "procrustes": a rotation (or reflection) with one scale, and its inverse as the way back.

    Raises:
        ValueError: another start; unequal or too few tokens; activations that are not finite, or do not vary.
    """
    if start not in ("affine", "procrustes"):
        raise ValueError(f"start={start!r}: there is a map to fit for 'affine' and 'procrustes'")
    _check(source, target, square=start == "procrustes")
    first = fitted_tokens(len(source))
    fitted = fit_pairs(start, pairs_of(source[:first], target[:first]), pairs_of(source[first:], target[first:]))
    return fitted.to(source.device)


def fit_pairs(start: str, known: Pairs, rest: Pairs) -> LayerMap:
    """The map of `fit_map` from all that it needs of the tokens; nothing is checked.

    Args:
        known: of the tokens before the held-out ones (`fitted_tokens`).
        rest: of these.
    """
    parts = known, rest, known.joined(rest)
    if start == "procrustes":
        there, back = _procrustes(*parts)
    else:
        there, back = _ridge(*parts), _ridge(*(part.reverse() for part in parts))
    matrix, offset, back_matrix, back_offset = (tensor.to(torch.float32) for tensor in (*there[:2], *back[:2]))
    fit = (known.tokens + rest.tokens, there.r2, back.r2, there.ridge, back.ridge)
    return LayerMap(matrix, offset, back_matrix, back_offset, *fit)


def fitted_tokens(tokens: int) -> int:
    """How many of so many tokens come before the held-out ones."""
    return tokens - round(HELD_OUT_SHARE * tokens)


def _check(source: Float[Tensor, "tokens source"], target: Float[Tensor, "tokens target"], square: bool) -> None:
    sizes = f"activations of shapes {list(source.shape)} and {list(target.shape)}"
    if source.ndim != 2 or target.ndim != 2 or len(source) != len(target):
        raise ValueError(f"{sizes}: give [tokens, d_model] of both layers, at the same tokens")
    if square and source.shape != target.shape:
        raise ValueError(f"{sizes}: a rotation keeps the width; take start='affine'")
    if len(source) < (widest := max(source.shape[1], target.shape[1])):
        raise ValueError(f"{len(source)} tokens for a width of {widest}: fit the map on more tokens (map_tokens)")
    for name, activations in (("source", source), ("target", target)):
        if not activations.isfinite().all():
            bad = int((~activations.isfinite()).any(1).sum())
            raise ValueError(f"the {name}'s activations are not finite at {bad} tokens; try precision='float32'")
        fitted, held_out = activations.tensor_split([fitted_tokens(len(activations))])
        for tokens, which in ((fitted, "tokens"), (held_out, "held-out tokens")):
            if (tokens == tokens[:1]).all():
                raise ValueError(
                    f"the {name}'s activations are the same at all {which} of the fit; choose another layer, or more "
                    "tokens (map_tokens)"
                )


def pairs_of(source: Float[Tensor, "tokens source"], target: Float[Tensor, "tokens target"]) -> Pairs:
    """Of activations at the same tokens."""
    device = "cpu" if source.device.type == "mps" else source.device  # which has no float64
    both = torch.cat([source, target], dim=1).to(device).double()
    return Pairs(both.mean(0), torch.cov(both.T, correction=0), source.shape[1], len(both))


def _ridge(known: Pairs, rest: Pairs, whole: Pairs) -> _OneWay:
    r2_of = {ridge: rest.r2(*_ridge_fit(known, ridge)) for ridge in RIDGES}
    best = max(r2_of, key=r2_of.__getitem__)
    return _OneWay(*_ridge_fit(whole, best), r2_of[best], best)


def _ridge_fit(pairs: Pairs, ridge: float) -> tuple[Float[Tensor, "source target"], Float[Tensor, " target"]]:
    """Least mean of |y - x A - a|^2, plus the penalty on A: it keeps a direction without variance from mattering."""
    penalty = ridge * pairs.xx.diagonal().mean() * torch.eye(len(pairs.xx)).to(pairs.xx)
    matrix = torch.linalg.solve(pairs.xx + penalty, pairs.xy)
    return matrix, pairs.offset(matrix)


def _procrustes(known: Pairs, rest: Pairs, whole: Pairs) -> tuple[_OneWay, _OneWay]:
    r2, r2_back = (pairs.r2(*fit) for pairs, fit in zip((rest, rest.reverse()), _procrustes_fit(known), strict=True))
    there, back = _procrustes_fit(whole)
    return _OneWay(*there, r2), _OneWay(*back, r2_back)


def _procrustes_fit(pairs: Pairs) -> list[tuple[Float[Tensor, "source target"], Float[Tensor, " target"]]]:
    """The orthogonal Q and the scale s of least |y - s x Q|^2, centred; there, and back by the inverse."""
    at_rest = AT_REST * pairs.xy.diagonal().abs().mean() * torch.eye(len(pairs.xy)).to(pairs.xy)
    left, _, right = torch.linalg.svd(pairs.xy + at_rest)
    rotation = left @ right
    scale = (rotation * pairs.xy).sum() / pairs.xx.trace()
    matrix, back = scale * rotation, rotation.T / scale
    return [(matrix, pairs.offset(matrix)), (back, pairs.reverse().offset(back))]


@torch.no_grad()
def map_sae(sae: SparseAutoencoder, layer_map: LayerMap) -> SparseAutoencoder:
    r"""The SAE of the source as an SAE of the target: read through the way back, write through the way there.

    .. math::
        W_{enc}' = B W_{enc}, \quad b_{enc}' = b_{enc} + b W_{enc}, \quad
        W_{dec}' = W_{dec} A, \quad b_{dec}' = b_{dec} A + a

    then the rows of W_dec' to unit norm and their norms into the encoder, which changes no reconstruction, because ReLU
    keeps positive factors. A row of norm 0 stays as it is, with its encoder.

    Feature j stays feature j: on a vector y of the target it fires where the source's feature j fires on y B + b.
    So features can be compared by their index across source, mapped and transferred SAE; that they still mean the
    same is not said by that, neither at this start, as far as the map is wrong, nor after training.

    Returns:
        The SAE for reading, as `load_sae` gives it, with the source's `lineage`.

    Raises:
        ValueError: the map's source is not as wide as the SAE.
    """
    if len(layer_map.matrix) != sae.d_model:
        raise ValueError(f"the map is from width {len(layer_map.matrix)}, the SAE's d_model is {sae.d_model}")
    A, a = layer_map.matrix.to(sae.W_enc), layer_map.offset.to(sae.W_enc)
    B, b = layer_map.back_matrix.to(sae.W_enc), layer_map.back_offset.to(sae.W_enc)
    decoder = sae.W_dec @ A
    norms = torch.linalg.vector_norm(decoder, dim=1)
    norms[norms == 0] = 1
    mapped = type(sae)(A.shape[1], sae.d_sae).to(sae.W_enc)
    mapped.W_enc.copy_(B @ sae.W_enc * norms)
    mapped.b_enc.copy_((sae.b_enc + b @ sae.W_enc) * norms)
    mapped.W_dec.copy_(decoder / norms.unsqueeze(1))
    mapped.b_dec.copy_(sae.b_dec @ A + a)
    mapped.lineage = dict(sae.lineage)
    return mapped.requires_grad_(False)
