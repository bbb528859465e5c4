"""papermill's kernels over Unix sockets."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import papermill as _papermill  # noqa: F401 (it loads saelib.batch.engine, which cannot be the first of the two)
import pytest

from saelib.batch import engine
from tests.helpers.batch_project import BODY, MAY_TAKE, printed_by, write_notebook


def papermill(notebook: Path, output: Path, **environment: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "papermill", "--engine", "ipc", "--start-timeout", "300", "--no-progress-bar"]
    return subprocess.Popen(
        [*command, str(notebook), str(output)], env=os.environ | environment, stderr=subprocess.PIPE, text=True
    )


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


def test_what_a_cell_prints_is_stored_without_the_keys_of_the_environment(tmp_path: Path) -> None:
    body = """\
import os, sys
key = os.environ["SOME_API_KEY"]
print("a server said", key)
print("a server said", key, file=sys.stderr)
raise ValueError(key)"""
    write_notebook(tmp_path / "a.ipynb", body)
    process = papermill(tmp_path / "a.ipynb", tmp_path / "out.ipynb", SOME_API_KEY="sk-0123456789")
    process.communicate()
    assert process.returncode != 0
    stored = (tmp_path / "out.ipynb").read_text()
    assert "sk-0123456789" not in stored
    assert stored.count("a server said [key]") == 2 and '"evalue": "[key]"' in stored


@pytest.fixture
def long_folder(tmp_path: Path) -> Path:
    """Whose sockets would have paths longer than a Unix socket's may be."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    return folder


def test_a_folder_for_temporary_files_may_have_a_long_path(tmp_path: Path, long_folder: Path) -> None:
    write_notebook(tmp_path / "a.ipynb")
    process = papermill(tmp_path / "a.ipynb", tmp_path / "out.ipynb", TMPDIR=str(long_folder))
    _, errors = process.communicate()
    assert process.returncode == 0, errors
    assert printed_by(tmp_path / "out.ipynb") == "'tiny' 'tiny' 0 ipc\n"
    assert not list(long_folder.iterdir())


def transport(monkeypatch: pytest.MonkeyPatch, *places: Path) -> str:
    monkeypatch.setattr("tempfile.tempdir", str(places[0]))
    monkeypatch.setattr(engine, "SHORT_FOLDERS", [str(place) for place in places[1:]])
    manager = engine.IpcKernelManager()
    assert Path(manager.connection_file).parent.is_dir()
    manager.socket_folder.cleanup()
    return str(manager.transport)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """Where sockets have room, however deep pytest's own folders lie."""
    with TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def test_where_no_folder_can_hold_sockets_it_is_tcp(
    monkeypatch: pytest.MonkeyPatch, long_folder: Path, short_folder: Path, tmp_path: Path
) -> None:
    assert transport(monkeypatch, short_folder) == "ipc"
    assert transport(monkeypatch, long_folder, tmp_path / "not there", Path("/tmp")) == "ipc"
    assert transport(monkeypatch, long_folder, tmp_path / "not there") == "tcp"
    monkeypatch.delattr(socket, "AF_UNIX")  # as on Windows
    assert transport(monkeypatch, short_folder) == "tcp"
    assert not list(long_folder.iterdir())
