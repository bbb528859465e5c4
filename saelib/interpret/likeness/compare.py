"""What is told of two decoders, as rows of `likeness.parquet`: measure, value, and of which features it is.

In: decoders, and which of their features fire. Out: rows with `features` ("all", or "alive": those that fire),
`measure`, `value`, `n`. The row of a feature that never fires is what its start was: two SAEs of one start are alike in
their dead features, whatever they have learned.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saelib.interpret.likeness.cosines import best_matches, by_index, likeness
from saelib.interpret.likeness.moved import LEVELS, moved, null_cosines

Line = dict[str, Any]


class Decoder(NamedTuple):
    """The decoder of an SAE, and which of its features fire in the layer that is judged."""

    rows: Float[Tensor, "d_sae d_model"]
    alive: Bool[Tensor, " d_sae"]


def against(now: Decoder, reference: Decoder) -> list[Line]:
    """MMCS, one to one, and how many rows are anybody's nearest: of all features, and of those alive in either.

    All three are means over the rows of the first; where fewer fire in the second, some of them are left single.
    """
    everything = likeness(now.rows, reference.rows)
    living = likeness(now.rows, reference.rows, now.alive, reference.alive)
    return [
        *_lines("all", everything._asdict(), len(now.rows)),
        *_lines("alive", living._asdict(), int(now.alive.sum())),
    ]


def against_source(
    now: Decoder, source: Float[Tensor, "d_sae d_model"], spread: Float[Tensor, "d_model d_model"], seed: int
) -> list[Line]:
    """How far the features have moved from those of the same index.

    Args:
        now: the transfer.
        source: what it came from.
        spread: covariance of the stream that the transfer reads.
        seed: of the null.
    """
    cosines = by_index(now.rows, source)
    is_own = best_matches(now.rows, source).places == torch.arange(len(source), device=source.device)
    null = null_cosines(now.rows, source, spread, seed)
    told = {"null_other": null.other, "null_directions": null.directions}
    lines = _lines("all", told, len(cosines))
    for features, chosen in (("all", torch.ones_like(now.alive)), ("alive", now.alive)):
        lines += _lines(features, _by_index(cosines[chosen], is_own[chosen], null.threshold), int(chosen.sum()))
    return lines


def _by_index(cosines: Float[Tensor, " features"], is_own: Bool[Tensor, " features"], threshold: float) -> Line:
    cosines = cosines.double()
    return {
        "by_index": float(cosines.mean()),
        "by_index_median": float(cosines.median()) if len(cosines) else float("nan"),
        **{f"above_{level:g}": float((cosines >= level).double().mean()) for level in LEVELS},
        **moved(cosines, threshold)._asdict(),
        "own_is_nearest": float(is_own.double().mean()),
    }


def _lines(features: str, values: Mapping[str, float], n: int) -> list[Line]:
    return [{"features": features, "measure": name, "value": value, "n": n} for name, value in values.items()]
