"""Bring weights from a GPU to the host, and from there into a resume point, while the GPU goes on with its steps.

In: tensors, and how to save them. Out: the same files as by plain calls, which is what it comes down to on a CPU.
"""

import threading
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Save = Callable[[dict[str, Tensor]], object]


class PinnedCopies:
    """Copies of tensors on the host, in pinned buffers that are used again; the device goes on meanwhile."""

    def __init__(self) -> None:
        self._buffers: dict[str, Tensor] = {}

    def start(self, tensors: Mapping[str, Tensor]) -> "torch.cuda.Event | None":
        """Start to copy the values of now; they are whole when the event has come. Tensors on the host are copied too.

        Returns:
            None where nothing had to be waited for.
        """
        self._buffers = {name: self._buffer(name, tensor) for name, tensor in tensors.items()}
        event = None
        for name, tensor in tensors.items():
            self._buffers[name].copy_(tensor.detach(), non_blocking=True)
            if tensor.is_cuda and event is None:
                event = torch.cuda.Event()
        if event is not None:
            event.record()
        return event

    def _buffer(self, name: str, tensor: Tensor) -> Tensor:
        old = self._buffers.get(name)
        if old is not None and (old.shape, old.dtype) == (tensor.shape, tensor.dtype):
            return old
        return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)

    def tensors(self) -> dict[str, Tensor]:
        """The copies."""
        return dict(self._buffers)


class ResumeWriter:
    """Saves tensors of a CUDA device in a thread of its own, from copies of the moment; others at once, uncopied.

    Use as a context: leaving it waits for the last save.
    """

    def __init__(self) -> None:
        self._copies = PinnedCopies()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __enter__(self) -> "ResumeWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()

    def save(self, tensors: Mapping[str, Tensor], save: Save) -> None:
        """Have `save` write the values that the tensors have now; an earlier save is waited for first.

        Raises:
            Exception: whatever the earlier save raised.
        """
        self.wait()
        if not any(tensor.is_cuda for tensor in tensors.values()):
            save(dict(tensors))
            return
        copied = self._copies.start(tensors)
        self._thread = threading.Thread(target=self._write, args=(copied, save), name="resume point")
        self._thread.start()

    def _write(self, copied: "torch.cuda.Event | None", save: Save) -> None:
        try:
            if copied is not None:
                copied.synchronize()
            save(self._copies.tensors())
        except BaseException as error:  # noqa: BLE001 (raised in the thread that waits)
            self._error = error

    def wait(self) -> None:
        """Wait until the last save is on disk.

        Raises:
            Exception: whatever it raised.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error
