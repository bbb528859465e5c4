"""The exact effect of single features: each alone set to its patched value, and the model run again.

In: an SAE, pairs of prompts at its layer, and some features at some positions. Out: their effects without the first
order's error, and how well attribution agrees with them (activation patching; Kramár et al. 2024 name the ways in
which attribution fails).
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.interpret.circuits.examples import BATCH_ROWS, Examples, by_batches, difference_at
from saelib.interpret.circuits.splice import split
from saelib.sae.autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


class Agreement(NamedTuple):
    """Of two lists of effects."""

    spearman: float
    """Rank correlation; NaN where either list is constant."""
    relative_error: float
    """Sum of absolute differences / sum of absolute exact effects."""
    places: int
    """How many effects."""


def compared_places(effects: Float[Tensor, "positions d_sae"], count: int, seed: int) -> Int[Tensor, "places 2"]:
    """Positions and features to compare at: half of them the largest effects of either sign, half drawn at random.

    Effects of 0 are left out: such a feature is the same in both prompts, and exact patching would find 0 too. Fewer
    than `count` where no more are left.
    """
    sizes = effects.abs().flatten().cpu()
    order = sizes.argsort(descending=True, stable=True)[: int(sizes.count_nonzero())]
    largest, rest = order[: count - count // 2], order[count - count // 2 :].numpy()
    drawn = np.random.default_rng(seed).permutation(rest)[: count // 2]
    chosen = torch.cat([largest, torch.from_numpy(drawn)])
    return torch.stack([chosen // effects.shape[1], chosen % effects.shape[1]], dim=1)


def exact_effects(
    model: "LanguageModel",
    sae: SparseAutoencoder,
    pairs: Examples,
    places: Int[Tensor, "places 2"],
    batch_rows: int = BATCH_ROWS,
) -> Float[np.ndarray, " places"]:
    """What patching one feature alone does to logit(patch answer) - logit(clean answer), mean over the pairs.

    A prompt in which the feature is as in its patched one takes no pass: there it does nothing.

    Args:
        places: position, without the skipped ones, and feature.

    Raises:
        ValueError: the prompts are not in pairs.
    """
    places = places.to(model.device)
    patched = torch.cat(by_batches(model, lambda rows: _values(sae, pairs.rows(rows), places), len(pairs), batch_rows))
    clean, new = patched.unbind(-1)
    prompts, which = (clean != new).nonzero(as_tuple=True)
    untouched = torch.cat(by_batches(model, lambda rows: _untouched(model, pairs.rows(rows)), len(pairs), batch_rows))

    @torch.no_grad()
    def of(some: slice) -> Tensor:
        prompt, (position, feature) = prompts[some], places[which[some]].unbind(1)
        part = pairs.rows(prompt)
        rows = torch.arange(len(prompt), device=model.device)
        there = rows, position + pairs.skipped
        features = sae.encode(part.stream[there])
        before = sae.decode(features)
        features[rows, feature] = new[prompt, which[some]]
        stream = part.stream.clone()
        stream[there] += sae.decode(features) - before
        return untouched[prompt] - difference_at(model, part, stream)

    sums = torch.zeros(len(places), device=model.device)
    if len(prompts):
        sums.index_add_(0, which, torch.cat(by_batches(model, of, len(prompts), batch_rows)))
    return (sums / len(pairs)).cpu().numpy()


def agreement(attributed: Float[np.ndarray, " places"], exact: Float[np.ndarray, " places"]) -> Agreement:
    """How well estimates agree with exact effects."""
    from scipy import stats

    constant = min(np.ptp(attributed), np.ptp(exact)) == 0 if len(exact) else True
    spearman = float("nan") if constant else float(stats.spearmanr(attributed, exact).statistic)
    size = np.abs(exact).sum()
    error = float(np.abs(attributed - exact).sum() / size) if size else float("nan")
    return Agreement(spearman, error, len(exact))


def _values(
    sae: SparseAutoencoder, part: Examples, places: Int[Tensor, "places 2"]
) -> Float[Tensor, "prompts places 2"]:
    """Each place's feature in the clean and in the patched prompts."""
    both = [split(sae, stream, part.skipped).features for stream in (part.stream, part.patched())]
    return torch.stack([features[:, places[:, 0], places[:, 1]] for features in both], dim=-1)


@torch.no_grad()
def _untouched(model: "LanguageModel", part: Examples) -> Float[Tensor, " prompts"]:
    """The same as `part.difference`, by the same sums as after a patch: their rounding cancels."""
    return difference_at(model, part, part.stream)
