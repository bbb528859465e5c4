"""Inspect AI's logs as files: which there are, whether they are whole, and how many answers they hold.

In: folders and paths. Out: logs as Inspect reads them, or an error that names a damaged one: Inspect itself would fail
over it somewhere, and answers that were paid for would be asked again.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse
from zipfile import BadZipFile, ZipFile

from saelib.run.reading import DamagedFileError
from saelib.run.secrets import one_line

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog


def log_files(source: Path | Sequence[Path | str]) -> list[str]:
    """Log files of a folder, or the files themselves.

    Raises:
        FileNotFoundError: there is none, or one is not there.
    """
    from inspect_ai.log import list_eval_logs

    paths = [source] if isinstance(source, Path) else list(source)
    found: list[str] = []
    for path in paths:
        place = Path(local_path(str(path)))
        if place.is_dir():
            found += [info.name for info in list_eval_logs(str(place), recursive=False, descending=False)]
        elif place.is_file():
            found.append(str(path))
        else:
            raise FileNotFoundError(f"{path}: no such log; give the folder that --log-dir named, or log files")
    if not found:
        raise FileNotFoundError(f"{source}: holds no log of Inspect AI; give the folder that --log-dir named")
    return found


def count_answers(folder: Path, version: str) -> int:
    """How many samples of a task of this version the newest log holds an answer to; 0 without a log.

    Inspect goes on with that log, and asks for the others only.
    """
    from inspect_ai.log import list_eval_logs

    found: list[tuple[str, str]] = []  # when it was begun, and where it is
    for info in list_eval_logs(str(folder), recursive=False):  # Inspect keeps notes of its own there, before any log
        header = read_log(info.name, header_only=True)
        found += [(header.eval.created, info.name)] if header.eval.task_version == version else []
    samples = read_log(max(found)[1]).samples if found else None
    return sum(sample.error is None for sample in samples or [])


def check_logs(folder: Path) -> None:
    """See that every log in a folder can be read, before Inspect goes on with it: it would fail over any damaged one.

    Raises:
        DamagedFileError: one cannot; nothing was asked.
    """
    from inspect_ai.log import list_eval_logs

    for info in list_eval_logs(str(folder), recursive=False) if folder.is_dir() else ():
        read_log(info.name, header_only=True)


def read_log(path: str, header_only: bool = False) -> "EvalLog":
    """A log; of a zip file all sums are checked, since Inspect reads only what it wants.

    Raises:
        DamagedFileError: it cannot be read.
    """
    from inspect_ai.log import read_eval_log

    place = local_path(path)
    try:
        if place.endswith(".eval"):
            with ZipFile(place) as members:
                if (damaged := members.testzip()) is not None:
                    raise BadZipFile(f"{damaged} has another sum than was written")
        return read_eval_log(path, header_only=header_only)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # each library that unpacks has errors of its own
        raise DamagedFileError(
            f"{place} is no whole log of Inspect AI ({type(error).__name__}: {one_line(error):.200}); put a copy of it "
            "back, or move it away: what only it holds is then asked, and paid for, again"
        ) from error


def local_path(path: str) -> str:
    """The path that a `file:` address means."""
    return unquote(urlparse(path).path) if path.startswith("file:") else path
