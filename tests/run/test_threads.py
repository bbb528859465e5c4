"""Work side by side: one thread of PyTorch each, and its setting back as it was, however the block ends."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from saelib.run.threads import one_thread_each


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_there_are_as_many_threads_as_pytorch_had_with_one_of_its_own_each() -> None:
    together = threading.Barrier(3)

    def torch_threads(_: int) -> int:
        together.wait(timeout=60)  # passes when three of them are at work at once
        return torch.get_num_threads()

    with one_thread_each() as pool:
        assert list(pool.map(torch_threads, range(3))) == [1, 1, 1]
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_after_an_error_work_that_has_not_begun_is_dropped() -> None:
    begun, stop = threading.Semaphore(0), threading.Event()

    def work() -> None:
        begun.release()
        stop.wait(timeout=60)

    with pytest.raises(OSError, match="disk full"), one_thread_each() as pool:
        futures = [pool.submit(work) for _ in range(5)]
        for _ in range(3):
            begun.acquire()
        threading.Timer(0.1, stop.set).start()
        raise OSError("disk full")
    assert [future.cancelled() for future in futures] == [False, False, False, True, True]
    assert torch.get_num_threads() == 3


def test_a_second_interruption_while_it_waits_leaves_the_setting_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(pool: ThreadPoolExecutor, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", interrupted)
    with pytest.raises(KeyboardInterrupt), one_thread_each():
        pass
    assert torch.get_num_threads() == 3
