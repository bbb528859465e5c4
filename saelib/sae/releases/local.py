"""The folder on this machine that a release may be.

In: what was asked for. Out: the SAE's folder; nothing where it can only be a name, of a list or on the hub.
"""

from pathlib import Path

from saelib.sae.releases.hub import is_inside

SHOWN = 200  # signs of a name in a message


def local_folder(release: object, sae_id: object = "") -> Path | None:
    """Where the SAE lies; None where the release is a name and no folder.

    Raises:
        ValueError: the release is neither a path nor a name, or `sae_id` can be no folder inside it.
        FileNotFoundError: it is written as a path, and no folder is there.
    """
    if not isinstance(release, str | Path) or not str(release).strip():
        raise ValueError(
            f"release={release!r}: should be a name of SAELens's list, a repository (owner/name) or a folder"
        )
    if not isinstance(sae_id, str):
        raise ValueError(f"sae_id={sae_id!r}: should be the name of an SAE, or its folder in the release")
    shown = f"release={str(release)[:SHOWN]!r}"
    try:
        path = Path(release).expanduser()
        is_folder, is_file = path.is_dir(), path.is_file()
    except (OSError, RuntimeError) as error:  # longer than a disk takes; the home of nobody
        raise FileNotFoundError(f"{shown}: cannot be a folder ({getattr(error, 'strerror', error)})") from None
    if is_folder:
        if not is_inside(sae_id):
            raise ValueError(f"sae_id={sae_id!r}: is no folder inside {path}")
        return path / sae_id
    if is_file:
        raise FileNotFoundError(f"{shown}: is a file; give the folder that it is in")
    if not _is_name(release):
        raise FileNotFoundError(f"{shown}: there is no such folder")
    return None


def _is_name(release: str | Path) -> bool:
    """Whether it may be one of a list or on the hub: `name` or `owner/name`, and not written as a path."""
    return isinstance(release, str) and release[0] not in "./~" and release.count("/") < 2 and "\\" not in release
