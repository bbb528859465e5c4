"""Two processes at work on one notebook or one run: one works, the other says why it does not; nothing is half made."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from saelib.batch.execute import execute as execute_here
from saelib.batch.failures import failure_report
from saelib.htest.__main__ import main as htest
from saelib.run.files import PROJECT
from saelib.run.lock import hold
from tests.helpers.batch_project import environment_of_a_test, printed_by, wait_for, write_notebook
from tests.helpers.hold_run import held_by_another

NAME = "13_convergence"


@pytest.fixture
def notebook(tmp_path: Path, runs: Path) -> Iterator[Path]:
    """Says in a file that it has started, and goes on when another file is there."""
    path = tmp_path / "notebooks" / f"{NAME}.ipynb"
    path.parent.mkdir()
    write_notebook(path, f"""\
import os, time
from pathlib import Path
with Path({str(tmp_path / "started")!r}).open("a") as stream:
    print(os.getpid(), file=stream)
while not Path({str(tmp_path / "go")!r}).exists():
    time.sleep(0.05)
print("whole")""")  # fmt: skip
    yield path
    (tmp_path / "go").touch()


def execute(notebook: Path, run: str, output: Path) -> "subprocess.Popen[str]":
    output.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "saelib.batch.execute", str(notebook), str(output)],
        env=environment_of_a_test() | {"PRESET": "smoke", "RUN": run, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def test_one_notebook_is_executed_once_at_a_time(notebook: Path, tmp_path: Path, runs: Path) -> None:
    output = runs / "twice" / "notebooks" / f"{NAME}.ipynb"
    first = execute(notebook, "twice", output)
    wait_for((tmp_path / "started").exists)
    second = execute(notebook, "twice", output)
    said, _ = second.communicate()
    assert second.returncode == 1
    assert f"{NAME}: run 'twice' is in use by process {first.pid} on " in said
    assert "-m saelib.batch.execute" in said and "Traceback" not in said
    assert not output.exists()
    (tmp_path / "go").touch()
    said, _ = first.communicate()
    assert first.returncode == 0, said
    assert printed_by(output) == "whole\n"
    assert [path.name for path in output.parent.glob("*.ipynb")] == [output.name]
    assert len((tmp_path / "started").read_text().split()) == 1


def test_the_run_is_held_until_the_notebook_has_its_name(notebook: Path, tmp_path: Path, runs: Path) -> None:
    """papermill writes once more after the kernel is done: who came in between found a notebook without outputs."""
    (tmp_path / "go").touch()
    output = runs / "held" / "notebooks" / f"{NAME}.ipynb"
    process = execute(notebook, "held", output)
    note = runs / ".locks" / "held.json"
    wait_for(note.exists)
    seen = []
    while note.exists():
        seen.append(output.exists())
    ended = nbformat.read(output, as_version=4).metadata.papermill.end_time  # while the process is still there
    assert process.wait() == 0
    assert seen and ended


def test_a_notebook_that_outlives_its_batch_run_is_not_run_beside_itself(
    notebook: Path, tmp_path: Path, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, output = runs / "orphan", runs / "orphan" / "notebooks" / f"{NAME}.ipynb"
    with held_by_another(folder) as batch:
        monkeypatch.setenv("SAELIB_HELD_RUN", batch.told)
        first = execute(notebook, "orphan", output)
        wait_for((tmp_path / "started").exists)
        batch.kill()
        monkeypatch.delenv("SAELIB_HELD_RUN")
        second = execute(notebook, "orphan", output)
        said, _ = second.communicate()
        assert second.returncode == 1
        assert f"is in use by process {first.pid} on " in said
        (tmp_path / "go").touch()
        assert first.wait() == 0
    assert printed_by(output) == "whole\n"
    with hold(folder):
        pass


def test_a_killed_notebook_leaves_nothing_under_its_name_and_is_run_again(
    notebook: Path, tmp_path: Path, runs: Path
) -> None:
    output = runs / "killed" / "notebooks" / f"{NAME}.ipynb"
    output.parent.mkdir(parents=True)
    output.write_text("of an earlier run")
    first = execute(notebook, "killed", output)
    wait_for((tmp_path / "started").exists)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert output.read_text() == "of an earlier run"
    (tmp_path / "go").touch()
    second = execute(notebook, "killed", output)  # at once: it waits for the kernel of the first to go
    said, _ = second.communicate()
    assert second.returncode == 0, said
    assert printed_by(output) == "whole\n"


def test_make_htest_says_who_has_the_run(runs: Path) -> None:
    with held_by_another(runs / "asked") as other, pytest.raises(SystemExit) as ended:
        htest(["--models", "embedded", "--preset", "smoke", "--run", "asked"])
    assert str(ended.value).startswith(f"run 'asked' is in use by process {other.pid} on ")


def test_a_disk_that_is_full_leaves_the_finished_notebook_as_it_was(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """papermill opens its file anew for every state: the partial notebook is cut, never the finished one."""
    output = tmp_path / "executed" / f"{NAME}.ipynb"
    output.parent.mkdir()
    output.write_text("whole")
    (tmp_path / "go").touch()
    written = []

    def full(_: object, content: str, path: str) -> None:
        written.append(path)
        Path(path).write_text(content[:100], encoding="utf-8")
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr("papermill.iorw.LocalHandler.write", full)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OSError, match="No space left"):
        execute_here(notebook, output, {})
    assert output.read_text() == "whole"
    assert "was stopped while it was being written" in failure_report(output.parent, {}, "make reproduce")
