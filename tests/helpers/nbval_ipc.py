"""A pytest plugin (`-p tests.helpers.nbval_ipc`): nbval's kernels talk over Unix sockets, as those of the batch run do.

nbval always takes the first free TCP port, which pytest-socket forbids and a sandbox without loopback lacks.
"""

import nbval.kernel
import papermill  # noqa: F401 (it loads saelib.batch.engine, which cannot be the first of the two)

from saelib.batch.engine import IpcKernelManager

nbval.kernel.KernelManager = IpcKernelManager
