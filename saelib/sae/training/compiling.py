"""How numba compiles the loops of the sparse step, and where what it compiled is kept.

In: loops as plain functions. Out: the same ones, compiled at their first call with arguments of new types.
"""

import pickle
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from numba import njit

NOT_KEPT = (
    "no folder for compiled code can be written, so that the training step is compiled anew in every process: set "
    "NUMBA_CACHE_DIR to one that can"
)


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """numba's decorator for the loops of a step, which other threads may run beside.

    What is compiled is kept beside the module, or among the user's caches; where neither folder can be written, every
    process compiles anew, and a warning says so.
    """
    options |= {"nogil": True, "error_model": "numpy"}  # no GIL: threads train side by side

    def compile_loop(loop: Callable[..., Any]) -> Any:
        try:
            return njit(cache=True, **options)(loop)
        except RuntimeError as error:
            if "no locator available" not in str(error):
                raise
            warnings.warn(NOT_KEPT, stacklevel=1)  # of this line, so that it is said once for all loops
            return njit(**options)(loop)

    return compile_loop


def compile_now(loop: Any, arguments: Sequence[Any]) -> None:
    """Call a loop with arguments of the types that it is wanted for, so that it is there for them.

    Raises:
        RuntimeError: what numba kept on disk is damaged; the message names the folder.
    """
    try:
        loop(*arguments)
    except (EOFError, pickle.UnpicklingError) as error:
        folder = loop.stats.cache_path
        raise RuntimeError(f"compiled code in {folder} is damaged; delete the .nbi and .nbc files there") from error
