"""papermill's kernels over Unix sockets."""

import subprocess
import sys
from pathlib import Path

from tests.helpers.batch_project import BODY, MAY_TAKE, printed_by, write_notebook


def papermill(notebook: Path, output: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "papermill", "--engine", "ipc", "--start-timeout", "300", "--no-progress-bar"]
    return subprocess.Popen([*command, str(notebook), str(output)], stderr=subprocess.PIPE, text=True)


def test_kernels_run_side_by_side(tmp_path: Path) -> None:
    """Each waits until the other has started, so that one after the other would never end."""
    processes = []
    for mine, other in (("a", "b"), ("b", "a")):
        body = f"""\
import time
from pathlib import Path
Path({str(tmp_path / mine)!r}).touch()
deadline = time.monotonic() + {MAY_TAKE}
while not Path({str(tmp_path / other)!r}).exists() and time.monotonic() < deadline:
    time.sleep(0.05)
assert Path({str(tmp_path / other)!r}).exists()
{BODY}"""
        write_notebook(tmp_path / f"{mine}.ipynb", body)
        processes.append(papermill(tmp_path / f"{mine}.ipynb", tmp_path / f"{mine}.out.ipynb"))
    for process in processes:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    assert {printed_by(tmp_path / f"{name}.out.ipynb") for name in "ab"} == {"'tiny' 'tiny' 0 ipc\n"}
