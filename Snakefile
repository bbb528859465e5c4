"""The batch run: one rule for each notebook, papermill inside. `make reproduce` calls it, with its options.

    PRESET=tiny RUN=tiny SEED=0 snakemake --cores all

A notebook runs again when its cells, the library, a setting, or a notebook that it builds on have changed; what its
outputs look like and when files were checked out does not matter. Resume points are no `output:` (Snakemake deletes
the outputs of a failed job): a notebook that is started again finds them and goes on where it was.
"""

import atexit
import os
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path

from saelib.batch.console import quieten, say_beginning, say_end, say_failure
from saelib.batch.digests import digest_with_sources, library_digest
from saelib.batch.failures import partial_notebooks
from saelib.batch.notebooks import NOTEBOOKS, REPORT
from saelib.batch.preflight import check
from saelib.batch.reproduce import prepare_environment
from saelib.batch.settings import NAMES, settings_from
from saelib.run.lock import RunInUseError, hold_for_children

try:
    if config:  # which Snakemake has read as numbers, dates and truth values
        raise ValueError("settings are given by the environment, where a name stays as it was typed, not by --config: "
                         "PRESET=tiny RUN=2024 SEED=1 snakemake ...")
    SETTINGS = settings_from(os.environ)
except (ValueError, FileExistsError) as error:  # before a notebook is started
    raise WorkflowError(str(error))
prepare_environment()
quieten(logger)


workdir: str(SETTINGS.folder)


envvars:
    *NAMES,
    "SAELIB_RUNS",


if Path.cwd() != SETTINGS.folder.resolve():
    raise WorkflowError(f"leave out --directory: this run's folder is {SETTINGS.folder}")

EARLIER = {}
SOURCES = Path(workflow.basedir) / "notebooks"
EXECUTED = Path("notebooks")
LIBRARY = library_digest()
PYTHON = shlex.quote(sys.executable)


rule all:
    input:
        [EXECUTED / f"{notebook.name}.ipynb" for notebook in NOTEBOOKS],
        "report.html",
    default_target: True


for number, entry in enumerate(NOTEBOOKS):

    rule:
        name:
            entry.name
        input:
            [EXECUTED / f"{source}.ipynb" for source in entry.sources],
        output:
            EXECUTED / f"{entry.name}.ipynb",
        params:
            notebook=lambda wildcards, name=entry.name: str(SOURCES / f"{name}.ipynb"),
            cells=digest_with_sources(SOURCES, entry.name),
            library=LIBRARY,
            # By functions, whose values Snakemake does not search for wildcards.
            settings=lambda wildcards, configs=entry.configs: SETTINGS.parameters(*configs),
        threads: entry.threads
        priority: -number
        shell:
            f"{PYTHON} -m saelib.batch.execute {{params.notebook:q}} {{output:q}}"


rule report:
    input:
        EXECUTED / f"{REPORT.name}.ipynb",
    output:
        "report.html",
    params:
        run=SETTINGS.run,
        cells=digest_with_sources(SOURCES, REPORT.name),
        library=LIBRARY,
    shell:
        f"{PYTHON} -m saelib.batch.report {{params.run:q}} > {os.devnull}"


LOCK = ExitStack()  # held until this process ends, for the notebooks that it starts
atexit.register(LOCK.close)


onstart:
    try:
        check(SETTINGS)  # again after `make`, for those who start Snakemake themselves
        LOCK.enter_context(hold_for_children(SETTINGS.folder))
    except (ValueError, RunInUseError) as error:
        sys.exit(str(error))  # Snakemake would put lines of this file around it
    EARLIER.update(partial_notebooks(SETTINGS.folder / EXECUTED))
    say_beginning(SETTINGS, [job.rule.name for job in workflow.dag.needrun_jobs()])


onsuccess:
    say_end(SETTINGS)


onerror:
    say_failure(SETTINGS, EARLIER)
