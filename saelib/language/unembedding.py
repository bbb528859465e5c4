"""What a direction of the residual stream does to the logits: the unembedding, with the gain of the final norm in it.

In: a language model. Out: a matrix, believed only where the model's own last layer, normed and multiplied with it,
gives the model's own logits. The layer-transfer paper reads the tokens of a feature off it: its decoder row, times this
matrix ("Feature transfer" in its analyses).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from saelib.language.deferred import DeferredLanguageModel
from saelib.language.head import LinearHead
from saelib.language.hooked_pass import centred_logits
from saelib.language.model import LanguageModel
from saelib.language.proof import LOGIT_TOLERANCE, MismatchError, proof_rows

NORMS = ("final_layer_norm", "ln_f", "norm", "final_layernorm")  # of a decoder, as transformers' families call them


@torch.no_grad()
def unembedding(model: LanguageModel) -> Float[Tensor, "d_model vocabulary"]:
    r"""Logits for each unit of a residual direction, float32, on the model's device.

    .. math:: U = \mathrm{diag}(g)\, W_U

    with the final norm's gain g, less its mean over the vocabulary, which no probability depends on; and less its mean
    over d_model where the norm takes that from what it reads. TransformerLens's folded `W_U` is the same. What a
    direction adds to the logits is this, divided by the length that the norm divides the whole stream by.

    Raises:
        ValueError: the model's head is not one matrix, or its final norm is not found.
        MismatchError: its logits are not those of this matrix.
    """
    head, norm = model.head, final_norm(model)
    if not isinstance(head, LinearHead):
        raise ValueError(
            f"{model.architecture} of {model.name} has a head that is not one matrix (a bias, a scale or a soft cap): "
            "a feature has no logit tokens there"
        )
    for gain in _gains(norm):
        matrix = _folded(head.weight.float(), gain, isinstance(norm, nn.LayerNorm))
        if (worst := _mismatch(model, norm, matrix)) <= LOGIT_TOLERANCE:
            return matrix.T.contiguous()
    raise MismatchError(
        f"the final norm {type(norm).__name__} of {model.name} is none that is known: with its gain in the unembedding "
        f"logits are off by {worst:.2g} of the largest, so that a feature has no logit tokens there"
    )


def final_norm(model: LanguageModel) -> nn.Module:
    """The norm between the last layer of a language model and its head.

    Raises:
        ValueError: none is found under the names that are known.
    """
    whole: Any = model.reader if isinstance(model, DeferredLanguageModel) else model.hugging_face
    body = getattr(whole, "gpt_neox", None) or (whole.get_decoder() if hasattr(whole, "get_decoder") else whole)
    found = [getattr(body, name) for name in NORMS if isinstance(getattr(body, name, None), nn.Module)]
    if len(found) != 1 or getattr(found[0], "weight", None) is None:
        raise ValueError(
            f"{model.architecture} of {model.name} has no final norm with a gain under a name that is known "
            f"({', '.join(NORMS)}): a feature has no logit tokens there"
        )
    return found[0]


def _gains(norm: nn.Module) -> tuple[Float[Tensor, " d_model"], ...]:
    """Candidates for what a norm multiplies with: its weight, or as Gemma writes it, what is added to 1."""
    weight: Tensor = norm.weight.float()  # type: ignore[assignment]
    return weight, 1 + weight


def _folded(
    weight: Float[Tensor, "vocabulary d_model"], gain: Float[Tensor, " d_model"], centred: bool
) -> Float[Tensor, "vocabulary d_model"]:
    folded = weight * gain
    if centred:
        folded -= folded.mean(1, keepdim=True)
    return folded - folded.mean(0)


def _mismatch(model: LanguageModel, norm: nn.Module, matrix: Float[Tensor, "vocabulary d_model"]) -> float:
    """How far the logits of the last layer's stream are from those of the matrix, as a share of the largest."""
    tokens, last = proof_rows(model.vocabulary, model.n_ctx).to(model.device), model.n_layers - 1
    stream = model.residual_streams(tokens, [last])[0]
    if isinstance(norm, nn.LayerNorm):
        stream = stream - stream.mean(-1, keepdim=True)
    epsilon = next((float(getattr(norm, name)) for name in ("eps", "variance_epsilon") if hasattr(norm, name)), 0.0)
    normed = stream * (stream.square().mean(-1, keepdim=True) + epsilon).rsqrt()
    own = model.logits_from(stream, last, tokens)
    ours = normed @ matrix.T
    if (bias := getattr(norm, "bias", None)) is not None:
        ours = ours + centred_logits(model.head.logits(bias.float().unsqueeze(0)))
    return float((ours - own).abs().max() / own.abs().max().clamp_min(1.0))
