"""SAEs for others: folders of this library as files of a repository on the Hugging Face Hub, with a card.

In: finished SAE folders by their place in the repository, and the card's text. Out: an `Upload`, which can be looked at
before anything is sent. Names of folders on this machine are cut to their last part in it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from saelib.language.hub import HubError, fetching, network_errors
from saelib.run.files import replace_folder
from saelib.run.manifest import MANIFEST
from saelib.run.reading import read_json_object
from saelib.run.secrets import one_line
from saelib.sae.folder import CONFIG, COPY, LINEAGE, WEIGHTS, check_sae, load_sae
from saelib.sae.releases.hub import check_repository, is_inside

CARD = "README.md"
NAMES = {CARD, CONFIG, LINEAGE, WEIGHTS}  # of files, and so of no folder
MEGABYTE = 10**6
SHOWN = 6  # files of the list that a dry run prints, at each end
FILES = 90  # of a commit: the hub takes its time over many


@dataclass(frozen=True)
class Upload:
    """What goes into a repository, or went there."""

    repository: str
    files: Mapping[str, bytes | Path]
    """By their place: a text as it is sent, or the file on this machine."""
    commit: str | None = None
    """What came of it; None where nothing was sent."""

    @property
    def card(self) -> str:
        """The page of the repository."""
        return _content(self.files[CARD]).decode()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(_size, self.files.values()))

    def __str__(self) -> str:
        """Which files go where, and how large they are."""
        lines = [f"  {place} ({_size(content) / MEGABYTE:.2f} MB)" for place, content in self.files.items()]
        if len(lines) > 2 * SHOWN:
            lines[SHOWN:-SHOWN] = [f"  ... {len(lines) - 2 * SHOWN} files more"]
        done = f"sent as commit {self.commit}" if self.commit else "nothing was sent; dry_run=False sends it"
        head = f"{self.repository}: {len(self.files)} files, {self.size / MEGABYTE:.2f} MB; {done}"
        return "\n".join([head, *lines])

    __repr__ = __str__

    def write(self, folder: Path | str) -> Path:
        """The same files in a folder of this machine, which `load_release` and SAELens read as they would the hub's.

        Args:
            folder: a new or an empty one, or one with the files of this name alone that were written there before.

        Raises:
            FileExistsError: something else is there; nothing of it is touched.
        """
        _check_free(folder := Path(folder).expanduser(), self.files)

        def fill(temporary: Path) -> None:
            for place, content in self.files.items():
                (temporary / place).parent.mkdir(parents=True, exist_ok=True)
                (temporary / place).write_bytes(_content(content))

        replace_folder(folder, fill)
        return folder


def upload_of(repository: str, folders: Mapping[str, Path], card: str) -> Upload:
    """What goes into a repository; looks at every SAE, and sends nothing.

    Args:
        folders: of finished SAEs, by their place in the repository.

    Raises:
        ValueError: no repository can have this name, or a place is none inside one, or that of two; or there is no SAE,
            or one of somebody else, which has no checksums, is none that is read here.
        FileNotFoundError, DamagedFileError: a folder is not what was written.
    """
    check_repository(repository)
    if not folders:
        raise ValueError(f"there is no SAE to send to {repository}")
    files: dict[str, bytes | Path] = {CARD: card.encode()}
    for asked, folder in folders.items():
        place = _one_way(asked)
        if f"{place}/{WEIGHTS}" in files:
            raise ValueError(f"place {asked!r} is taken by another SAE; give each a folder of its own")
        (check_sae if (folder / MANIFEST).is_file() else load_sae)(folder)
        for name in (CONFIG, LINEAGE):
            if (folder / name).is_file():
                files[f"{place}/{name}"] = _public(read_json_object(folder / name, COPY))
        files[f"{place}/{WEIGHTS}"] = folder / WEIGHTS
    return Upload(repository, files)


def send(upload: Upload, private: bool = True) -> Upload:
    """Make the repository, if it is not there, and commit all files, the page last; what is there is not sent again.

    A file at the same place with another content is replaced, the page too; the hub's history keeps what was there.

    Args:
        private: whether a repository that is made now is; one that is there stays what it is.

    Raises:
        HubError: the hub did not take it; the message says why, without the token.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    places = sorted(upload.files, key=CARD.__eq__)  # the page last
    parts = [places[start : start + FILES] for start in range(0, len(places), FILES)]
    try:
        with fetching(f"upload to {upload.repository}"):
            api = HfApi()
            api.create_repo(upload.repository, private=private, exist_ok=True)
            for number, part in enumerate(parts, start=1):
                files = [CommitOperationAdd(place, upload.files[place]) for place in part]
                message = f"SAEs, part {number} of {len(parts)}"
                made = api.create_commit(upload.repository, files, commit_message=message)
    except network_errors() as error:
        raise HubError(
            f"upload to {upload.repository}: the hub did not take it ({one_line(error)}); log in by `hf auth login` "
            "with a token that may write there, and run again: what has arrived is not sent twice"
        ) from error
    return Upload(upload.repository, upload.files, str(made.oid))


def _one_way(place: str) -> str:
    """The folder of an SAE in a repository as the hub writes it: "./a//b/" is "a/b".

    Raises:
        ValueError: it is none.
    """
    parts = PurePosixPath(place).parts
    if not parts or not is_inside(place) or NAMES.intersection(parts):
        raise ValueError(f"place {place!r} is none inside a repository; name a folder, as 'forward/L3/seed0'")
    return "/".join(parts)


def _check_free(folder: Path, files: Mapping[str, Any]) -> None:
    """Refuse a folder with anything in it but the same files: what is written takes the place of the whole folder.

    Raises:
        FileExistsError: there is something.
    """
    if (folder.exists() and not folder.is_dir()) or not _holds_only(folder, files):
        raise FileExistsError(f"{folder} holds something else, which would be lost; name a folder that is not there")


def _holds_only(folder: Path, files: Mapping[str, Any]) -> bool:
    """Whether a folder has all these files and no others, or is empty or not there; a large one is not read through."""
    known = {*files} | {str(parent) for file in files for parent in PurePosixPath(file).parents} - {"."}
    found = set()
    for path in folder.rglob("*"):
        if (name := path.relative_to(folder).as_posix()) not in known:
            return False
        found.add(name)
    return not found or found == known


def _public(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(_without_places(dict(values)), indent=2) + "\n").encode()


def _without_places(value: Any) -> Any:
    """The same with the last part of each path of this machine in its place."""
    if isinstance(value, dict):
        return {name: _without_places(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_places(part) for part in value]
    return public_name(value) if isinstance(value, str) else value


def public_name(name: str) -> str:
    """A name for others: of a path of this machine the last part."""
    is_path = name.startswith(("/", "~", "./", "../")) or "\\" in name or name.count("/") > 1
    return PurePosixPath(name.replace("\\", "/")).name if is_path else name


def _content(content: bytes | Path) -> bytes:
    return content if isinstance(content, bytes) else content.read_bytes()


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size
