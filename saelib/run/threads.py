"""Work side by side on a CPU: several threads of Python, each with one thread of PyTorch.

In: a block of code. Out: a pool for it. Products that are cut among PyTorch's own threads wait for each other after
every operation, spinning; whole pieces of work on a thread each need not, and their results do not depend on how many
threads there are.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@contextmanager
def one_thread_each(device: "torch.device | None" = None) -> Iterator[ThreadPoolExecutor]:
    """A pool of as many threads as PyTorch would use; within the block PyTorch takes one thread for an operation.

    On another device than the CPU, the default, it is one thread: work queues up there whoever sends it, and PyTorch
    loads its solvers for CUDA at their first use, in which a second thread fails ("lazy wrapper should be called at
    most once").

    Work that has not begun when the block ends by an error is dropped.
    """
    import torch

    threads = torch.get_num_threads()
    workers = threads if device is None or device.type == "cpu" else 1
    with ExitStack() as ends:  # all of them, last first, even where a second Ctrl-C cuts one short
        ends.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)
        pool = ThreadPoolExecutor(workers)
        ends.callback(pool.shutdown, cancel_futures=True)
        yield pool
