"""What an SAE is compared with: the untouched language model, and constants in place of a residual stream.

In: a language model and held-out token rows. Out: for each batch what all splices share, and for each layer its
variance and the losses of zeros and of the mean. Splices take their own losses by the same functions.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float64, Int32, Int64
from torch import Tensor

from saelib.language.head import tile_tokens
from saelib.language.precision import Precision, matrix_products

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


@dataclass(frozen=True)
class CleanBatch:
    """What all splices of one batch share.

    "Predictions" are its tokens that have a next one, row after row, without the positions that are skipped.
    """

    tokens: Int64[Tensor, "rows context"]
    streams: dict[int, Float[Tensor, "rows context d_model"]]
    targets: Int64[Tensor, " predictions"]
    mixtures: Float[Tensor, "predictions width"]  # see `Head.mixtures`
    negative_entropies: Float[Tensor, " predictions"]
    cross_entropy: Float[np.ndarray, " rows"]  # mean of each row
    skip_first: int = 0


@dataclass
class Moments:
    """Running sums over the batches, of one layer's residual vectors; those of skipped positions are kept apart."""

    skip_first: int = 0
    first: Float[Tensor, " d_model"] | float = 0.0
    second: float = 0.0
    beginnings: list[Float[Tensor, "rows skipped d_model"]] = field(default_factory=list)

    def add(self, stream: Float[Tensor, "rows context d_model"]) -> None:
        """One more batch."""
        if self.skip_first:
            self.beginnings.append(stream[:, : self.skip_first].cpu())
        vectors = in_float64(stream[:, self.skip_first :].flatten(0, 1))
        self.first += vectors.sum(0).cpu()
        self.second += vectors.square().sum().item()

    def mean(self, tokens: int) -> Float[Tensor, " d_model"]:
        """Of so many vectors, which must be all that were added."""
        return torch.as_tensor(self.first / tokens)

    def variance(self, tokens: int) -> float:
        """Mean squared distance from the mean, summed over d_model."""
        return self.second / tokens - self.mean(tokens).square().sum().item()


def clean_batch(
    model: "LanguageModel",
    tokens: Int64[Tensor, "rows context"],
    layers: Sequence[int],
    precision: Precision,
    skip_first: int = 0,
) -> CleanBatch:
    """One pass of the untouched model over a batch of rows."""
    last = model.n_layers - 1  # the clean loss goes on from there whichever layers are asked for: equal to the bit
    with matrix_products(precision, model.device):
        *streams, end = model.residual_streams(tokens, [*layers, last])
        inputs = head_inputs(model, end, last, tokens, skip_first)
    targets, mixtures, negative_entropies = tokens[:, 1 + skip_first :].flatten(), [], []
    with loss_products(precision, model.device):
        for tile in inputs.split(tile_tokens(model.device)):
            log_probabilities = model.head.logits(tile).log_softmax(-1)
            probabilities = log_probabilities.exp()
            negative_entropies.append(torch.linalg.vecdot(probabilities, log_probabilities))
            mixtures.append(model.head.mixtures(probabilities))
        losses = model.head.log_normalisers(inputs) - model.head.logits_of(inputs, targets)
    return CleanBatch(
        tokens,
        dict(zip(layers, streams, strict=True)),
        targets,
        torch.cat(mixtures),
        torch.cat(negative_entropies),
        row_means(losses, len(tokens)),
        skip_first,
    )


def head_inputs(
    model: "LanguageModel",
    stream: Float[Tensor, "rows context d_model"],
    layer: int,
    tokens: Int64[Tensor, "rows context"],
    skip_first: int = 0,
) -> Float[Tensor, "predictions width"]:
    """What the head reads where it predicts a token of the row, going on from a residual stream of `tokens`.

    Args:
        skip_first: positions at the start of each row whose predictions are left out.
    """
    return model.head_inputs_from(stream, layer, tokens)[:, skip_first:-1].flatten(0, 1)


def spliced(
    beginning: Float[Tensor, "rows skipped d_model"], rest: Float[Tensor, "rows kept d_model"]
) -> Float[Tensor, "rows context d_model"]:
    """A residual stream whose skipped positions are the model's own."""
    return torch.cat([beginning, rest.to(beginning.dtype)], dim=1) if beginning.shape[1] else rest


