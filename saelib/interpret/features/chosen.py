"""Which features of which SAE are shown: the same indices along a lineage, and best matches by decoder.

In: what is known of the SAEs of a run. Out: indices. They are drawn among the features that are alive in the source.
Source, zero-shot and transfer are seen at the same index, as in the layer-transfer paper's feature transfer; scratch,
whose indices mean nothing to the others, at the features whose decoder rows are nearest to the transfer's and to the
source's; and the transfer also at those nearest to the source's, which may have moved to another index. Nearest rows
are looked for among features that fire: the row of a dead one is what it started as.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
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
DECODERS = 8  # that are in memory at once


def scratch_matches(
    interpretation: Interpretation,
    lineage: Lineage,
    features: Int[np.ndarray, " sample"],
    alive: Alive,
    among: Literal["scratch", "equal"] = "scratch",
) -> Neighbours:
    """For features of the transfer, the nearest living decoder row of the new layer's scratch SAE, `[sample, 1]`.

    Args:
        interpretation: where the SAEs are.
        lineage: whose transfer and scratch SAE.
        features: indices in the transfer.
        alive: which features of an SAE are active on the text.
        among: "scratch": the finished one; "equal": the one that has seen as many tokens as the transfer.

    Raises:
        ValueError: none of equal tokens was kept.
    """
    other = lineage.scratch if among == "scratch" else lineage.equal
    if other is None:
        raise ValueError(f"layer {lineage.act_layer} has no scratch SAE of {lineage.transferred.tokens:,} tokens")
    own = interpretation.sae(lineage.transferred).W_dec[features.tolist()]
    return nearest_rows(own, interpretation.sae(other).W_dec, alive=alive(other))


def check_shown(features: Mapping[Subject, Int[np.ndarray, " shown"]], d_sae: int) -> None:
    """Refuse features that an SAE of so many does not have, before a text is read for them.

    Raises:
        ValueError: names the SAE, and which it lacks.
    """
    for subject, ones in features.items():
        if wrong := [int(one) for one in ones if not 0 <= one < d_sae]:
            raise ValueError(f"features={wrong}: {subject} has features 0 to {d_sae - 1}")


def shown_features(
    interpretation: Interpretation,
    lineages: Sequence[Lineage],
    alive: Alive,
    subjects: Collection[Subject] | None = None,
) -> dict[Subject, Int[np.ndarray, " shown"]]:
    """Of SAEs of some lineages the features whose contexts are kept, ascending.

    Args:
        interpretation: its config says how many are drawn.
        lineages: an SAE may be in several, and shows what each of them needs.
        alive: which features of an SAE are active on the text; it is asked of these SAEs, and of their sources.
        subjects: of which; of all in the lineages if not given.
    """
    found: dict[Subject, set[int]] = {}
    decoder = lru_cache(DECODERS)(lambda subject: interpretation.sae(subject).W_dec)
    for lineage in lineages:
        if wanted := [one for one in lineage if subjects is None or one in subjects]:
            count, seed = interpretation.config.features, interpretation.config.seed
            sample = sampled_features(alive(lineage.source), count, seed)
            for subject in wanted:
                found.setdefault(subject, set()).update(_of_lineage(lineage, subject, sample, decoder, alive))
    return {subject: np.array(sorted(ones), np.int64) for subject, ones in found.items()}


def _of_lineage(
    lineage: Lineage, subject: Subject, sample: Int[np.ndarray, " sample"], decoder: Decoder, alive: Alive
) -> set[int]:
    """What a lineage needs of one of its SAEs: the sample itself, or its matches, or both."""
    same = (lineage.source, lineage.zero_shot, lineage.transferred)
    matched = {lineage.equal: same[2:], lineage.scratch: (lineage.source, lineage.transferred),
               lineage.transferred: same[:1]}  # scratch behind equal, which may be the same  # fmt: skip
    found = set(sample.tolist()) if subject in same else set()
    for origin in matched.get(subject, ()):
        rows = decoder(origin)[sample.tolist()]
        found.update(nearest_rows(rows, decoder(subject), alive=alive(subject)).indices.flatten().tolist())
    return found
