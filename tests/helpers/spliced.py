"""A task done with changed features, for tests: one pass for one change."""

from collections.abc import Callable

from torch import Tensor

from saelib.interpret.circuits.examples import Examples, difference_at
from saelib.interpret.circuits.splice import joined, split
from saelib.language.model import LanguageModel
from saelib.sae.autoencoder import SparseAutoencoder


def spliced_difference(
    model: LanguageModel,
    sae: SparseAutoencoder,
    examples: Examples,
    change: Callable[[Tensor], Tensor],
    error: bool = True,
) -> Tensor:
    """logit(answer) - logit(other) of each prompt [prompts] when the layer's features are changed.

    Args:
        change: from the clean features [prompts positions d_sae] to those that are put in.
        error: whether the error term is added back.
    """
    features, rest = split(sae, examples.stream, examples.skipped)
    stream = joined(sae, examples.stream, change(features), rest if error else None)
    return difference_at(model, examples, stream)
