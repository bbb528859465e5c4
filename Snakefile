"""The batch run: one rule for each notebook, papermill inside. `make reproduce` calls it.

    snakemake --cores all --config preset=tiny run=tiny seed=0

A notebook runs again when its cells, the library, a setting, or a notebook that it builds on have changed; what its
outputs look like and when files were checked out does not matter. Resume points are no `output:` (Snakemake deletes
the outputs of a failed job): a notebook that is started again finds them and goes on where it was.
"""

import atexit
import json
import os
import shlex
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import yaml

from saelib.batch.digests import cells_digest, library_digest
from saelib.batch.failures import PARTIAL, failure_report
from saelib.batch.notebooks import NOTEBOOKS, REPORT
from saelib.htest.config import resolve_htest_config
from saelib.run.command import make_command
from saelib.run.files import runs_folder
from saelib.run.lock import RunInUseError, hold_for_children
from saelib.transfer.config import resolve_config

PRESET = str(config.get("preset", "tiny"))
RUN = str(config.get("run", PRESET))
SEED = config.get("seed")  # None leaves it to the notebooks
# Fields of saelib.htest.config.HTestConfig, for the notebooks that take it. Snakemake's own config would make the
# numbers inside a list texts.
try:
    HTEST = yaml.safe_load(os.environ.get("HTEST") or "{}")
    if not isinstance(HTEST, dict) or HTEST.keys() & {"preset", "run", "seed"}:
        raise ValueError(f"htest={HTEST!r} must name fields and their values: HTEST='{{models: [embedded]}}'; "
                         "preset, run and seed are given as PRESET=, RUN= and SEED=")
    resolve_config(preset=PRESET, run=RUN, seed=SEED)
    resolve_htest_config(preset=PRESET, run=RUN, seed=SEED, **HTEST)
except (ValueError, yaml.YAMLError) as error:  # before a notebook is started
    raise WorkflowError(str(error))

STARTED = time.time()
FOLDER = Path(os.path.relpath(runs_folder())) / RUN  # relative: papermill writes paths into the notebooks
EXECUTED = FOLDER / "notebooks"
COMMAND = make_command(PRESET, RUN, SEED, HTEST)
LIBRARY = library_digest()
PYTHON = shlex.quote(sys.executable)


rule all:
    input:
        [EXECUTED / f"{notebook.name}.ipynb" for notebook in NOTEBOOKS],
        FOLDER / "report.html",
    default_target: True


for number, entry in enumerate(NOTEBOOKS):

    rule:
        name:
            entry.name
        input:
            [EXECUTED / f"{source}.ipynb" for source in entry.sources],
            notebook=ancient(f"notebooks/{entry.name}.ipynb"),
        output:
            EXECUTED / f"{entry.name}.ipynb",
        params:
            partial=EXECUTED / f"{entry.name}{PARTIAL}",
            cells=cells_digest(Path(f"notebooks/{entry.name}.ipynb")),
            library=LIBRARY,
            preset=PRESET,
            run=RUN,
            seed="" if SEED is None else f"-p seed {SEED}",
            htest=f"-y {shlex.quote(json.dumps(HTEST))}" if HTEST and "htest" in entry.configs else "",
        threads: entry.threads
        priority: -number
        message:
            f"{entry.name}: running"
        shell:
            # -r keeps a name such as 2024 a text; what a cell writes to stderr (progress, warnings) is shown.
            f"SAELIB_BATCH=1 {PYTHON} -m papermill --engine ipc --start-timeout 300 "
            "--no-progress-bar --log-output --log-level WARNING "
            "-r preset {params.preset:q} -r run {params.run:q} {params.seed} {params.htest} "
            "{input.notebook:q} {params.partial:q} && mv {params.partial:q} {output:q}"


rule report:
    input:
        EXECUTED / f"{REPORT.name}.ipynb",
    output:
        FOLDER / "report.html",
    params:
        run=RUN,
        library=LIBRARY,
    message:
        "report.html: writing"
    shell:
        f"{PYTHON} -m saelib.batch.report {{params.run:q}}"


LOCK = ExitStack()  # held until this process ends, for the notebooks that it starts
atexit.register(LOCK.close)


onstart:
    try:
        LOCK.enter_context(hold_for_children(FOLDER))
    except RunInUseError as error:
        sys.exit(f"\n{error}")  # Snakemake would put lines of this file around it


onsuccess:
    print(f"Done. The report: {FOLDER / 'report.html'}", file=sys.stderr)


onerror:
    print(f"\n{failure_report(EXECUTED, STARTED, COMMAND)}", file=sys.stderr)
