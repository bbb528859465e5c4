"""papermill's engine `ipc`: kernels without TCP ports, wherever the machine allows it, and no key in a notebook.

pyproject.toml names it as an entry point, so `papermill --engine ipc` finds it. papermill loads it while it is itself
being imported: whoever wants this module imports papermill first.
"""

import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from jupyter_client.manager import AsyncKernelManager, KernelManager
from papermill.engines import NBClientEngine

from saelib.run.secrets import without_keys

SHORT_FOLDERS = ("/tmp", "/dev/shm")  # tried after $TMPDIR; not where files are expected, only sockets
SOCKET = "kernel-ipc-1"  # as jupyter_client names the sockets of kernel.json; a kernel has five of them


class IpcKernelManager(KernelManager):
    """Talks to its kernel through Unix sockets in a folder of its own.

    Kernels that start at the same moment can pick the same TCP port (jupyter_client looks for a free one, lets it go,
    and the kernel binds it later); socket files in a private folder cannot collide, and need no network at all. Where
    no folder for temporary files can hold them (the path of a socket has 107 bytes at most; some file systems, and
    Windows, have none), it is TCP on this machine all the same.
    """

    def __init__(self, **options: Any) -> None:
        self.socket_folder, transport = _connection_folder()  # goes when the manager goes
        connection_file = str(Path(self.socket_folder.name) / "kernel.json")
        super().__init__(transport=transport, connection_file=connection_file, **options)


def _connection_folder() -> tuple[TemporaryDirectory[str], str]:
    """A private folder, and how a kernel can be reached whose connection file lies there."""
    for place in (None, *SHORT_FOLDERS):
        try:
            folder = TemporaryDirectory(prefix="saelib-kernel-", dir=place)
        except OSError:  # no such folder, or it may not be written
            continue
        if _holds_sockets(folder.name):
            return folder, "ipc"
        folder.cleanup()
    return TemporaryDirectory(prefix="saelib-kernel-"), "tcp"


def _holds_sockets(folder: str) -> bool:
    """Whether a Unix socket can be made in a folder: tried out, since no rule covers every system."""
    path = Path(folder, SOCKET)
    try:
        with socket.socket(socket.AF_UNIX) as trial:
            trial.bind(str(path))
    except (OSError, AttributeError):  # the path is too long, the file system has no sockets, or Python knows none
        return False
    path.unlink()
    return True


class AsyncIpcKernelManager(IpcKernelManager, AsyncKernelManager):
    """The same for nbclient, which awaits its kernel manager."""


class IpcEngine(NBClientEngine):
    """papermill's own engine, over ipc: `papermill --engine ipc`.

    What a cell prints reaches the notebook without the keys of the environment: a server may repeat one in an error.
    """

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any) -> Any:
        """Execute `nb` in a kernel that is reached over ipc."""
        options.setdefault("kernel_manager_class", AsyncIpcKernelManager)
        # Every kernel is interrupted before it is told to go, and some would report that as an error on the console.
        options.setdefault("extra_arguments", ["--IPKernelApp.log_level=CRITICAL"])
        return super().execute_notebook(nb, kernel_name, output_path, **options)

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        """Execute the notebook that `nb_man` writes to disk after every cell."""
        save = nb_man.save

        def save_without_keys(**changes: Any) -> None:
            for cell in nb_man.nb.cells:
                if "outputs" in cell:
                    cell.outputs = nbformat.from_dict(without_keys(cell.outputs))
            save(**changes)

        nb_man.save = save_without_keys
        return super().execute_managed_notebook(nb_man, kernel_name, **options)
