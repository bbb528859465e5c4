"""Checksums beside files: whether a folder holds what was written, or each part of it.

In: a folder. Out: `manifest.json` in it (SHA-256 of each file, by its name), and what differs from it. A folder without
one was written by somebody else, or by an earlier release: nothing is known of it.
"""

from pathlib import Path

from saelib.run.files import sha256_of_file, write_json
from saelib.run.reading import DamagedFileError, as_object, read_json

MANIFEST = "manifest.json"
REMEDY = "put it back from a copy, or delete its whole folder to have what is in it made again"


def write_manifest(folder: Path) -> None:
    """Note every file in a folder that is just being filled."""
    write_json(folder / MANIFEST, {path.name: sha256_of_file(path) for path in _files(folder)})


def find_damage(folder: Path, *needed: str) -> str | None:
    """What is wrong with the files of a folder, as a sentence; None where all are what its manifest says.

    Args:
        needed: files that the manifest has to name; others may be beside those that it names.
    """
    try:
        known = read_json(folder / MANIFEST, _as_sums)
        there = {path.name: path for path in _files(folder)}
        if unknown := sorted({*needed} - known.keys()):
            return f"{MANIFEST} does not name {unknown[0]}"
        for name, checksum in known.items():
            if name not in there:
                return f"{name} is missing, which {MANIFEST} names"
            if sha256_of_file(there[name]) != checksum:
                return f"{name} is not what {MANIFEST} says"
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except (OSError, DamagedFileError) as error:
        return str(error)
    return None


def note_part(folder: Path, name: str) -> None:
    """Note a file that was just written into a folder which grows; the first time, all that are there."""
    known = known_parts(folder) or {path.name: sha256_of_file(path) for path in _files(folder)}
    write_json(folder / MANIFEST, dict(sorted({**known, name: sha256_of_file(folder / name)}.items())))


def forget_part(folder: Path, name: str) -> None:
    """Have a part count no longer, before it is written anew: a process killed in between leaves one to be made."""
    known = known_parts(folder)
    if known.pop(name, None) is None:
        return
    if known:
        write_json(folder / MANIFEST, known)
    else:
        (folder / MANIFEST).unlink()


def known_parts(folder: Path) -> dict[str, str]:
    """SHA-256 of each part that was noted, by its name; empty where none was.

    Raises:
        DamagedFileError: the manifest is damaged.
    """
    path = folder / MANIFEST
    return dict(read_json(path, _as_sums, REMEDY)) if path.is_file() else {}


def lost_parts(folder: Path) -> list[str]:
    """Names of parts that were noted and are not there: whoever writes never leaves one so.

    Raises:
        DamagedFileError: the manifest is damaged.
    """
    return [name for name in known_parts(folder) if not (folder / name).is_file()]


def has_part(path: Path) -> bool:
    """Whether a part was written to its end: one that a killed process left unnoted is written again."""
    known = known_parts(path.parent)
    return path.is_file() and (not known or path.name in known)


def check_part(path: Path) -> None:
    """Refuse a part that is not what was written; one in a folder without a manifest is believed.

    Raises:
        DamagedFileError: its content is another, or the folder's manifest does not know it.
    """
    known = known_parts(path.parent)
    if known and known.get(path.name) != sha256_of_file(path):
        raise DamagedFileError(
            f"{path} is not what {MANIFEST} beside it says; put it back from a copy, or delete it to have it made again"
        )


def _files(folder: Path) -> list[Path]:
    """Those of a folder without what is hidden, such as temporary files."""
    return sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != "." and path.name != MANIFEST)


def _as_sums(value: object) -> dict[str, str]:
    sums = as_object(value)
    if not all(isinstance(known, str) for known in sums.values()):
        raise TypeError("it should hold a SHA-256 for each file")
    return sums
