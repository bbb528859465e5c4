"""The batch run: one rule a notebook, papermill inside. `make reproduce` calls it.

    snakemake --cores all --config preset=tiny run=tiny seed=0

A notebook runs again when its cells, the library, a setting, or a notebook that it builds on have changed; what its
outputs look like and when files were checked out does not matter. Checkpoints are no `output:` (Snakemake deletes
the outputs of a failed job): a notebook that is started again finds them and goes on where it was.
"""

import json
import os
import re
import shlex
import sys
import time
from pathlib import Path

import yaml

from saelib.batch.digests import PARTIAL, cells_digest, failure_report, library_digest, make_command
from saelib.run.files import runs_folder

# notebook: (notebooks whose files it reads, threads). Those that compute take every core that Snakemake has,
# so that no two of them share the cores; 16 is cut to --cores.
NOTEBOOKS = {
    "01_language_model": ([], 16),
    "02_scratch_saes": ([], 16),
    "03_layer_transfer": (["02_scratch_saes"], 16),
    "04_convergence": (["03_layer_transfer"], 1),
    "06_htest_items": ([], 1),
    "07_htest_accuracy": (["06_htest_items"], 16),
    "08_htest_ablations": (["07_htest_accuracy"], 16),
    "09_report": (["01_language_model", "04_convergence", "08_htest_ablations"], 1),
}

PRESET = str(config.get("preset", "tiny"))
RUN = str(config.get("run", PRESET))
SEED = config.get("seed")  # None leaves it to the notebooks
# Fields of saelib.htest.config.HTestConfig, for the notebooks from 06 on. Snakemake's own config would make the
# numbers inside a list texts.
HTEST = yaml.safe_load(os.environ.get("HTEST") or "{}")
if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", RUN):
    raise WorkflowError(f"run={RUN!r} names a folder: use letters, digits, dots, dashes and underscores")
if not isinstance(SEED, int | None):
    raise WorkflowError(f"seed={SEED!r} must be a whole number")
if not isinstance(HTEST, dict):
    raise WorkflowError(f"htest={HTEST!r} must name fields and their values: HTEST='{{models: [embedded]}}'")

STARTED = time.time()
FOLDER = Path(os.path.relpath(runs_folder())) / RUN  # relative: papermill writes paths into the notebooks
EXECUTED = FOLDER / "notebooks"
COMMAND = make_command(PRESET, RUN, SEED, HTEST)
LIBRARY = library_digest()
PYTHON = shlex.quote(sys.executable)


rule all:
    input:
        [EXECUTED / f"{name}.ipynb" for name in NOTEBOOKS],
        FOLDER / "report.html",
    default_target: True


for number, (name, (sources, cores)) in enumerate(NOTEBOOKS.items()):

    rule:
        name:
            name
        input:
            [EXECUTED / f"{source}.ipynb" for source in sources],
            notebook=ancient(f"notebooks/{name}.ipynb"),
        output:
            EXECUTED / f"{name}.ipynb",
        params:
            partial=EXECUTED / f"{name}{PARTIAL}",
            cells=cells_digest(Path(f"notebooks/{name}.ipynb")),
            library=LIBRARY,
            preset=PRESET,
            run=RUN,
            seed="" if SEED is None else f"-p seed {SEED}",
            htest=f"-y {shlex.quote(json.dumps(HTEST))}" if HTEST and name >= "06" else "",
        threads: cores
        priority: -number
        message:
            f"{name}: running"
        shell:
            # -r keeps a name such as 2024 a text; what a cell writes to stderr (progress, warnings) is shown.
            f"SAELIB_BATCH=1 {PYTHON} -m papermill --engine ipc --start-timeout 300 "
            "--no-progress-bar --log-output --log-level WARNING "
            "-r preset {params.preset:q} -r run {params.run:q} {params.seed} {params.htest} "
            "{input.notebook:q} {params.partial:q} && mv {params.partial:q} {output:q}"


rule report:
    input:
        EXECUTED / "09_report.ipynb",
    output:
        FOLDER / "report.html",
    params:
        run=RUN,
        library=LIBRARY,
    message:
        "report.html: writing"
    shell:
        f"{PYTHON} -m saelib.batch.report {{params.run:q}}"


onsuccess:
    print(f"Done. The report: {FOLDER / 'report.html'}", file=sys.stderr)


onerror:
    print(f"\n{failure_report(EXECUTED, STARTED, COMMAND)}", file=sys.stderr)