@dataclass(frozen=True)
class Baseline:
    """What the SAEs of one layer are compared with: the layer's variance, and each row's loss of constant splices."""

    variance: float
    zero: Float[np.ndarray, " rows"]
    mean: Float[np.ndarray, " rows"]


def baseline_of(
    model: "LanguageModel",
    held_out: Int32[np.ndarray, "rows context"],
    layer: int,
    moments: Moments,
    precision: Precision,
) -> Baseline:
    """From the moments of all held-out vectors of a layer."""
    count = held_out[:, moments.skip_first :].size
    mean = moments.mean(count).float().to(model.device)
    vectors = torch.zeros_like(mean), mean
    losses = [_constant_losses(vector, moments.beginnings, layer, model, held_out, precision) for vector in vectors]
    return Baseline(moments.variance(count), *losses)


def _constant_losses(
    vector: Float[Tensor, " d_model"],
    beginnings: Sequence[Float[Tensor, "rows skipped d_model"]],
    layer: int,
    model: "LanguageModel",
    held_out: Int32[np.ndarray, "rows context"],
    precision: Precision,
) -> Float[np.ndarray, " rows"]:
    """Cross-entropy with one vector at every position that is not skipped.

    One pass stands for all rows: only their targets differ. Where later layers read the tokens again, or rows begin
    with residual vectors of their own, each row has its own.
    """
    tokens = torch.from_numpy(held_out).long().to(model.device)
    if beginnings:
        batches = zip(tokens.split([len(rows) for rows in beginnings]), beginnings, strict=True)
        losses = [_losses_behind(rows, vector, layer, model, batch, precision) for batch, rows in batches]
    else:
        parts = tokens.split(1 if model.reads_tokens_again else len(tokens))
        losses = [_losses_of_one_pass(vector, layer, model, rows, precision) for rows in parts]
    return np.concatenate(losses)


def _losses_behind(
    beginning: Float[Tensor, "rows skipped d_model"],
    vector: Float[Tensor, " d_model"],
    layer: int,
    model: "LanguageModel",
    tokens: Int64[Tensor, "rows context"],
    precision: Precision,
) -> Float[np.ndarray, " rows"]:
    rows, skipped = beginning.shape[:2]
    stream = spliced(beginning.to(model.device), vector.expand(rows, tokens.shape[1] - skipped, -1))
    with matrix_products(precision, model.device):
        inputs = head_inputs(model, stream, layer, tokens, skipped)
    with loss_products(precision, model.device):
        targets = tokens[:, 1 + skipped :].flatten()
        losses = model.head.log_normalisers(inputs) - model.head.logits_of(inputs, targets)
    return row_means(losses, rows)


def _losses_of_one_pass(
    vector: Float[Tensor, " d_model"],
    layer: int,
    model: "LanguageModel",
    tokens: Int64[Tensor, "rows context"],
    precision: Precision,
) -> Float[np.ndarray, " rows"]:
    with matrix_products(precision, model.device):
        inputs = head_inputs(model, vector.expand(1, tokens.shape[1], -1), layer, tokens[:1])
    with loss_products(precision, model.device):
        log_probabilities = model.head.logits(inputs).log_softmax(-1)
    return row_means(-log_probabilities.gather(-1, tokens[:, 1:].T).T, len(tokens))


def loss_products(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Losses are float32, or TF32 where the pass is faster and coarser: a bfloat16 logit would be off by hundredths."""
    return matrix_products("float32" if precision == "float32" else "tf32", device)


def row_means(values: Float[Tensor, "*any"], rows: int) -> Float[np.ndarray, " rows"]:
    """Mean of each row over its tokens or predictions, in float64, which not every device has.

    By NumPy, whose sums do not depend on the number of threads.
    """
    return values.cpu().numpy().reshape(rows, -1).mean(axis=1, dtype=np.float64)


def in_float64(values: Float[Tensor, "*any"]) -> Float64[Tensor, "*any"]:
    """Where they are, so that a GPU need not send them to the host; Apple's has no float64."""
    return (values.cpu() if values.device.type == "mps" else values).double()
