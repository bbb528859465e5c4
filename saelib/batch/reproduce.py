"""The batch run: `make reproduce`.

    PRESET=smoke RUN=first CORES=2 python -m saelib.batch.reproduce

In: settings in the environment (PRESET, RUN, SEED, TRANSFER, INTERPRET, HTEST; CORES, or `all`; SNAKEMAKE, more
options for it, such as `--dry-run`). Out: executed notebooks, tables, figures and report.html under `runs/<run>/`, and
Snakemake's own folder there, so that nothing is written beside the notebooks or into the user's home.
"""

import os
import re
import shlex
import sys
from pathlib import Path

from saelib.batch.clock import state_of
from saelib.batch.console import say
from saelib.batch.digests import LIBRARY
from saelib.batch.preflight import check
from saelib.batch.settings import NAMES, Settings, settings_from
from saelib.batch.snakemake_notes import doubt_results_of_lost_parts, doubt_results_without_note, has_notes
from saelib.run.files import cache_folder, runs_folder

# Programs that the notebooks start keep files of their own. Those of the user's home may not be writable, and would
# change what a run shows (a style of matplotlib, start-up files of IPython, a kernel of the same name).
FOLDERS_OF_PROGRAMS = {
    "IPYTHONDIR": "ipython",
    "JUPYTER_CONFIG_DIR": "jupyter/config",
    "JUPYTER_DATA_DIR": "jupyter/data",
    "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
    "MPLCONFIGDIR": "matplotlib",
}
# All that Snakemake shares among machines but the cache of remote sources, which would be in the user's home.
SHARED = ("input-output", "persistence", "software-deployment", "software-deployment-cache", "sources",
          "storage-local-copies")  # fmt: skip


def prepare_environment() -> None:
    """Fix what the programs that are started find in their environment, whatever folder they are started in."""
    os.environ["SAELIB_RUNS"] = str(runs_folder())
    programs = cache_folder() / "programs"
    for name, folder in FOLDERS_OF_PROGRAMS.items():
        os.environ[name] = str(programs / folder)
        Path(os.environ[name]).mkdir(parents=True, exist_ok=True)
    if not os.access(LIBRARY, os.W_OK):  # beside which numba would keep what it compiled
        os.environ.setdefault("NUMBA_CACHE_DIR", str(programs / "numba"))
    for name in NAMES:
        os.environ.setdefault(name, "")


def options_for_snakemake(settings: Settings, project: Path, cores: str, more: str) -> list[str]:
    """What Snakemake is called with.

    Raises:
        ValueError: `cores` is no number of cores.
    """
    if not re.fullmatch(r"all|[1-9][0-9]*", cores):
        raise ValueError(f"CORES={cores!r} should be a whole number from 1 on, or all")
    anew = [] if has_notes(settings.folder) else ["--forceall"]
    return [
        "--snakefile", str(project / "Snakefile"), "--directory", str(settings.folder), "--cores", cores, *anew,
        "--shared-fs-usage", *SHARED, "--rerun-triggers", "mtime", "params", "--rerun-incomplete",
        "--nolock", "--scheduler", "greedy", *shlex.split(more),
    ]  # fmt: skip


def main() -> int:
    """Run; the exit code."""
    from snakemake.cli import main as snakemake

    try:
        settings = settings_from(os.environ)
        cores, more = os.environ.get("CORES") or "all", os.environ.get("SNAKEMAKE", "")
        options = options_for_snakemake(settings, Path.cwd(), cores, more)
        check(settings)
    except (ValueError, FileExistsError) as error:
        say(str(error))
        return 1
    prepare_environment()
    doubt_results_without_note(settings.folder)
    doubt_results_of_lost_parts(settings.folder)
    report = settings.folder / "report.html"
    earlier = state_of(report)
    try:
        snakemake(options)
        code: str | int | None = 0
    except SystemExit as ended:
        code = ended.code
    if isinstance(code, str):  # said by the Snakefile, as one line
        say(code)
    if code:
        return 1
    if not more and earlier and state_of(report) == earlier:
        say(f"Nothing to be done, all is up to date. The report: {report}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
