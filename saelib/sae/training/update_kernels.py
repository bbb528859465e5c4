"""What follows the gradient in the sparse step, compiled by numba: penalty, norm, Adam, unit rows.

In: weights, gradients and moments as float32 arrays. Out: the same arrays, changed. Adam is torch.optim.Adam's.
"""

import numpy as np

from saelib.sae.training.compiling import compiled

vectorised = compiled(fastmath={"reassoc", "contract"})  # sums may take another order; a NaN stays one

EPSILON = np.float32(1e-8)  # torch.optim.Adam's


@vectorised
def add_penalty(W_dec, sums, slope, W_dec_grad):  # type: ignore[no-untyped-def]
    """The gradient of the L1 penalty through the norms of decoder rows of unit norm."""
    for feature in range(len(sums)):
        if sums[feature] != 0:
            of_row = slope * sums[feature]
            row, gradient = W_dec[feature], W_dec_grad[feature]
            for d in range(len(row)):
                gradient[d] += of_row * row[d]


@vectorised
def sum_of_squares(rows):  # type: ignore[no-untyped-def]
    """Of a matrix: each row in float32, the rows in float64."""
    squares = np.float64(0)
    for row in rows:
        of_row = np.float32(0)
        for d in range(len(row)):
            of_row += row[d] * row[d]
        squares += of_row
    return squares


@vectorised
def adam(weights, gradients, first, second, clip, rate, inverse_root, beta_1, beta_2):  # type: ignore[no-untyped-def]
    """One step on flat arrays, gradients times `clip`; `first` is empty where beta_1 is 0.

    `rate` is the learning rate over 1 - beta_1^t, `inverse_root` is 1 / sqrt(1 - beta_2^t).
    """
    one = np.float32(1)
    for i in range(len(weights)):
        gradient = gradients[i] * clip
        second[i] = beta_2 * second[i] + (one - beta_2) * gradient * gradient
        if len(first):
            first[i] = beta_1 * first[i] + (one - beta_1) * gradient
            gradient = first[i]
        weights[i] -= rate * gradient / (np.sqrt(second[i]) * inverse_root + EPSILON)


@vectorised
def normalize_rows(rows):  # type: ignore[no-untyped-def]
    """Scale every row to unit norm."""
    for row in rows:
        squares = np.float32(0)
        for d in range(len(row)):
            squares += row[d] * row[d]
        scale = np.float32(1) / max(np.sqrt(squares), np.float32(1e-8))
        for d in range(len(row)):
            row[d] *= scale
