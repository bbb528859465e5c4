"""Numbers of circuits by other ways, for checks: means by loops, attribution by differences, the circuit of everything.

In: a table of attribution; or an interpretation with trained SAEs. Out: numbers that must agree with those of `tables`
and `study`.
"""

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from saelib.interpret.circuits.asking import Asker, Finder
from saelib.interpret.circuits.attribution import fact_scores
from saelib.interpret.circuits.circuit import Circuit
from saelib.interpret.circuits.faithfulness import evaluate_circuits
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Subject

STEP = 0.02  # of a feature's activation, up and down


class BothWays(NamedTuple):
    """One number, twice."""

    ours: float
    other: float


def attribution_by_loop(table: pd.DataFrame, arms: Collection[str], arm: str, tokens: int) -> float:
    """A point of `tables.attribution_curves`: the mean over prompts, then layers, then replicates, one after the other.

    Args:
        table: `attribution.parquet`.
        arms: that are compared, as the curves of one direction have them. Layers of a replicate at which one of them
            lacks a checkpoint, as its training was stopped, count for none.
        arm: one of them.
        tokens: after which.
    """
    scores: dict[tuple[int, int], dict[tuple[str, int], list[float]]] = defaultdict(lambda: defaultdict(list))
    columns = table[["seed", "act_layer", "arm", "tokens", "score"]]
    for seed, layer, name, count, score in columns.itertuples(index=False, name=None):
        if name in arms:
            scores[seed, layer][name, count].append(score)
    every = {curve for curves in scores.values() for curve in curves}
    by_seed: dict[int, list[float]] = defaultdict(list)
    for (seed, _), curves in scores.items():
        if curves.keys() == every:
            own = curves[arm, tokens]
            by_seed[seed].append(sum(own) / len(own))
    return sum(sum(means) / len(means) for means in by_seed.values()) / len(by_seed)


@torch.no_grad()
def attribution_by_differences(interpretation: Interpretation, subject: Subject) -> BothWays:
    """The score of the first prompt; the other way without any gradient of the model.

    The feature and position of the score are found by trying all that the gradient names among the strongest ones: for
    each of the ten largest products of activation and slope, the activation is moved a little up and down, the model
    runs on from there, and the logit difference is read.
    """
    examples, gradient = Asker(interpretation).read(subject.act_layer)
    model, sae = interpretation.model, interpretation.sae(subject)
    ours = fact_scores(model, sae, examples, gradient)[0]
    stream, end = examples.stream[:1], int(examples.last[0])
    features = sae.encode(stream[0, interpretation.skipped : end + 1])
    products = features * (gradient[0, interpretation.skipped : end + 1] @ sae.W_dec.T)
    found = []
    for place in products.flatten().topk(10).indices.tolist():
        position, feature = divmod(place, sae.d_sae)
        written = STEP * features[position, feature] * sae.W_dec[feature]
        differences = []
        for sign in (1, -1):
            moved = stream.clone()
            moved[0, position + interpretation.skipped] += sign * written
            logits = model.logits_from(moved, subject.act_layer, examples.tokens[:1])[0, end]
            differences.append(float(logits[examples.answer[0]] - logits[examples.other[0]]))
        found.append((differences[0] - differences[1]) / (2 * STEP))
    return BothWays(float(ours), max(found))


def whole_circuit_error(interpretation: Interpretation, task: str, subject: Subject) -> float:
    """Largest difference, over prompts, of the circuit of all features from the untouched model; in nats."""
    train, _, test = Finder(interpretation).read(task, subject.act_layer)
    sae = interpretation.sae(subject)
    full = Circuit.full(train.stream.shape[1] - train.skipped, sae.d_sae)
    found = evaluate_circuits(interpretation.model, sae, test, {"all": full}, None)["all"]
    return float(np.abs(found.circuit - found.model).max())
