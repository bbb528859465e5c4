"""One SAE out of a repository on the Hugging Face Hub: its folder in the hub's cache, whole and of one commit.

In: a repository's name, a revision, and the folder of an SAE. Out: where it lies on this machine. What was fetched once
is read without a network.
"""

import re
from contextlib import suppress
from pathlib import Path, PurePosixPath

from saelib.language.hub import ask_hub, fetching, network_errors
from saelib.run.files import sha256_of_file
from saelib.run.reading import DamagedFileError
from saelib.run.secrets import one_line
from saelib.sae.folder import CONFIG, LINEAGE, WEIGHTS

NAME = re.compile(r"\b[\w.-]{1,96}\b/\b[\w.-]{1,96}\b", re.ASCII)  # of a repository, as the hub takes it
COMMIT = re.compile(r"[0-9a-f]{40}")
HASH = re.compile(r"[0-9a-f]{64}")  # by which the hub's cache names a large file


def is_repository(name: object) -> bool:
    """Whether a name can be that of a repository: the hub's own rule, which leads nowhere else."""
    if not isinstance(name, str):
        return False
    return NAME.fullmatch(name) is not None and not any(run in name for run in ("..", "--")) and name[-4:] != ".git"


def check_repository(name: object) -> None:
    """Refuse what no repository can be called.

    Raises:
        ValueError: none can have this name.
    """
    if not is_repository(name):
        raise ValueError(f"repository {name!r}: a name on the hub is owner/name")


def is_inside(folder: str) -> bool:
    """Whether a folder of this name is inside a repository, or the repository itself."""
    parts = PurePosixPath(folder).parts
    is_plain = folder.isprintable() and "\\" not in folder and not folder.startswith("/")
    return is_plain and not any(part == ".." or part.lower().startswith(".git") for part in parts)


def commit_of(repository: str, revision: str | None = None) -> str:
    """The commit that a revision is now; without a network, the one that it was when it was asked for last.

    Args:
        revision: branch, tag or commit; the main branch if not given.

    Raises:
        ValueError: no repository can have this name, or no revision.
        FileNotFoundError: there is no such repository or revision, or it cannot be had.
    """
    check_repository(repository)
    if not isinstance(revision, str | None) or revision == "":
        raise ValueError(f"revision={revision!r}: should be a branch, tag or commit, or None for the main branch")
    if revision is not None and COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi

    try:
        return ask_hub(f"SAEs {repository}", lambda: HfApi().resolve_revision(repository, revision=revision).resolved)
    except network_errors() as error:
        wanted = repository if revision is None else f"{repository} at revision {revision}"
        raise FileNotFoundError(
            f"SAEs {wanted}: not in the Hugging Face cache, and cannot be fetched from the hub ({one_line(error)}); "
            f"check the name, or run `hf download {repository}` where there is a network"
        ) from error


def fetched_folder(repository: str, folder: str, commit: str) -> Path:
    """Where the files of an SAE lie in the hub's cache, fetched if they are not there yet.

    Args:
        folder: of the SAE in the repository; empty where the repository is one SAE.

    Raises:
        ValueError: the folder is none of the repository's by its name.
        FileNotFoundError: it is not there, or cannot be had; the message names the file.
        DamagedFileError: a file in the cache was changed since it was fetched.
    """
    if not is_inside(folder):
        raise ValueError(f"folder {folder!r} is none inside a repository")
    files = [str(PurePosixPath(folder) / name) for name in (CONFIG, WEIGHTS)]
    config, weights = (_fetched(repository, file, commit) for file in files)
    _check_whole(weights, repository, files[1])
    _fetch_lineage(repository, folder, commit)
    return config.parent


def _fetch_lineage(repository: str, folder: str, commit: str) -> None:
    """Have `lineage.json` beside the SAE too, which only this library writes: it is no fault where there is none."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    file = str(PurePosixPath(folder) / LINEAGE)
    with suppress(EntryNotFoundError), fetching(f"SAEs {repository}, {file}"):
        hf_hub_download(repository, file, revision=commit)


def _fetched(repository: str, file: str, commit: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    try:
        with fetching(f"SAEs {repository}, {file}"):
            return Path(hf_hub_download(repository, file, revision=commit))
    except RemoteEntryNotFoundError as error:
        raise FileNotFoundError(
            f"SAEs {repository}: there is no {file}; what is read here is a folder as SAELens saves one, with {CONFIG} "
            f"and {WEIGHTS} (no .npz, no .pt): see which folders the repository has, or give another revision"
        ) from error
    except network_errors() as error:
        raise FileNotFoundError(
            f"SAEs {repository}: {file} is not in the Hugging Face cache and cannot be fetched ({one_line(error)}); "
            f"run `hf download {repository} {file} --revision {commit}` where there is a network, then run again"
        ) from error


def _check_whole(path: Path, repository: str, file: str) -> None:
    known = path.resolve().name
    if HASH.fullmatch(known) and sha256_of_file(path) != known:
        raise DamagedFileError(
            f"SAEs {repository}: {path} was changed since it was fetched; run `hf download {repository} {file} "
            "--force-download` where there is a network"
        )
