"""Evidence that a way through a model gives what the model itself gives, before any number of it is believed.

In: a model, and a fast, folded or spliced way through it. Out: nothing where both agree on two short rows, else what
differs, at which layer and by how much. The rows are too short for rotations that change after `ROW` tokens, and
for wide windows: a bare pass is not offered to models that have such (`forward_pass.has_bare_pass`). A bridge is proven
on rows that reach over a window of up to `WINDOW` tokens; what only longer rows show in it is not seen.
"""

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.language.hooked_pass import HookedPass, hooks, layers_of, own_head, own_logits, stream_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from saelib.language.forward_pass import ForwardPass

ROW = 16  # tokens
WINDOW = 512  # tokens; longer rows would make a proof slow
STREAM_TOLERANCE = 1e-4  # of a residual vector's length, at every token; float32 passes of one model differ by 1e-5
# Of the largest logit, at least of 1; logits are compared without their mean, which changes no probability.
LOGIT_TOLERANCE = 1e-4


class MismatchError(ValueError):
    """A way through a model gives other numbers than the model."""


class OwnOutputs(NamedTuple):
    """What a model gives on the rows when nothing but itself computes."""

    streams: Float[Tensor, "layers rows context d_model"]
    """After each layer, as they are."""
    logits: Float[Tensor, "rows context vocabulary"]


def proof_rows(vocabulary: int, longest: int | None, window: int | None = None) -> Int[Tensor, "2 context"]:
    """Two rows of fixed pseudo-random token ids that begin alike, so that looking ahead shows.

    Args:
        longest: context of the model.
        window: of its attention, which the rows reach over by `ROW` tokens if it is no wider than `WINDOW`.
    """
    wanted = ROW + (window if window is not None and window <= WINDOW else 0)
    context = max(2, min(wanted, longest or wanted))
    rows = np.random.default_rng(0).integers(0, vocabulary, (2, context))
    rows[1, : context // 2] = rows[0, : context // 2]
    return torch.from_numpy(rows)


@torch.no_grad()
def own_outputs(model: "PreTrainedModel", tokens: Int[Tensor, "rows context"]) -> OwnOutputs:
    """The model as it is called, with hooks that only watch.

    Raises:
        MismatchError: its layers do not hand on one residual stream, or it looks ahead.
    """
    name, layers = type(model).__name__, layers_of(model)
    calls: Counter[int] = Counter()
    streams: dict[int, Any] = {}

    def watch(layer: int) -> Any:
        def hook(module: Any, inputs: Any, output: Any) -> None:
            calls[layer] += 1
            streams[layer] = stream_of(output)

        return hook

    with hooks([layer.register_forward_hook(watch(place)) for place, layer in enumerate(layers)]):
        logits = own_logits(model, tokens)
    shape = (*tokens.shape, model.config.get_text_config().hidden_size)
    for place in range(len(layers)):
        if calls[place] != 1:
            raise MismatchError(f"{name} runs layer {place} {calls[place]} times a pass: it has no one output")
        found = tuple(getattr(streams[place], "shape", ()))
        if found != shape:
            raise MismatchError(f"layer {place} of {name} gives {found}, not one vector a token {shape}")
    _check_causal(name, logits)
    return OwnOutputs(torch.stack([streams[place].to(tokens.device) for place in range(len(layers))]), logits)


def _check_causal(name: str, logits: Float[Tensor, "2 context vocabulary"]) -> None:
    alike = logits[:, : logits.shape[1] // 2]
    difference = float((alike[0] - alike[1]).abs().max())
    if not difference <= LOGIT_TOLERANCE * max(1.0, float(alike.abs().max())):
        raise MismatchError(f"{name} reads later tokens (logits differ by {difference:.2g}): it is no causal model")


def proven_pass(
    model: "PreTrainedModel", fast: "Sequence[ForwardPass]", own: OwnOutputs, tokens: Int[Tensor, "rows context"]
) -> "ForwardPass":
    """The first way of `fast` that gives what the model gives, else the model with hooks.

    Streams are centred, as TransformerLens centres them, where the model ignores their mean.

    Raises:
        MismatchError: not even hooks give it; names what differs.
    """
    for way in fast:
        with suppress(MismatchError):
            check_pass(way, own, tokens)
            return way
    slow = HookedPass(model, own_head(model, tokens), centred=True)
    try:
        check_pass(slow, own, tokens)
    except MismatchError:
        slow.centred = False
        check_pass(slow, own, tokens)
    slow.reads_tokens_again = _reads_tokens_again(slow, own, tokens)
    return slow


def check_pass(way: "ForwardPass", own: OwnOutputs, tokens: Int[Tensor, "rows context"]) -> None:
    """Streams of all layers, log-probabilities, and those of passes that go on from each layer's stream.

    A way that gives centred streams claims that their mean changes nothing: it goes on from them with a constant added.

    Raises:
        MismatchError: names what differs.
    """
    streams = way.residual_streams(tokens, range(len(own.streams)))
    check_outputs(OwnOutputs(streams, way.logits(tokens)), own, way.centred)
    for layer, stream in enumerate(streams):
        added = stream.square().mean(-1, keepdim=True).sqrt() if way.centred else 0.0
        read = way.head_inputs_from(stream + added, layer, tokens).flatten(0, 1)
        logits = way.head.logits(read).view_as(own.logits)
        _check_logits(logits, own.logits, f"log-probabilities going on from layer {layer}")
    _check_logits(way.logits_from(stream, layer, tokens), own.logits, "log-probabilities by the logits of a splice")


def _reads_tokens_again(way: "ForwardPass", own: OwnOutputs, tokens: Int[Tensor, "rows context"]) -> bool:
    """Whether going on from a layer's stream gives other logits where the rows have other tokens."""
    others = (tokens + 1) % own.logits.shape[-1]
    try:
        for layer, stream in enumerate(own.streams):
            _check_logits(way.logits_from(stream, layer, others), own.logits, "logits")
    except MismatchError:
        return True
    return False


def check_outputs(found: OwnOutputs, own: OwnOutputs, centred: bool) -> None:
    """Streams, without their mean over d_model where they are centred, and log-probabilities.

    Raises:
        MismatchError: names what differs.
    """
    for layer, pair in enumerate(zip(found.streams, own.streams, strict=True)):
        first, second = (stream - stream.mean(-1, keepdim=True) if centred else stream for stream in pair)
        if not second.any():
            raise MismatchError(f"the residual stream of layer {layer} is 0 at every token: are the weights whole?")
        distances = torch.linalg.vector_norm(first - second, dim=-1) / torch.linalg.vector_norm(second, dim=-1)
        if not (worst := float(distances.max())) <= STREAM_TOLERANCE:
            raise MismatchError(f"the residual stream of layer {layer} is off by {worst:.2g} of its length")
    _check_logits(found.logits, own.logits, "log-probabilities")


def _check_logits(found: Tensor, own: Tensor, what: str) -> None:
    """By centred logits: log-probabilities differ by no more than twice as much, and cost more."""
    size = float((own - own.mean(-1, keepdim=True)).abs().max())
    difference = found - own
    worst = float((difference - difference.mean(-1, keepdim=True)).abs().max())
    if not worst <= LOGIT_TOLERANCE * max(1.0, size):
        raise MismatchError(f"{what} are off by {worst:.2g} nats")
