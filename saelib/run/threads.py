"""Work side by side on a CPU: several threads of Python, each with one thread of PyTorch.

In: a block of code. Out: a pool for it. Products that are cut among PyTorch's own threads wait for each other after
every operation, spinning; whole pieces of work on a thread each need not, and their results do not depend on how many
threads there are.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager


@contextmanager
def one_thread_each() -> Iterator[ThreadPoolExecutor]:
    """A pool of as many threads as PyTorch would use; within the block PyTorch takes one thread for an operation.

    Work that has not begun when the block ends by an error is dropped.
    """
    import torch

    threads = torch.get_num_threads()
    with ExitStack() as ends:  # all of them, last first, even where a second Ctrl-C cuts one short
        ends.callback(torch.set_num_threads, threads)
        torch.set_num_threads(1)
        pool = ThreadPoolExecutor(threads)
        ends.callback(pool.shutdown, cancel_futures=True)
        yield pool
