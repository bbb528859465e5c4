"""The last step of a language model: from what its body ends in to one logit for each token of the vocabulary.

In: the inputs of the head at many positions. Out: what losses need of their logits (log-sum-exp, the logit of a token,
the expected logit under a distribution), without holding all logits at once. Where the head is one matrix, the two
last are dot products over d_model. Logits are not centred: no loss depends on it.
"""

from typing import NamedTuple, Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

CPU_TILE, DEVICE_TILE = 256, 4096  # positions whose logits are held at once; on a CPU they stay in its cache


def tile_tokens(device: torch.device) -> int:
    """How many tokens to take at a time on a device; no result depends on it beyond rounding."""
    return CPU_TILE if device.type == "cpu" else DEVICE_TILE


class Head(Protocol):
    """What losses ask of a head; `width` is d_model, or the vocabulary where a pass ends in logits."""

    def logits(self, inputs: Float[Tensor, "tokens width"]) -> Float[Tensor, "tokens vocabulary"]:
        """All logits, one number at each position left open."""
        ...

    def log_normalisers(self, inputs: Float[Tensor, "tokens width"]) -> Float[Tensor, " tokens"]:
        """Log of the sum of the exponentials of a position's logits, float32."""
        ...

    def logits_of(self, inputs: Float[Tensor, "tokens width"], ids: Int[Tensor, " tokens"]) -> Float[Tensor, " tokens"]:
        """The logit of one token id at each position."""
        ...

    def mixtures(self, probabilities: Float[Tensor, "tokens vocabulary"]) -> Float[Tensor, "tokens width"]:
        """What `inputs` are multiplied with for the expected logit under a distribution at each position."""
        ...


class LinearHead(NamedTuple):
    """One matrix without bias: a logit is the dot product of the final normed residual stream with a row of it."""

    weight: Float[Tensor, "vocabulary d_model"]

    def logits(self, inputs: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "tokens vocabulary"]:
        """See `Head`."""
        return torch.mm(inputs.float(), self.weight.T)

    def log_normalisers(self, inputs: Float[Tensor, "tokens d_model"]) -> Float[Tensor, " tokens"]:
        """See `Head`; the same memory serves all tiles, because fresh pages cost half as much as the product."""
        tiles = inputs.float().split(tile_tokens(inputs.device))
        memory = self.weight.new_empty(len(tiles[0]), len(self.weight))
        sums = []
        for tile in tiles:
            logits = torch.mm(tile, self.weight.T, out=memory[: len(tile)])
            peaks = logits.amax(-1, keepdim=True)
            sums.append(logits.sub_(peaks).exp_().sum(-1).log_().add_(peaks.squeeze(-1)))
        return torch.cat(sums)

    def logits_of(
        self, inputs: Float[Tensor, "tokens d_model"], ids: Int[Tensor, " tokens"]
    ) -> Float[Tensor, " tokens"]:
        """See `Head`."""
        return torch.linalg.vecdot(inputs.float(), self.weight[ids])

    def mixtures(self, probabilities: Float[Tensor, "tokens vocabulary"]) -> Float[Tensor, "tokens d_model"]:
        """See `Head`."""
        return torch.mm(probabilities, self.weight)


class LogitsHead:
    """For a pass that ends in its logits: heads with a bias, a scale or a soft cap, and whatever else there is."""

    def logits(self, inputs: Float[Tensor, "tokens vocabulary"]) -> Float[Tensor, "tokens vocabulary"]:
        """See `Head`."""
        return inputs.float()

    def log_normalisers(self, inputs: Float[Tensor, "tokens vocabulary"]) -> Float[Tensor, " tokens"]:
        """See `Head`."""
        return torch.cat([tile.float().logsumexp(-1) for tile in inputs.split(tile_tokens(inputs.device))])

    def logits_of(
        self, inputs: Float[Tensor, "tokens vocabulary"], ids: Int[Tensor, " tokens"]
    ) -> Float[Tensor, " tokens"]:
        """See `Head`."""
        return inputs.float().gather(-1, ids.unsqueeze(-1)).squeeze(-1)

    def mixtures(self, probabilities: Float[Tensor, "tokens vocabulary"]) -> Float[Tensor, "tokens vocabulary"]:
        """See `Head`."""
        return probabilities
