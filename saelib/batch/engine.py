"""papermill's engine `ipc`: kernels without TCP ports.

pyproject.toml names it as an entry point, so `papermill --engine ipc` finds it. papermill loads it while it is itself
being imported: whoever wants this module imports papermill first.
"""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.manager import AsyncKernelManager, KernelManager
from papermill.engines import NBClientEngine


class IpcKernelManager(KernelManager):
    """Talks to its kernel through Unix sockets in a folder of its own.

    Kernels that start at the same moment can pick the same TCP port (jupyter_client looks for a free one, lets it go,
    and the kernel binds it later); socket files in a private folder cannot collide, and need no network at all.
    """

    def __init__(self, **options: Any) -> None:
        self.socket_folder = TemporaryDirectory(prefix="saelib-kernel-")  # goes when the manager goes
        connection_file = str(Path(self.socket_folder.name) / "kernel.json")
        super().__init__(transport="ipc", connection_file=connection_file, **options)


class AsyncIpcKernelManager(IpcKernelManager, AsyncKernelManager):
    """The same for nbclient, which awaits its kernel manager."""


class IpcEngine(NBClientEngine):
    """papermill's own engine, over ipc: `papermill --engine ipc`."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, output_path: str | None = None, **options: Any) -> Any:
        """Execute `nb` in a kernel that is reached over ipc."""
        options.setdefault("kernel_manager_class", AsyncIpcKernelManager)
        return super().execute_notebook(nb, kernel_name, output_path, **options)
