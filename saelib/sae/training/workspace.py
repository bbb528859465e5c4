"""Plain memory of the sparse step: one array for each parameter, lists of active entries, and a thread's scratch.

In: an SAE, or sizes. Out: arrays that the kernels read and fill.
"""

import threading
from typing import NamedTuple, Self

import numpy as np
import torch
from jaxtyping import Float, Float32, Int32
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder

LANES = 16  # numbers that the kernels take at once


class Arrays(NamedTuple):
    """One array for each parameter, a feature in a row: weights, gradients, or a moment of Adam's."""

    W_enc: Float32[np.ndarray, "d_sae d_model"]
    b_enc: Float32[np.ndarray, "1 d_sae"]
    W_dec: Float32[np.ndarray, "d_sae d_model"]
    b_dec: Float32[np.ndarray, "1 d_model"]

    @classmethod
    def of(cls, sae: SparseAutoencoder) -> Self:
        """The memory of an SAE's weights itself, once its encoder lies there feature by feature."""
        sae.W_enc.data = sae.W_enc.data.T.contiguous().T
        for weight in (sae.b_enc, sae.W_dec, sae.b_dec):  # a transposed or sliced one would be copied, and not trained
            weight.data = weight.data.contiguous()
        weights = sae.W_enc.T, sae.b_enc.unsqueeze(0), sae.W_dec, sae.b_dec.unsqueeze(0)
        return cls(*(weight.detach().numpy() for weight in weights))

    def zeros(self, empty: bool = False) -> Self:
        """Zeros of the same shapes, or arrays without rows."""
        return type(self)(*(np.zeros((0 if empty else len(array), array.shape[1]), np.float32) for array in self))

    def tensors(self) -> dict[str, Tensor]:
        """The same memory, named and shaped as an SAE's parameters."""
        W_enc, b_enc, W_dec, b_dec = map(torch.from_numpy, self)
        return {"W_enc": W_enc.T, "b_enc": b_enc[0], "W_dec": W_dec, "b_dec": b_dec[0]}


class Entries(NamedTuple):
    """Active entries by row: those of row i are where `starts[i] <= entry < starts[i + 1]`."""

    starts: Int32[np.ndarray, " rows+1"]
    columns: Int32[np.ndarray, " entries"]
    values: Float32[np.ndarray, " entries"]

    @classmethod
    def empty(cls, rows: int, most: int) -> Self:
        """Room for so many."""
        return cls(np.zeros(rows + 1, np.int32), np.empty(most, np.int32), np.empty(most, np.float32))


class Workspace:
    """What a step fills and the next one fills again, whichever SAE it is of."""

    _of_threads = threading.local()

    def __init__(self, d_model: int, d_sae: int, tile_tokens: int, most_entries: int) -> None:
        """Room for the gradients of an SAE, and for a tile of that many tokens and active entries."""
        self.before: Float[Tensor, "tile d_sae"] = torch.empty(tile_tokens, d_sae)
        self.error: Float32[np.ndarray, "tile d_model"] = np.empty((tile_tokens, d_model), np.float32)
        self.by_token = Entries.empty(tile_tokens, most_entries)
        self.by_feature = Entries.empty(d_sae, most_entries)
        shapes = (d_sae, d_model), (1, d_sae), (d_sae, d_model), (1, d_model)
        self.gradients = Arrays(*(np.empty(shape, np.float32) for shape in shapes))
        self.feature_sums: Float32[np.ndarray, " d_sae"] = np.empty(d_sae, np.float32)

    @classmethod
    def of_this_thread(cls, *sizes: int) -> "Workspace":
        """The calling thread's own, kept as long as the thread lives and asks for the same sizes."""
        kept: tuple[tuple[int, ...], Workspace] | None = getattr(cls._of_threads, "kept", None)
        if kept is None or kept[0] != sizes:
            kept = cls._of_threads.kept = (sizes, cls(*sizes))
        return kept[1]

    def clear(self) -> None:
        """Gradients and sums of nothing."""
        for array in (*self.gradients, self.feature_sums):
            array.fill(0)
