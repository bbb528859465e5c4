"""Resume points that survive a kill at any moment.

In: tensors and a JSON value. Out: a folder `<tokens>/` with `state.safetensors`, `progress.json` and `manifest.json`
(SHA-256 of both). It is written beside its place, flushed and renamed; two are kept; the newest whole one is read.
"""

import shutil
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from saelib.run.files import read_json, replace_folder, sha256_of_file, write_json

KEPT = 2
STATE, PROGRESS, MANIFEST = "state.safetensors", "progress.json", "manifest.json"


class ResumePoint(NamedTuple):
    """What was saved, whole."""

    folder: Path
    tensors: dict[str, Tensor]
    progress: dict[str, Any]


def save_resume_point(
    folder: Path, tokens: int, tensors: dict[str, Tensor], progress: dict[str, Any], kept: int = KEPT
) -> None:
    """Write `folder/<tokens>/` whole, then drop all but the newest `kept`."""
    from safetensors.torch import save_file

    def fill(temporary: Path) -> None:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary / STATE)
        write_json(temporary / PROGRESS, progress)
        write_json(temporary / MANIFEST, {name: sha256_of_file(temporary / name) for name in (STATE, PROGRESS)})

    replace_folder(folder / str(tokens), fill)
    for old in _newest_first(folder)[kept:]:
        shutil.rmtree(old)


def newest_resume_point(folder: Path) -> ResumePoint | None:
    """The newest whole resume point in `folder`, or None; a damaged one is passed over with a warning."""
    from safetensors.torch import load_file

    for found in _newest_first(folder):
        if damage := find_damage(found):
            warnings.warn(f"resume point {found} is damaged ({damage}); trying the one before it", stacklevel=2)
            continue
        return ResumePoint(found, load_file(found / STATE), read_json(found / PROGRESS))
    return None


def find_damage(resume_point: Path) -> str | None:
    """What is wrong with the files of a resume point, or None."""
    try:
        manifest = read_json(resume_point / MANIFEST)
        for name in (STATE, PROGRESS):
            if sha256_of_file(resume_point / name) != manifest[name]:
                return f"{name} is not what {MANIFEST} says"
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def _newest_first(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if path.name.isdigit()), key=lambda path: -int(path.name))
