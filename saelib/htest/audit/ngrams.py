"""How far one gets by counting letters: what the dev items teach a learner that sees character n-grams alone.

In: items to learn from and items to be asked. Out: a score for each, larger where it speaks for A. The learner is ridge
regression (Hoerl and Kennard 1970), solved in one step, with nothing to tune and nothing by chance. It knows no word,
no sound and no rule, and has seen what a model sees as its 50 shots: a margin that tells no more than this score need
not come from a rule either.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from saelib.htest.items.item import Item
from saelib.htest.tasks import LETTERS

LONGEST = 3  # signs of an n-gram


def ngrams(text: str) -> Counter[str]:
    """One to three signs in a row, with a blank before and after the text."""
    marked = f" {text} "
    return Counter(
        marked[place : place + length] for length in range(1, LONGEST + 1) for place in range(len(marked) - length + 1)
    )


def learnt_scores(learnt_from: Sequence[Item], asked: Sequence[Item]) -> Float[np.ndarray, " asked"]:
    """How much the n-grams of each item that is asked speak for A, by the labels of others.

    Each n-gram counts by its root mean square, and the penalty is the mean squared length of an item that is learnt
    from: as much as one item more. N-grams that these do not hold say nothing.

    Raises:
        ValueError: there is nothing to learn from.
    """
    if not learnt_from:
        raise ValueError("no items to learn from; give the dev items of the task")
    counted = [ngrams(item.text) for item in learnt_from]
    names = {name: place for place, name in enumerate(sorted(set().union(*counted)))}
    known = _matrix(counted, names)
    scale = np.sqrt((known**2).mean(axis=0))
    known, middle = known / scale, (known / scale).mean(axis=0)
    wanted = np.array([1.0 if item.label == LETTERS[0] else -1.0 for item in learnt_from])
    products = (known - middle) @ (known - middle).T
    penalty = np.trace(products) / len(wanted) or 1.0  # items that are all alike have no length
    shares = np.linalg.solve(products + penalty * np.eye(len(wanted)), wanted)
    new = _matrix([ngrams(item.text) for item in asked], names) / scale
    return np.asarray((new - middle) @ ((known - middle).T @ shares))


def _matrix(counted: Sequence[Counter[str]], names: dict[str, int]) -> Float[np.ndarray, "items names"]:
    matrix = np.zeros((len(counted), len(names)))
    for row, counts in enumerate(counted):
        for name in counts.keys() & names.keys():
            matrix[row, names[name]] = counts[name]
    return matrix
