"""The batch run, with small notebooks in place of the real ones: what runs again, failures, interruptions, kernels."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from saelib.batch.digests import cells_digest, failure_report, library_digest, make_command
from tests.helpers.batch_project import NOTEBOOKS, BatchProject

PARAMETERS = 'preset = "tiny"\nrun = "tiny"\nseed = 0'
BODY = """\
import json
from ipykernel.connect import get_connection_info
print(repr(preset), repr(run), repr(seed), json.loads(get_connection_info())["transport"])"""
SETTINGS = ("PRESET=smoke", "RUN=2024", "SEED=3", "CORES=2")
MAY_TAKE = 300  # seconds; a busy machine starts a kernel slowly


def write_notebook(path: Path, body: str = BODY) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    parameters = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# A notebook"), parameters, new_code_cell(body)]
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)


def printed_by(notebook: Path) -> str:
    cells = nbformat.read(notebook, as_version=4).cells
    return "".join(output.get("text", "") for cell in cells for output in cell.get("outputs", []))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + MAY_TAKE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def planned(project: BatchProject, *settings: str) -> set[str]:
    """Names of the rules that the next run would run, from Snakemake's table of jobs."""
    code, printed = project.run(*settings, snakemake="--dry-run")
    assert code == 0, printed
    return set(re.findall(r"^(\w+) +1$", printed, re.MULTILINE))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> BatchProject:
    """A project whose batch run has ended well."""
    project = BatchProject(tmp_path_factory.mktemp("project"))
    for name in NOTEBOOKS:
        write_notebook(project.folder / "notebooks" / f"{name}.ipynb")
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert "runs" in printed and "2024/report.html" in printed
    return project


def test_every_notebook_gets_its_parameters_and_an_ipc_kernel(project: BatchProject, runs: Path) -> None:
    for name in NOTEBOOKS:
        assert printed_by(runs / "2024" / "notebooks" / f"{name}.ipynb") == "'smoke' '2024' 3 ipc\n"
    assert not list((runs / "2024" / "notebooks").glob("*.partial.ipynb"))
    assert "<html" in (runs / "2024" / "report.html").read_text()


def test_nothing_runs_again_when_only_dates_and_outputs_changed(project: BatchProject) -> None:
    path = project.folder / "notebooks" / "02_scratch_saes.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].outputs = [new_output("stream", text="as after `make notebooks`")]
    nbformat.write(notebook, path)
    code, printed = project.run(*SETTINGS)
    assert code == 0
    assert "Nothing to be done" in printed


def test_a_changed_cell_runs_its_notebook_and_those_that_build_on_it(project: BatchProject) -> None:
    path = project.folder / "notebooks" / "03_layer_transfer.ipynb"
    before = path.read_text()
    write_notebook(path, BODY + "\nprint(1)")
    rules = planned(project, *SETTINGS)
    path.write_text(before)
    assert rules == {"03_layer_transfer", "04_convergence", "09_report", "report", "all"}


def test_another_seed_runs_every_notebook_again(project: BatchProject) -> None:
    assert planned(project, "PRESET=smoke", "RUN=2024", "SEED=4") == {*NOTEBOOKS, "report", "all"}


def test_settings_of_htest_run_its_notebooks_again(project: BatchProject) -> None:
    htest = {name for name in NOTEBOOKS if name >= "06"}
    assert planned(project, *SETTINGS, "HTEST={shots: [2, 4]}") == {*htest, "report", "all"}


def test_settings_of_htest_reach_its_notebooks_with_their_types(project: BatchProject) -> None:
    _, printed = project.run(*SETTINGS, "HTEST={shots: [2, 4]}", snakemake="--dry-run --printshellcmds")
    assert printed.count("""-y '{"shots": [2, 4]}' notebooks/0""") == len([name for name in NOTEBOOKS if name >= "06"])


def test_rules_form_the_documented_graph(project: BatchProject) -> None:
    _, printed = project.run(*SETTINGS, snakemake="--rulegraph --forceall")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', printed))
    edges = {(names[source], names[target]) for source, target in re.findall(r"(\d+) -> (\d+)", printed)}
    assert {edge for edge in edges if edge[1] != "all"} == {
        ("02_scratch_saes", "03_layer_transfer"),
        ("03_layer_transfer", "04_convergence"),
        ("01_language_model", "09_report"),
        ("04_convergence", "09_report"),
        ("06_htest_items", "07_htest_accuracy"),
        ("07_htest_accuracy", "08_htest_ablations"),
        ("08_htest_ablations", "09_report"),
        ("09_report", "report"),
    }


@pytest.mark.parametrize(("setting", "message"), [
    ("SEED=one", "seed='one'"), ("RUN=a/b", "run='a/b'"), ("HTEST=4", "htest=4 must name fields"),
])  # fmt: skip
def test_a_bad_setting_is_named_before_anything_runs(project: BatchProject, setting: str, message: str) -> None:
    code, printed = project.run(setting)
    assert code != 0
    assert message in printed


