"""The batch run, with small notebooks in place of the real ones: what runs again, failures, interruptions, locks."""

import json
import os
import re
import signal
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_output

from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.snakemake_notes import NOTES
from saelib.results.values import read_values, record_values
from saelib.run.lock import RunInUseError
from saelib.run.reading import read_json
from saelib.transfer.experiment import open_experiment
from tests.helpers.batch_project import BODY, NAMES, BatchProject, printed_by, wait_for, write_notebook

SETTINGS = ("PRESET=smoke", "RUN=2024", "SEED=3", "CORES=2")
ABLATIONS = ("32_htest_shots_and_size", "33_htest_chain_of_thought", "34_htest_fine_tuning", "35_htest_letter_geometry")
WITH = {
    config: {notebook.name for notebook in NOTEBOOKS if config in notebook.configs}
    for config in ("transfer", "interpret", "htest")
}


def planned(project: BatchProject, *settings: str) -> set[str]:
    """Names of the rules that the next run would run, from Snakemake's table of jobs."""
    code, printed = project.run(*settings, snakemake="--dry-run")
    assert code == 0, printed
    return set(re.findall(r"^(\w+) +1$", printed, re.MULTILINE))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> BatchProject:
    """A project whose batch run has ended well."""
    project = BatchProject(tmp_path_factory.mktemp("project"))
    for name in NAMES:
        write_notebook(project.folder / "notebooks" / f"{name}.ipynb")
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert "runs" in printed and "2024/report.html" in printed
    return project


def test_every_notebook_gets_its_parameters_and_an_ipc_kernel(project: BatchProject, runs: Path) -> None:
    for name in NAMES:
        assert printed_by(runs / "2024" / "notebooks" / f"{name}.ipynb") == "'smoke' '2024' 3 ipc\n"
    assert not list((runs / "2024" / "notebooks").glob("*.partial.ipynb"))
    assert "<html" in (runs / "2024" / "report.html").read_text()


def test_nothing_runs_again_when_only_dates_and_outputs_changed(project: BatchProject) -> None:
    path = project.folder / "notebooks" / "11_scratch_saes.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[2].outputs = [new_output("stream", text="as after `make notebooks`")]
    nbformat.write(notebook, path)
    code, printed = project.run(*SETTINGS)
    assert code == 0
    assert "Nothing to be done" in printed


def test_a_changed_cell_runs_its_notebook_and_those_that_build_on_it(project: BatchProject) -> None:
    path = project.folder / "notebooks" / "12_layer_transfer.ipynb"
    before = path.read_text()
    write_notebook(path, BODY + "\nprint(1)")
    rules = planned(project, *SETTINGS)
    path.write_text(before)
    transfers = {"12_layer_transfer", "13_convergence", "14_better_start", "15_map_distance"}
    assert rules == transfers | {"20_features", "21_circuits"} | {"90_report", "report", "all"}


def test_another_seed_runs_every_notebook_again(project: BatchProject) -> None:
    assert planned(project, "PRESET=smoke", "RUN=2024", "SEED=4") == {*NAMES, "report", "all"}


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ("transfer", "TRANSFER={layers: [1, 2, 3]}"),
        ("interpret", "INTERPRET={features: null}"),
        ("htest", "HTEST={shots: [2, 4]}"),
    ],
)
def test_settings_of_a_config_run_the_notebooks_that_take_it_again(
    project: BatchProject, config: str, told: str
) -> None:
    follow = {"90_report", "report", "all"}
    assert planned(project, *SETTINGS, told) == WITH[config] | follow


