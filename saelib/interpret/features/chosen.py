"""Which features of which SAE are shown: the same indices along a lineage, and best matches by decoder.

In: what is known of the SAEs of a run. Out: indices. They are drawn among the features that are alive in the source.
Source, zero-shot and transfer are seen at the same index, as in the layer-transfer paper's feature transfer; scratch,
whose indices mean nothing to the others, at the features whose decoder rows are nearest to the transfer's and to the
source's; and the transfer also at those nearest to the source's, which may have moved to another index.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from saelib.interpret.features.neighbours import Neighbours, nearest_rows
from saelib.interpret.features.sampling import sampled_features
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Lineage, Subject

Alive = Callable[[Subject], Bool[np.ndarray, " d_sae"]]
Decoder = Callable[[Subject], Float[Tensor, "d_sae d_model"]]


def best_matches(
    interpretation: Interpretation,
    lineage: Lineage,
    features: Int[np.ndarray, " sample"],
    among: Literal["scratch", "equal"] = "scratch",
) -> Neighbours:
    """For features of the transfer, the nearest decoder row of the new layer's scratch SAE, `[sample, 1]`.

    Args:
        interpretation: where the SAEs are.
        lineage: whose transfer and scratch SAE.
        features: indices in the transfer.
        among: "scratch": the finished one; "equal": the one that has seen as many tokens as the transfer.

    Raises:
        ValueError: none of equal tokens was kept.
    """
    other = lineage.scratch if among == "scratch" else lineage.equal
    if other is None:
        raise ValueError(f"layer {lineage.act_layer} has no scratch SAE of {lineage.transferred.tokens:,} tokens")
    own = interpretation.sae(lineage.transferred).W_dec[features.tolist()]
    return nearest_rows(own, interpretation.sae(other).W_dec)


def shown_features(
    interpretation: Interpretation, lineages: Sequence[Lineage], alive: Alive
) -> dict[Subject, Int[np.ndarray, " shown"]]:
    """Of every SAE of some lineages the features whose contexts are kept, ascending.

    Args:
        interpretation: its config says how many are drawn.
        lineages: an SAE may be in several, and shows what each of them needs.
        alive: which features of an SAE are active on the text.
    """
    found: dict[Subject, set[int]] = {}
    decoder = cache(lambda subject: interpretation.sae(subject).W_dec)
    for lineage in lineages:
        sample = sampled_features(alive(lineage.source), interpretation.config.features, interpretation.config.seed)
        for subject, features in _of_lineage(lineage, sample, decoder):
            found.setdefault(subject, set()).update(features.tolist())
    return {subject: np.array(sorted(ones), np.int64) for subject, ones in found.items()}


def _of_lineage(
    lineage: Lineage, sample: Int[np.ndarray, " sample"], decoder: Decoder
) -> list[tuple[Subject, Int[np.ndarray, " some"]]]:
    """What a lineage needs: the sample itself, and its matches."""
    same = [(subject, sample) for subject in (lineage.source, lineage.zero_shot, lineage.transferred)]
    source, transferred = (decoder(one)[sample.tolist()] for one in (lineage.source, lineage.transferred))
    pairs = [(source, lineage.transferred), (source, lineage.scratch), (transferred, lineage.scratch)]
    if lineage.equal is not None:
        pairs.append((transferred, lineage.equal))
    matched = [(other, nearest_rows(rows, decoder(other)).indices.flatten().cpu().numpy()) for rows, other in pairs]
    return same + matched