def test_a_failed_notebook_is_named_with_the_command_that_continues(project: BatchProject, runs: Path) -> None:
    path = project.folder / "notebooks" / "09_report.ipynb"
    before = path.read_text()
    write_notebook(path, BODY + "\nraise ValueError('loss is nan at step 7')")
    code, printed = project.run(*SETTINGS)
    assert code != 0
    assert "09_report.ipynb failed at In [3]: ValueError: loss is nan at step 7" in printed
    assert "To continue: make reproduce PRESET=smoke RUN=2024 SEED=3" in printed
    partial = runs / "2024" / "notebooks" / "09_report.partial.ipynb"
    assert str(partial.relative_to(runs)) in printed
    assert partial.exists()

    path.write_text(before)
    assert planned(project, *SETTINGS) == {"09_report", "report", "all"}
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert not partial.exists()


def test_a_batch_run_killed_without_warning_goes_on_by_the_same_command(project: BatchProject, runs: Path) -> None:
    path = project.folder / "notebooks" / "04_convergence.ipynb"
    started, go = project.folder / "started", project.folder / "go"
    write_notebook(path, f"""\
import os, time
from pathlib import Path
with Path({str(started)!r}).open("a") as stream:
    print(os.getpid(), file=stream)
while not Path({str(go)!r}).exists():
    time.sleep(0.05)
{BODY}""")  # fmt: skip
    process = project.start(*SETTINGS)
    wait_for(started.exists)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kernel = int(started.read_text().split()[0])
    wait_for(lambda: not is_running(kernel))

    go.touch()
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert len(started.read_text().split()) == 2
    assert printed_by(runs / "2024" / "notebooks" / "04_convergence.ipynb") == "'smoke' '2024' 3 ipc\n"


def is_running(process: int) -> bool:
    """Whether a process is there and is no zombie."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")


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


def test_two_processes_never_write_one_notebook_at_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    body = f"""\
import time
with open({str(log)!r}, "a") as stream:
    print("in", file=stream)
time.sleep(1)
with open({str(log)!r}, "a") as stream:
    print("out", file=stream)"""
    write_notebook(tmp_path / "one.ipynb", body)
    processes = [papermill(tmp_path / "one.ipynb", tmp_path / "out.ipynb") for _ in range(2)]
    errors = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert log.read_text().split() == ["in", "out", "in", "out"]
    assert sum("is being written by another process" in text for text in errors) == 1


def test_the_report_after_a_failure_leaves_out_older_ones(tmp_path: Path) -> None:
    stopped = {"cell_type": "code", "outputs": [], "metadata": {"papermill": {"start_time": "2026-01-01"}}}
    waiting = {"cell_type": "code", "outputs": [], "metadata": {"papermill": {"start_time": None}}}
    for name, age in (("01_old", 100), ("02_killed", 0)):
        path = tmp_path / f"{name}.partial.ipynb"
        path.write_text(json.dumps({"cells": [{"cell_type": "markdown"}, stopped, stopped, waiting]}))
        os.utime(path, (time.time() - age,) * 2)
    report = failure_report(tmp_path, time.time() - 50, "make reproduce")
    assert report.startswith("02_killed.ipynb stopped at In [2] without an error of its own")
    assert "01_old" not in report
    assert report.endswith("To continue: make reproduce")


def test_the_command_to_continue_names_what_differs_from_the_defaults() -> None:
    assert make_command("tiny", "tiny", None) == "make reproduce"
    assert make_command("smoke", "smoke", None) == "make reproduce PRESET=smoke"
    assert make_command("tiny", "second try", 1) == "make reproduce RUN='second try' SEED=1"
    assert make_command("tiny", "tiny", None, {"shots": [4]}) == """make reproduce HTEST='{"shots": [4]}'"""


def test_digests_see_cells_and_sources_only(tmp_path: Path) -> None:
    path = tmp_path / "a.ipynb"
    write_notebook(path)
    first = cells_digest(path)
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].execution_count = 7
    nbformat.write(notebook, path)
    assert cells_digest(path) == first
    notebook.cells[1].source += "\nx = 1"
    nbformat.write(notebook, path)
    assert cells_digest(path) != first

    (tmp_path / "library" / "__pycache__").mkdir(parents=True)
    (tmp_path / "library" / "a.py").write_text("1")
    before = library_digest(tmp_path / "library")
    (tmp_path / "library" / "__pycache__" / "a.pyc").write_text("compiled")
    assert library_digest(tmp_path / "library") == before
    (tmp_path / "library" / "a.py").rename(tmp_path / "library" / "b.py")
    assert library_digest(tmp_path / "library") != before
