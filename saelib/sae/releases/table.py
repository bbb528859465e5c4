"""Which repository and folder SAELens means by a release and the name of an SAE in it.

In: SAELens's list of releases (`pretrained_saes.yaml`), where it is at hand. Out: the place of an SAE, and what the
list changes in its config. A release that is no name of the list is a repository on the hub, as it is to SAELens.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from saelib.run.reading import as_object, naming_damage
from saelib.sae.releases.hub import is_repository

LIST = "pretrained_saes.yaml"
NESTED = "SAE_LOOKUP"  # in lists of SAELens before version 4
KNOWN = {"gpt2-small-res-jb": "jbloom/GPT2-Small-SAEs-Reformatted",
         "gpt2-small-res-jb-feature-splitting": "jbloom/GPT2-Small-Feature-Splitting-Experiment-Layer-8"}  # fmt: skip
"""Releases of plain ReLU SAEs whose folders are called as the SAEs are: had without the list."""
SHOWN = 5  # names in a message


class Place(NamedTuple):
    """Of an SAE on the hub."""

    repository: str
    folder: str
    overrides: Mapping[str, Any]
    """What SAELens's list says in place of the SAE's own config."""


def place_of(release: str, sae_id: str, table: Path | str | None = None) -> Place:
    """Where an SAE of a release lies.

    Args:
        table: SAELens's list; None takes that of an installed `sae_lens`, which is not imported.

    Raises:
        ValueError: the release has no such SAE, its files are of a layout that is not read here, or its name is in no
            list that is at hand.
        FileNotFoundError: `table` is not there, or is a folder.
        DamagedFileError: it cannot be read.
    """
    path = _own_list() if table is None else _given_list(table)
    entry = None if path is None else _entry(path, release)
    if entry is not None:
        return _place(release, sae_id, entry)
    if release in KNOWN:
        return Place(KNOWN[release], sae_id, {})
    if is_repository(release):
        return Place(release, sae_id, {})
    at_hand = "no list of SAELens's releases is at hand" if path is None else f"{path} does not name it"
    raise ValueError(
        f"release={release!r}: {at_hand}; give table='.../{LIST}' of an installed sae_lens, or the repository itself "
        "as the release (owner/name) and the SAE's folder as sae_id; a folder of this machine of that name is not there"
    )


def _place(release: str, sae_id: str, entry: "_Entry") -> Place:
    if entry.conversion:
        raise ValueError(
            f"release={release!r}: its files are of another layout than SAELens's (conversion_func "
            f"{entry.conversion!r}), and are not read here: load one with SAELens and save it again"
        )
    if sae_id not in entry.folders:
        more = f" and {len(entry.folders) - SHOWN} more" if len(entry.folders) > SHOWN else ""
        raise ValueError(f"sae_id={sae_id!r}: release {release} has {', '.join([*entry.folders][:SHOWN])}{more}")
    return Place(entry.repository, entry.folders[sae_id], entry.overrides)


class _Entry(NamedTuple):
    """Of the list: a release."""

    repository: str
    folders: Mapping[str, str]
    """By the name of the SAE."""
    conversion: str | None
    """What SAELens makes its own files with; None where the release has them."""
    overrides: Mapping[str, Any]


def _given_list(table: Path | str) -> Path:
    """The list that is given by its file.

    Raises:
        FileNotFoundError: it is none.
    """
    path = Path(table).expanduser()
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "there is no such file"
        raise FileNotFoundError(f"table={str(table)!r}: {fault}; give the {LIST} of an installed sae_lens")
    return path


def _own_list() -> Path | None:
    """The list of the `sae_lens` that is installed; None without one."""
    found = find_spec("sae_lens")
    path = Path(found.origin).with_name(LIST) if found is not None and found.origin else None
    return path if path is not None and path.is_file() else None


def _entry(path: Path, release: str) -> _Entry | None:
    """A release of the list; None where it has none of that name."""
    with naming_damage(path, "no list of releases", "take it from an installed sae_lens again"):
        releases = as_object(_yaml(path))
        releases = as_object(releases.get(NESTED, releases))
        if release not in releases:
            return None
        entry = as_object(releases[release])
        folders = {str(one["id"]): str(one.get("path", one["id"])) for one in map(as_object, entry["saes"])}
        overrides = as_object(entry.get("config_overrides") or {})
        return _Entry(str(entry["repo_id"]), folders, entry.get("conversion_func"), overrides)


def _yaml(path: Path) -> Any:
    import yaml

    fast = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the list has tens of thousands of lines
    try:
        return yaml.load(path.read_text(encoding="utf-8"), fast)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
