"""Run one notebook of a batch run, with the run's settings: what a rule of the Snakefile calls.

    PRESET=smoke RUN=first python -m saelib.batch.execute notebooks/10_language_model.ipynb executed.ipynb

In: a notebook, and the settings in the environment. Out: the executed notebook, which appears once it is whole; where
it fails, what there is of it as `executed.partial.ipynb`. What a cell writes to stderr (progress, warnings) is shown.
The run is held from papermill's first write to the last, not only while the notebook's kernel computes: two processes
would write into the same partial notebook, and one rename the other's blank one.
"""

import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

from saelib.batch.clock import settle_times
from saelib.batch.console import say, say_done
from saelib.batch.failures import PARTIAL
from saelib.batch.notebooks import NOTEBOOKS
from saelib.batch.settings import settings_from
from saelib.run.files import flush_to_disk
from saelib.run.lock import RunInUseError, hold_for_children
from saelib.run.secrets import keep_out_of_logs

KERNEL_STARTS_IN = 300  # seconds, on a busy machine
UNKNOWN = "Passed unknown parameter"


def execute(notebook: Path, output: Path, parameters: dict[str, Any]) -> None:
    """Run a notebook in the folder above its own, and write it as it goes.

    Raises:
        papermill.exceptions.PapermillExecutionError: a cell failed.
    """
    import papermill

    notebook, output = notebook.absolute(), output.absolute()
    partial = output.with_name(output.name.removesuffix(".ipynb") + PARTIAL)
    os.chdir(notebook.parent.parent)
    # Relative, since papermill writes the paths into the notebook; it would fill in what stands between braces.
    source, target = (os.path.relpath(path).replace("{", "{{").replace("}", "}}") for path in (notebook, partial))
    papermill.execute_notebook(source, target, parameters, engine_name="ipc", start_timeout=KERNEL_STARTS_IN,
                               progress_bar=False, log_output=True)  # fmt: skip
    flush_to_disk(partial)
    partial.replace(output)


def main(notebook: str, output: str) -> int:
    """Run a notebook of the kit; the exit code."""
    started = time.monotonic()
    import papermill

    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    # It warns of parameters that no cell of the notebook sets; here the configs say which there are.
    logging.getLogger("papermill").addFilter(lambda record: not record.getMessage().startswith(UNKNOWN))
    keep_out_of_logs()
    os.environ["SAELIB_BATCH"] = "1"
    settings = settings_from(os.environ)
    (entry,) = (entry for entry in NOTEBOOKS if entry.name == Path(notebook).stem)
    executed = Path(output).absolute()  # since `execute` enters another folder
    say(f"{entry.name}: running")
    try:
        with hold_for_children(settings.folder):
            execute(Path(notebook), executed, settings.parameters(*entry.configs))
            say_done(entry.name, settings, time.monotonic() - started)
            settle_times(executed.parent)
    except papermill.PapermillExecutionError:
        return 1  # the batch run says at its end which cell failed, and why
    except (RunInUseError, OSError) as error:
        say(f"{entry.name}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
