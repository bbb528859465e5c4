"""Work in smaller pieces where a device's memory runs out.

In: a piece of work that can be cut, and how large its pieces are wanted. Out: its result, and how large they were.
"""

from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def halving(rows: int, function: Callable[[int], Result]) -> tuple[Result, int]:
    """What `function(rows)` gives, with half as many rows as often as the device runs out of memory.

    Rows only say how work is cut, so that the results are the same within rounding.

    Returns:
        The result, and the rows that it took, for the next call.

    Raises:
        torch.OutOfMemoryError: one row is too much.
    """
    import torch

    while True:
        try:
            return function(rows), rows
        except torch.OutOfMemoryError:
            if rows <= 1:
                raise
        rows //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # after the handler: the exception holds what the failed call had made
