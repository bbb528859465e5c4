"""Which features are looked at where all are too many.

In: which features of an SAE are alive. Out: some of them, drawn by a seed; a larger sample holds the smaller one.
"""

import numpy as np
from jaxtyping import Bool, Int64


def sampled_features(alive: Bool[np.ndarray, " d_sae"], count: int | None, seed: int) -> Int64[np.ndarray, " sample"]:
    """Indices of living features, ascending; every one has the same chance.

    Args:
        alive: of all features of the SAE.
        count: how many; None, or more than are alive: all that are.
        seed: the same seed gives the same sample, and all its smaller ones are inside.

    Raises:
        ValueError: a negative count.
    """
    if count is not None and count < 0:
        raise ValueError(f"features={count}: take None for all, or how many features")
    order = np.random.default_rng(seed).permutation(len(alive))  # of all, so that one death moves no other feature
    return np.sort(order[alive[order]][:count])
