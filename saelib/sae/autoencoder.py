"""The paper's sparse autoencoder: what it computes, what it pays for, and the gradient of that.

In: residual-stream vectors of one layer. Out: sparse features, reconstructions, losses and their gradients.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

CPU_TILE = 1024  # tokens whose features stay in cache between the five matrix products of a step
UNIT = 1e-5  # a decoder row whose norm is this near to 1 has norm 1: training leaves them within 1e-6
SHOWN = ("d_model", "d_sae", "architecture", "arm", "source_layer", "sae_layer", "seed", "tokens")  # of an SAE


class StepLosses(NamedTuple):
    """Means over the tokens of a batch, left on the device: reading them is what waits for it."""

    mse: Float[Tensor, ""]  # squared error, summed over d_model
    l1: Float[Tensor, ""]  # sum of the features, whose decoder rows have unit norm
    l0: Float[Tensor, ""]  # active features

    def loss(self, l1_coefficient: float) -> Float[Tensor, ""]:
        """The training loss, L = mse + lambda * l1."""
        return self.mse + l1_coefficient * self.l1


class SparseAutoencoder(nn.Module):
    r"""ReLU sparse autoencoder with an L1 penalty, as paper 1 trained it.

    .. math::
        f &= \mathrm{ReLU}(x W_{enc} + b_{enc}) \\
        \hat x &= f W_{dec} + b_{dec} \\
        L &= \frac1N \sum_n \Big( \lVert \hat x_n - x_n \rVert_2^2
             + \lambda \sum_j f_{nj} \, \lVert W_{dec,j} \rVert_2 \Big)

    with decoder rows of unit norm, so that the penalty is lambda times the sum of the features; the norm's own
    gradient is kept, as in SAELens 3.14, where it enters the clipping and Adam's second moment. `b_dec` is not
    subtracted from the input. Another architecture enters as a subclass with its own `encode`, `decode`,
    `accumulate_gradients` and `SKIPS_INACTIVE`, and its own `l1`, `fold_decoder_norms`, `fold_scale` and `unfold_scale`
    where its features do not grow with their encoder; listed in `ARCHITECTURES` by SAELens's name.

    Attributes:
        lineage: where it comes from, as its folder says: arm, layers, seed, tokens; of somebody else's the layer, and
            the model and text that it was trained on; empty for a new one.
    """

    architecture = "standard"
    SKIPS_INACTIVE: ClassVar[bool] = True
    """Whether decoding and the gradients of decoder, features and encoder need the active features alone, those that
    `relu(x W_enc + b_enc)` makes positive; then the sparse step may leave the others out. A subclass says its own."""

    def __init__(self, d_model: int, d_sae: int) -> None:
        """Zeros of the right shapes; `random_sae` and `load_sae` fill them."""
        super().__init__()
        self.lineage: dict[str, Any] = {}
        self.W_enc = nn.Parameter(torch.zeros(d_model, d_sae))
        self.b_enc = nn.Parameter(torch.zeros(d_sae))
        self.W_dec = nn.Parameter(torch.zeros(d_sae, d_model))
        self.b_dec = nn.Parameter(torch.zeros(d_model))

    def extra_repr(self) -> str:
        """What stands in the brackets of its `repr`: sizes, and where it comes from."""
        known = {"d_model": self.d_model, "d_sae": self.d_sae, "architecture": self.architecture} | self.lineage
        return ", ".join(f"{name}={known[name]}" for name in SHOWN if name in known)

    @property
    def d_model(self) -> int:
        """Width of the residual stream."""
        return self.W_enc.shape[0]

    @property
    def d_sae(self) -> int:
        """Number of features."""
        return self.W_enc.shape[1]

    def encode(self, x: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens d_sae"]:
        """Features of residual-stream vectors."""
        return torch.relu(x @ self.W_enc + self.b_enc)

    def decode(self, features: Float[Tensor, "*tokens d_sae"]) -> Float[Tensor, "*tokens d_model"]:
        """Reconstruction from features."""
        return features @ self.W_dec + self.b_dec

    def forward(self, x: Float[Tensor, "*tokens d_model"]) -> Float[Tensor, "*tokens d_model"]:
        """Reconstruction of `x`."""
        return self.decode(self.encode(x))

    def l1(self, features: Float[Tensor, "*tokens d_sae"]) -> Float[Tensor, "*tokens"]:
        """What the penalty counts, in float32: the features times the norms of their decoder rows, summed.

        So it is the same however the factors of a feature are shared out between encoder and decoder.
        """
        norms = self._decoder_norms()
        features = features.float()
        return features.sum(-1) if _are_one(norms) else (features * norms).sum(-1)

    @torch.no_grad()
    def fold_decoder_norms(self) -> None:
        """Give every decoder row unit norm without changing a reconstruction: ReLU keeps positive factors.

        A feature whose row is 0 writes nothing and costs nothing; it is switched off. Rows that have unit norm already
        stay as they are, to the bit.
        """
        norms = self._decoder_norms()
        if not _are_one(norms):
            self.W_enc.mul_(norms)
            self.b_enc.mul_(norms)
            self.W_dec.div_(norms.where(norms > 0, 1).unsqueeze(1))

    @torch.no_grad()
    def fold_scale(self, scale: float) -> "SparseAutoencoder":
        """From an SAE of streams divided by `scale`, the one of the streams themselves: its biases times the scale.

        ReLU is homogeneous: features and reconstruction are `scale` times as large, and decoder rows keep their norms.
        The matrices are shared, not copied. With a scale of 1 it is this SAE.
        """
        return self._with_biases(lambda bias: bias.mul_(scale)) if scale != 1 else self

    @torch.no_grad()
    def unfold_scale(self, scale: float) -> "SparseAutoencoder":
        """The way back: the SAE of streams divided by `scale`; what returns is right to two roundings of a bias."""
        return self._with_biases(lambda bias: bias.div_(scale)) if scale != 1 else self

    def _with_biases(self, change: Callable[[Tensor], object]) -> "SparseAutoencoder":
        other = copy.deepcopy(self, {id(weight): weight for weight in (self.W_enc, self.W_dec)})
        for bias in (other.b_enc, other.b_dec):
            change(bias)
        return other

    def _decoder_norms(self) -> Float[Tensor, " d_sae"]:
        return torch.linalg.vector_norm(self.W_dec.detach(), dim=1)

    @torch.no_grad()
    def accumulate_gradients(self, x: Float[Tensor, "tokens d_model"], l1_coefficient: float) -> StepLosses:
        """Add the gradient of the loss on a batch to `.grad`, in closed form.

        Five matrix products, tile by tile: what autograd does too, without its large intermediate tensors, and
        faster on a CPU for it. A test holds it against autograd.
        """
        gradients = {name: self._grad(parameter) for name, parameter in self.named_parameters()}
        mse, l0, feature_sums = x.new_zeros(()), x.new_zeros(()), torch.zeros_like(self.b_enc)
        for tile in x.split(CPU_TILE if x.device.type == "cpu" else len(x)):
            features = torch.addmm(self.b_enc, tile, self.W_enc).relu_()
            l0 += torch.count_nonzero(features)
            feature_sums += features.sum(0)
            mse += self.add_tile_gradients(tile, features, 2 / len(x), l1_coefficient / len(x), gradients)
        penalty_slope = feature_sums.mul(l1_coefficient / len(x)).unsqueeze(1)  # times the row: d norm / d row
        gradients["W_dec"].addcmul_(penalty_slope, self.W_dec)
        return StepLosses(mse / len(x), feature_sums.sum() / len(x), l0 / len(x))

    @torch.no_grad()
    def add_tile_gradients(
        self,
        tile: Float[Tensor, "tile d_model"],
        features: Float[Tensor, "tile d_sae"],
        error_scale: float,
        slope: float,
        gradients: Mapping[str, Tensor],
    ) -> Float[Tensor, ""]:
        """Add what a few tokens give, by dense products; the penalty on the norms of decoder rows is left out.

        Args:
            features: of the tile.
            error_scale: 2 / tokens of the batch.
            slope: of the L1 penalty in a feature, lambda / tokens of the batch.
            gradients: by the parameters' names, added to.

        Returns:
            The tile's squared error.
        """
        error = torch.addmm(self.b_dec, features, self.W_dec).sub_(tile)
        squared_error = torch.dot(error.view(-1), error.view(-1))
        error.mul_(error_scale)
        gradients["W_dec"].addmm_(features.T, error)
        gradients["b_dec"].add_(error.sum(0))
        upstream = torch.mm(error, self.W_dec.T).add_(slope)
        upstream = torch.ops.aten.threshold_backward(upstream, features, 0)  # the gradient of ReLU
        gradients["W_enc"].addmm_(tile.T, upstream)
        gradients["b_enc"].add_(upstream.sum(0))
        return squared_error

    @staticmethod
    def _grad(parameter: nn.Parameter) -> Tensor:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
        return parameter.grad

    @torch.no_grad()
    def normalize_decoder(self) -> None:
        """Scale every decoder row to unit norm, so that the L1 penalty cannot be dodged by small features.

        No gradient component is projected away: SAELens 3.14 does so after the optimiser's step, to no effect.
        """
        self.W_dec.div_(torch.linalg.vector_norm(self.W_dec, dim=1, keepdim=True).clamp_min(1e-8))


def _are_one(norms: Float[Tensor, " d_sae"]) -> bool:
    return bool(((norms - 1).abs() <= UNIT).all())


ARCHITECTURES: dict[str, type[SparseAutoencoder]] = {SparseAutoencoder.architecture: SparseAutoencoder}


def random_sae(d_model: int, d_sae: int, generator: torch.Generator) -> SparseAutoencoder:
    """A new SAE: independent Kaiming-uniform weights, biases 0, decoder rows of unit norm (as in SAELens 3.14).

    Args:
        generator: a CPU generator, so that the same seed gives the same SAE on every device.
    """
    sae = SparseAutoencoder(d_model, d_sae)
    for weight in (sae.W_enc, sae.W_dec):
        nn.init.kaiming_uniform_(weight, generator=generator)
    sae.normalize_decoder()
    return sae