def test_settings_of_htest_reach_its_notebooks_to_the_letter(project: BatchProject, runs: Path) -> None:
    path = project.folder / "notebooks" / "30_htest_items.ipynb"
    before = path.read_text()
    write_notebook(path, "import json\nprint(json.dumps([run, shots, system]))")
    system = 'it\'s $HOME $(touch x) `touch x` "q" \\n {a}\nö 🙂'
    settings = f"HTEST={json.dumps({'shots': [2, 4], 'system': system})}"
    try:
        code, printed = project.run("RUN=1e5", settings, snakemake="notebooks/30_htest_items.ipynb")
    finally:
        path.write_text(before)
    assert code == 0, printed
    assert json.loads(printed_by(runs / "1e5/notebooks/30_htest_items.ipynb")) == ["1e5", [2, 4], system]
    assert_nothing_beside_the_notebooks(project)


def assert_nothing_beside_the_notebooks(project: BatchProject) -> None:
    assert sorted(path.name for path in project.folder.iterdir()) == ["Makefile", "Snakefile", "notebooks"]


def test_all_that_a_run_writes_is_in_its_folder_and_the_cache(project: BatchProject, runs: Path) -> None:
    assert_nothing_beside_the_notebooks(project)
    assert (runs / "2024" / ".snakemake" / "metadata").is_dir()


def test_the_console_says_what_is_done_and_what_it_took_in_time(project: BatchProject, runs: Path) -> None:
    code, printed = project.run(*SETTINGS, snakemake="--forceall")
    assert code == 0, printed
    lines = printed.splitlines()
    every = len(NAMES)
    assert lines[0] == f"Run '2024' of preset smoke, in {runs / '2024'}: {every} of {every} notebooks are to run."
    measured = re.fullmatch(r"A whole run takes \d+ MB; these notebooks take at most about \d+ (?:s|min) \(measured "
                            r"on (\d+) cores, (.+)\), less where results are there already\.", lines[1])  # fmt: skip
    assert measured and measured.groups() == (str(os.cpu_count()), str(runs / "2024"))
    assert lines[-1] == f"Done. The report: {runs / '2024' / 'report.html'}"
    done = [line for line in lines if ": done in " in line]
    assert len(done) == len(NAMES)
    assert re.fullmatch(
        r"10_language_model: done in \d+ s; the run: \d+ s so far, at most about \d+ (s|min) to go", done[0]
    )
    assert re.fullmatch(r"90_report: done in \d+ s; the run: \d+ (s|min) so far", done[-1])
    running = [f"{name}: running" for name in NAMES]
    assert sorted(set(lines[2:-1]) - {*done}) == sorted(running)


def test_names_in_snakemakes_own_config_are_refused(project: BatchProject) -> None:
    """Snakemake reads them as numbers and dates: 007 would be 7."""
    code, printed = project.run(*SETTINGS, snakemake="--config run=007")
    assert code != 0
    assert "settings are given by the environment" in printed


def test_two_names_that_may_be_one_folder_are_no_two_runs(project: BatchProject, runs: Path) -> None:
    (runs / "Mine").mkdir()
    code, printed = project.run("RUN=mine")
    assert code != 0
    assert "run='mine': run 'Mine' is there, and many file systems take both names for one folder" in printed


def test_rules_form_the_documented_graph(project: BatchProject) -> None:
    _, printed = project.run(*SETTINGS, snakemake="--rulegraph --forceall")
    names = dict(re.findall(r'(\d+)\[label = "(\w+)"', printed))
    edges = {(names[source], names[target]) for source, target in re.findall(r"(\d+) -> (\d+)", printed)}
    assert {edge for edge in edges if edge[1] != "all"} == {
        ("11_scratch_saes", "12_layer_transfer"),
        ("10_language_model", "13_convergence"),
        ("12_layer_transfer", "13_convergence"),
        ("13_convergence", "14_better_start"),
        ("12_layer_transfer", "15_map_distance"),
        ("12_layer_transfer", "20_features"),
        ("12_layer_transfer", "21_circuits"),
        ("30_htest_items", "31_htest_accuracy"),
        *(("31_htest_accuracy", ablation) for ablation in ABLATIONS),
        *(
            (source, "90_report")
            for source in (
                "10_language_model",
                "14_better_start",
                "15_map_distance",
                "20_features",
                "21_circuits",
                *ABLATIONS,
            )
        ),
        ("90_report", "report"),
    }


