"""A copy of the project's batch files in another folder, so that a test's batch run touches nothing in this one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from saelib.run.files import PROJECT

NOTEBOOKS = (
    "01_language_model",
    "02_scratch_saes",
    "03_layer_transfer",
    "04_convergence",
    "06_htest_items",
    "07_htest_accuracy",
    "08_htest_ablations",
    "09_report",
)
FROM_AN_OUTER_MAKE = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES"}


class BatchProject:
    """Makefile, Snakefile and notebooks in `folder`, run with this Python in place of `.venv`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "notebooks").mkdir(parents=True)
        for name in ("Makefile", "Snakefile"):
            shutil.copy(PROJECT / name, folder)

    def command(self, *settings: str, snakemake: str = "") -> str:
        """The very shell command of `make reproduce`, with more options for Snakemake behind it."""
        make = ["make", "--no-print-directory", "--dry-run", "-o", ".venv/.ready", "reproduce", *settings]
        make.append(f"BIN={Path(sys.executable).parent}")
        # `make test` runs this test: what that make tells a make inside it is not for this one.
        environment = {name: value for name, value in os.environ.items() if name not in FROM_AN_OUTER_MAKE}
        printed = subprocess.run(
            make, cwd=self.folder, env=environment, capture_output=True, text=True, check=True
        ).stdout
        return f"{printed.strip()} {snakemake}"

    def start(self, *settings: str, snakemake: str = "") -> subprocess.Popen[str]:
        """Start the batch run in a process group of its own."""
        return subprocess.Popen(
            self.command(*settings, snakemake=snakemake),
            shell=True,
            cwd=self.folder,
            env=os.environ | {"XDG_CACHE_HOME": str(self.folder / "cache"), "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *settings: str, snakemake: str = "") -> tuple[int, str]:
        """Run to the end; exit code, and everything that was printed."""
        with self.start(*settings, snakemake=snakemake) as process:
            printed, _ = process.communicate()
        return process.returncode, printed
