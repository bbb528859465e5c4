r"""How much of a task a circuit does alone, and how much is left without it.

In: a `Circuit`, whatever made it, and prompts that it was not chosen on. Out: its score, with the logit difference of
every prompt, so that intervals need no model. As the layer-transfer paper scores circuits: one layer at a time, only
that layer's SAE spliced in, error term added back.

.. math::
    \text{score}(C) = \frac{m(C) - m(\emptyset)}{m(M) - m(\emptyset)}

m is the mean of logit(clean answer) - logit(patch answer). What is not in C stands at its ablated value: its mean at
that position over other clean prompts, or what it is in the patched prompt. m(∅): all features ablated; m(M): the
model itself. Faithfulness is the score of a circuit, near 1 where it is enough; completeness that of its complement,
near 0 where nothing outside it helps. Scores above 1 and below 0 are no errors: the largest *signed* effects leave out
what opposes the answer.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from saelib.interpret.circuits.attribution import Attribution, attribute
from saelib.interpret.circuits.circuit import Circuit
from saelib.interpret.circuits.examples import BATCH_ROWS, Examples, by_batches, difference_at
from saelib.interpret.circuits.splice import joined, split
from saelib.sae.autoencoder import SparseAutoencoder

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

LEAST_EFFECT = 1e-5  # of m(M) - m(0), in nats: float32 logits are no surer
Measure = Literal["faithfulness", "completeness"]
Choice = Literal["attribution", "random", "top_activation"]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, eq=False)
class Evaluated:
    """logit(clean answer) - logit(patch answer) of each prompt, three times, and what follows."""

    circuit: Float[np.ndarray, " prompts"]
    """With the circuit's features alone."""
    empty: Float[np.ndarray, " prompts"]
    """With all features ablated."""
    model: Float[np.ndarray, " prompts"]
    """Of the untouched model."""

    @cached_property
    def reason(self) -> str:
        """Why there is no score; empty where there is one."""
        total, error = self._total, _standard_error(self.model - self.empty)
        if abs(total) > max(2 * error, LEAST_EFFECT):
            return ""
        moved = f"ablating every feature moves the logit difference by {total:.2g} ± {error:.2g}"
        return f"{moved}: nothing, or too little that is sure, to share out"

    @property
    def score(self) -> float:
        """(m(C) - m(0)) / (m(M) - m(0)); NaN where `reason` says why."""
        return float("nan") if self.reason else float((self.circuit - self.empty).mean() / self._total)

    @property
    def standard_error(self) -> float:
        """Of `score`, over prompts: that of a ratio of two means of the same prompts, to the first order."""
        if self.reason:
            return float("nan")
        rest = self.circuit - self.empty - self.score * (self.model - self.empty)
        return _standard_error(rest) / abs(self._total)

    @property
    def _total(self) -> float:
        return float((self.model - self.empty).mean())


def _standard_error(values: Float[np.ndarray, " prompts"]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0


class CurvePoint(NamedTuple):
    """A circuit of one size, and how it does."""

    measure: Measure
    choice: Choice
    """By what its features were chosen."""
    share: float
    """Of the features, as asked for."""
    k: int
    """Features at each position."""
    evaluated: Evaluated


def evaluate_circuits(
    model: "LanguageModel",
    sae: SparseAutoencoder,
    test: Examples,
    circuits: Mapping[Key, Circuit],
    means: Float[Tensor, "positions d_sae"] | None,
    batch_rows: int = BATCH_ROWS,
) -> dict[Key, Evaluated]:
    """Each circuit on the same prompts; features are read once for all of them.

    Args:
        means: what ablated features are set to; None: to their values in the patched prompt.

    Raises:
        ValueError: a circuit is not of these positions and features, or there are no patched prompts.
    """
    shape = (test.stream.shape[1] - test.skipped, sae.d_sae)
    for name, circuit in circuits.items():
        if circuit.kept.shape != shape:
            found = tuple(circuit.kept.shape)
            raise ValueError(f"circuit {name}: {found} positions and features, but these prompts and SAE have {shape}")
    asked = [Circuit.empty(*shape), *circuits.values()]
    masks = [circuit.kept.to(model.device) for circuit in asked]

    @torch.no_grad()
    def of(rows: slice) -> Tensor:
        part = test.rows(rows)
        clean = split(sae, part.stream, part.skipped)
        ablated = split(sae, part.patched(), part.skipped).features if means is None else means
        found = []
        for circuit, kept in zip(asked, masks, strict=True):
            features = torch.where(kept, clean.features, ablated)
            stream = joined(sae, part.stream, features, clean.error if circuit.error else None)
            found.append(difference_at(model, part, stream))
        return torch.stack(found)

    differences = torch.cat(by_batches(model, of, len(test), batch_rows), dim=1).double().cpu().numpy()
    untouched = test.difference.double().cpu().numpy()
    empty, *others = differences
    return {key: Evaluated(values, empty, untouched) for key, values in zip(circuits, others, strict=True)}


def circuit_curves(
    model: "LanguageModel",
    sae: SparseAutoencoder,
    train: Examples,
    gradient: Float[Tensor, "prompts context d_model"],
    test: Examples,
    *,
    shares: Sequence[float],
    completeness_shares: Sequence[float],
    ablation: Literal["mean", "patch"] = "mean",
    signed: bool = True,
    summed: bool = False,
    steps: int = 1,
    baselines: Sequence[Literal["random", "top_activation"]] = ("random", "top_activation"),
    seed: int = 0,
    batch_rows: int = BATCH_ROWS,
) -> list[CurvePoint]:
    """Faithfulness and completeness of an SAE's circuits over their size, with baselines.

    Args:
        train: pairs that effects and means come from.
        gradient: of `train`, by `stream_gradients`.
        test: other pairs, for the scores.
        shares: of the features, kept at each position for faithfulness.
        completeness_shares: taken away for completeness.
        signed: whether the largest signed effects count, as in the paper, or the largest of either sign.
        summed: whether a circuit has the same features at every position.
        steps: of integrated gradients.
        seed: of the random circuits.
    """
    found = attribute(model, sae, train, gradient, steps, batch_rows)
    choices: tuple[Choice, ...] = ("attribution", *baselines)
    asked: dict[tuple[Measure, Choice, float, int], Circuit] = {}
    for choice in choices:
        for share in shares:
            k = features_of_share(share, sae.d_sae)
            asked["faithfulness", choice, share, k] = _chosen(found, choice, k, signed, summed, seed)
        for share in completeness_shares:
            k = features_of_share(share, sae.d_sae)
            asked["completeness", choice, share, k] = _chosen(found, choice, k, signed, summed, seed).complement()
    means = found.means if ablation == "mean" else None
    evaluated = evaluate_circuits(model, sae, test, asked, means, batch_rows)
    return [CurvePoint(*key, one) for key, one in evaluated.items()]


def features_of_share(share: float, d_sae: int) -> int:
    """The K nearest to a share of the features, at least 1."""
    return max(1, round(share * d_sae))


def _chosen(found: Attribution, choice: Choice, k: int, signed: bool, summed: bool, seed: int) -> Circuit:
    """The circuit of `k` features a position by one way to choose; of one way a larger one holds the smaller ones."""
    if choice == "random":
        return Circuit.random(found.active, k, seed, summed)
    if choice == "top_activation":
        return Circuit.top(found.means, k, summed=summed)
    return Circuit.top(found.effects, k, absolute=not signed, summed=summed)
