"""What trained SAEs do on activations that are the same for every competitor.

In: the residual streams that `inputs.write_inputs` kept, and each SAE's features and reconstruction. Out: mean L0 and
explained variance. Both environments read this module, so it imports nothing of the kit and nothing of a peer.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

HELD_OUT_FILE = "held_out.safetensors"


class Outcome(NamedTuple):
    """Means over the SAEs of a run."""

    l0: float
    """Active features of a token."""
    explained_variance: float
    """1 - squared error / squared distance from the mean vector, both summed over all tokens."""


class Trained(NamedTuple):
    """One SAE after its training."""

    layer: int
    """Whose residual stream it reads."""
    read: "Callable[[Tensor], tuple[Tensor, Tensor]]"
    """From vectors to features, of which the positive ones are active, and reconstructions."""


def residual_streams(folder: Path, centred: bool) -> "Float[Tensor, 'layers tokens d_model']":
    """Residual streams on rows that nobody trained on.

    Args:
        folder: of the inputs.
        centred: in TransformerLens's coordinates (each vector minus its mean) rather than the bare model's.
    """
    from safetensors.torch import load_file

    streams = load_file(folder / HELD_OUT_FILE)["streams"]
    return streams - streams.mean(-1, keepdim=True) if centred else streams


def outcome(saes: Iterable[Trained], folder: Path, centred: bool, device: str) -> Outcome:
    """Score every SAE on the stream of its layer, and average."""
    import torch

    streams = residual_streams(folder, centred).to(device)
    with torch.no_grad():
        scores = [score(streams[sae.layer], *sae.read(streams[sae.layer])) for sae in saes]
    return Outcome(*(sum(values) / len(scores) for values in zip(*scores, strict=True)))


def score(
    vectors: "Float[Tensor, 'tokens d_model']",
    features: "Float[Tensor, 'tokens features']",
    reconstructions: "Float[Tensor, 'tokens d_model']",
) -> Outcome:
    """L0 and explained variance of one SAE."""
    error = (reconstructions - vectors).square().sum()
    total = (vectors - vectors.mean(0)).square().sum()
    return Outcome((features > 0).sum(1).float().mean().item(), (1 - error / total).item())