@pytest.mark.parametrize(("setting", "message"), [
    ("SEED=one", "seed='one'"), ("SEED=-1", "seed=-1"), ("RUN=a/b", "run='a/b'"), ("RUN=cache", "run='cache'"),
    ("PRESET=large", "preset='large' is unknown"), ("HTEST=4", "htest='4' must name fields"),
    ("HTEST={seed: 5}", "seed is given as SEED="), ("INTERPRET={feature: 5}", "did you mean features?"),
    ("TRANSFER={sae_seeds: 0}", "sae_seeds=0"), ("HTEST={shoots: [4]}", "did you mean shots?"),
    ("HTEST={shots: [5]}", "shots=[5]"), ("HTEST={", "while parsing"), ("SEED=010", "seed='010'"),
    ("SEED=1e5", "seed='1e5'"), ("CORES=many", "CORES='many' should be a whole number from 1 on, or all"),
    ("RUN=$(touch x)", "run='$(touch x)'"), ("RUN=`touch x`", "run='`touch x`'"), ("RUN=a b", "run='a b'"),
    ("RUN=$(shell touch x)", "run='$(shell touch x)'"), ("PRESET=$(shell touch x)", "preset='$(shell touch x)'"),
    ("CORES=1;touch x", "CORES='1;touch x'"), ("HTEST={shots: [4], shots: [2]}", "named twice"),
    ("TORCH=cuda", "TORCH=cuda is unknown"),
])  # fmt: skip
def test_a_bad_setting_is_named_before_anything_runs(project: BatchProject, setting: str, message: str) -> None:
    code, printed = project.run(setting)
    assert code != 0
    assert message in printed
    assert "Traceback" not in printed
    assert_nothing_beside_the_notebooks(project)


def test_a_failed_notebook_is_named_with_the_command_that_continues(project: BatchProject, runs: Path) -> None:
    path = project.folder / "notebooks" / "90_report.ipynb"
    before = path.read_text()
    write_notebook(path, BODY + "\nraise ValueError('loss is nan at step 7')")
    code, printed = project.run(*SETTINGS)
    assert code != 0
    assert "90_report.ipynb failed at In [3]: ValueError: loss is nan at step 7" in printed
    assert "To continue: make reproduce PRESET=smoke RUN=2024 SEED=3" in printed
    partial = runs / "2024" / "notebooks" / "90_report.partial.ipynb"
    assert str(partial.relative_to(runs)) in printed
    assert partial.exists()

    path.write_text(before)
    assert planned(project, *SETTINGS) == {"90_report", "report", "all"}
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert not partial.exists()


@pytest.fixture
def waiting(project: BatchProject, request: pytest.FixtureRequest) -> Iterator[tuple[Path, Path]]:
    """A notebook, another one in each test, that says that it has started, and goes on when it may: both by a file."""
    path = project.folder / "notebooks" / "13_convergence.ipynb"
    before = path.read_text()
    started, go = project.folder / "started", project.folder / "go"
    write_notebook(path, f"""\
# {request.node.name}
import os, time
from pathlib import Path
from saelib.results.values import record_values
from saelib.transfer.experiment import open_experiment
record_values(open_experiment(preset=preset, run=run, seed=seed), "13_convergence", {{"by": "batch"}})
with Path({str(started)!r}).open("a") as stream:
    print(os.getpid(), file=stream)
while not Path({str(go)!r}).exists():
    time.sleep(0.05)
{BODY}""")  # fmt: skip
    yield started, go
    path.write_text(before)
    for file in (started, go):
        file.unlink(missing_ok=True)


def test_a_batch_run_killed_without_warning_goes_on_by_the_same_command(
    project: BatchProject, runs: Path, waiting: tuple[Path, Path]
) -> None:
    started, go = waiting
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
    assert printed_by(runs / "2024" / "notebooks" / "13_convergence.ipynb") == "'smoke' '2024' 3 ipc\n"


