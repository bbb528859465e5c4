"""The most bytes that tensors made inside a block hold at the same time, as PyTorch's operations see them."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveMemory(TorchDispatchMode):
    """Counts the storage of every tensor that an operation returns until its last view is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._views: dict[int, int] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {leaf.untyped_storage().data_ptr() for leaf in tree_leaves((args, kwargs)) if torch.is_tensor(leaf)}
        result = function(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if torch.is_tensor(leaf) and leaf.untyped_storage().nbytes():
                self._see(leaf, given)
        return result

    def _see(self, tensor: torch.Tensor, given: set[int]) -> None:
        place, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
        if place not in self._views:
            if place in given:
                return  # was there before the block
            self._views[place] = 0
            self.now += size
            self.most = max(self.most, self.now)
        self._views[place] += 1
        weakref.finalize(tensor, self._forget, place, size)

    def _forget(self, place: int, size: int) -> None:
        self._views[place] -= 1
        if not self._views[place]:
            del self._views[place]
            self.now -= size


@contextmanager
def live_memory() -> Iterator[LiveMemory]:
    """`most` is the answer when the block has ended."""
    with torch.no_grad(), LiveMemory() as counted:
        yield counted