def test_a_notebook_whose_batch_run_was_killed_alone_is_not_run_beside_itself(
    project: BatchProject, runs: Path, waiting: tuple[Path, Path]
) -> None:
    """Else its papermill and the next one's write into one partial notebook, and a blank one gets the finished name."""
    started, go = waiting
    first = project.start(*SETTINGS)
    wait_for(started.exists)
    os.kill(read_json(runs / ".locks" / "2024.json")["process"], signal.SIGKILL)
    wait_for(lambda: first.poll() is not None)  # make; the notebook goes on
    code, printed = project.run(*SETTINGS)
    assert code != 0
    assert re.search(r"^run '2024' is in use by process \d+ on .* \(.*-m saelib.batch.execute .*: wait", printed, re.M)
    executed = runs / "2024" / "notebooks" / "13_convergence.ipynb"
    assert not executed.exists()
    go.touch()
    first.communicate()  # the notebook has what make wrote to
    assert printed_by(executed) == "'smoke' '2024' 3 ipc\n"
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert printed_by(executed) == "'smoke' '2024' 3 ipc\n"


def test_files_of_the_future_do_not_stop_a_run(project: BatchProject, runs: Path) -> None:
    """As after the clock was set back, between two runs or in one."""
    path = project.folder / "notebooks" / "13_convergence.ipynb"
    before, executed = path.read_text(), runs / "2024" / "notebooks"
    for there in executed.glob("*.ipynb"):
        os.utime(there, (time.time() + 3600,) * 2)
    source = executed / "12_layer_transfer.ipynb"
    write_notebook(path, f"{BODY}\nimport os, time\nos.utime({str(source)!r}, (time.time() + 3600,) * 2)")
    try:
        code, printed = project.run(*SETTINGS)
    finally:
        path.write_text(before)
    assert code == 0, printed
    done = re.findall(r"^(\w+): done in", printed, re.MULTILINE)
    assert {"13_convergence", "14_better_start", "90_report"} <= {*done}
    assert source.stat().st_mtime <= time.time()
    assert project.run(*SETTINGS)[0] == 0


def test_a_result_whose_note_was_cut_is_made_again(project: BatchProject, runs: Path) -> None:
    """Else Snakemake takes it for up to date, whatever has changed since."""
    name = "notebooks/35_htest_letter_geometry.ipynb"
    note = runs / "2024" / NOTES / urlsafe_b64encode(name.encode()).decode()
    note.write_bytes(note.read_bytes()[:100])
    assert planned(project, *SETTINGS) == {"35_htest_letter_geometry", "90_report", "report", "all"}
    code, printed = project.run(*SETTINGS)
    assert code == 0, printed
    assert read_json(note)["rule"] == "35_htest_letter_geometry"


def test_while_a_batch_run_works_nobody_else_does(
    project: BatchProject, runs: Path, waiting: tuple[Path, Path]
) -> None:
    started, go = waiting
    experiment = open_experiment(preset="smoke", run="2024", seed=3)
    first = project.start(*SETTINGS)
    try:
        wait_for(started.exists)  # its own notebooks may write
        code, printed = project.run(*SETTINGS)
        assert code != 0
        found = re.search(
            r"^run '2024' is in use by process (\d+) on .* \(.*-m saelib.batch.reproduce\): wait", printed, re.M
        )
        assert found, printed
        assert "Traceback" not in printed and "WorkflowError" not in printed
        assert is_running(int(found[1]))
        with pytest.raises(RunInUseError, match=f"process {found[1]} "):
            record_values(experiment, "13_convergence", {"by": "hand"})
    finally:
        go.touch()
        printed, _ = first.communicate()
    assert first.returncode == 0, printed
    assert len(started.read_text().split()) == 1
    assert read_values(experiment, "13_convergence") == {"by": "batch"}
    record_values(experiment, "13_convergence", {"by": "hand"})
    assert read_values(experiment, "13_convergence") == {"by": "hand"}


def is_running(process: int) -> bool:
    """Whether a process is there and is no zombie."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")
