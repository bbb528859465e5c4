"""The items that the authors of H-Test released, as they are.

In: a local folder, or the authors' public repository at one commit, fetched once and kept. Out: items with the row
numbers of the files. The files hold wrong and repeated rows (`audit` counts them); none is mended here.
"""

import hashlib
import itertools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from saelib.htest.items.item import Item
from saelib.run.files import cache_folder, sha256_of_file
from saelib.run.reading import DamagedFileError, read_json, read_json_lines

REPOSITORY = "https://github.com/brucewlee/h-test"
COMMIT = "4787987031d0a6db3a2c8f965dfb2a8b3ebe0fae"
SOURCE = f"https://raw.githubusercontent.com/brucewlee/h-test/{COMMIT}"
SEED = 12062023
OFFICIAL_SET = f"official-{COMMIT[:7]}"
SUMS = Path(__file__).with_name("official_sha256.json")  # path in the repository: SHA-256
PATIENCE = 10  # seconds for a connection, and for each answer
TEXT_KEYS = ("centerpiece", "question")  # one of the files uses the second


class OfficialItemsUnavailable(FileNotFoundError):
    """The released items are not in the cache and cannot be fetched."""


def load_official(folder: Path | None = None) -> list[Item]:
    """The released items: ten tasks, dev and test, and the test items of letter geometry.

    Args:
        folder: holds the files as the authors' repository does, in the folders dev and test, or side by side. Files
            that were changed are loaded too; their set of items is then called "local-...". None fetches the files.

    Raises:
        FileNotFoundError: the folder or a file in it is missing; `OfficialItemsUnavailable` where they are neither
            cached nor can be fetched.
        ValueError: a line cannot be read, or what was fetched is not what was released.
    """
    paths = fetch_official() if folder is None else _find(folder)
    item_set = _item_set(paths)
    return [item for name, path in paths.items() for item in _read(path, *_task_and_split(name), item_set)]


def fetch_official() -> dict[str, Path]:
    """The released files by their names, from the cache or else from the authors' repository; SHA-256 is checked.

    Raises:
        OfficialItemsUnavailable: a file is not in the cache and cannot be fetched.
        DamagedFileError: one that is in the cache is not what was released, and cannot be fetched anew.
        ValueError: what came has another SHA-256 than what was released.
    """
    import pooch

    folder = cache_folder() / "htest_official"
    registry = {Path(path).name: f"sha256:{digest}" for path, digest in released_sums().items()}
    urls = {Path(path).name: f"{SOURCE}/{path}" for path in released_sums()}
    files = pooch.create(folder, base_url=f"{SOURCE}/", registry=registry, urls=urls)
    pooch.get_logger().setLevel("WARNING")
    try:
        return {name: Path(files.fetch(name, downloader=_download)) for name in registry}
    except DamagedFileError:
        raise
    except ValueError as error:
        raise ValueError(f"{error} Run again, or give a clone of {REPOSITORY} at {COMMIT[:7]}.") from error


def released_sums() -> dict[str, str]:
    """SHA-256 of each released file by its path in the authors' repository, in the order of `TASKS`."""
    sums: dict[str, str] = read_json(SUMS)
    return sums


def _download(url: str, output_file: Any, files: Any) -> None:
    """Get one file for pooch, without retries, so that a machine without a network says so soon."""
    import pooch
    from requests import RequestException

    remedy = f"clone {REPOSITORY}, check out {COMMIT[:7]} and give that folder, or run once with a network"
    try:
        if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
            raise RequestException("HF_HUB_OFFLINE forbids to fetch it")
        pooch.HTTPDownloader(timeout=PATIENCE)(url, output_file, files)
    except RequestException as error:
        cached = Path(files.abspath) / Path(url).name
        if cached.is_file():  # no reason to go on without it, as if it had never been there
            raise DamagedFileError(
                f"{cached} is not what was released, and cannot be fetched anew ({error}); {remedy}"
            ) from error
        raise OfficialItemsUnavailable(f"{url} is not cached, and cannot be fetched ({error}); {remedy}") from error


def _find(folder: Path) -> dict[str, Path]:
    """The released files in a local folder, by their names."""
    if not folder.is_dir():
        raise FileNotFoundError(f"folder {folder} with the released H-Test items does not exist; clone {REPOSITORY}")
    found = {}
    for path in released_sums():
        name = Path(path).name
        places = (folder / path, folder / _task_and_split(name)[1] / name, folder / name)
        present = [place for place in places if place.is_file()]
        if present:
            found[name] = present[0]
    missing = [Path(path).name for path in released_sums() if Path(path).name not in found]
    if missing:
        raise FileNotFoundError(
            f"folder {folder} lacks {', '.join(missing)}; they are in {REPOSITORY}, and may lie here as they do there, "
            "in folders dev and test, or side by side"
        )
    return found


def _item_set(paths: dict[str, Path]) -> str:
    digests = {name: sha256_of_file(path) for name, path in paths.items()}
    if digests == {Path(path).name: digest for path, digest in released_sums().items()}:
        return OFFICIAL_SET
    return f"local-{hashlib.sha256(''.join(digests.values()).encode()).hexdigest()[:7]}"


def _task_and_split(path: str) -> tuple[str, str]:
    """What a file's name says: ("rhyme", "dev") for ".../rhyme_dev.jsonl"."""
    task, _, split = Path(path).stem.rpartition("_")
    return task, split


def _read(path: Path, task: str, split: str, item_set: str) -> list[Item]:
    rows = itertools.count(1)
    return read_json_lines(path, lambda values: _item(values, rows, task, split, item_set))


def _item(values: dict[str, Any], rows: Iterator[int], task: str, split: str, item_set: str) -> Item:
    label, options = label_and_options(values)
    texts = [values[key] for key in TEXT_KEYS if key in values]
    if not texts or not isinstance(texts[0], str):
        raise ValueError(f"there is no text in {values}; it should stand under one of {', '.join(TEXT_KEYS)}")
    return Item(
        task=task,
        split=split,
        row=next(rows),
        text=texts[0],
        label=label,
        options=options,
        seed=SEED,
        item_set=item_set,
    )


def label_and_options(values: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The right option of a line, and all of them, as the authors write them: options, and the place of the right one.

    Raises:
        ValueError: not one of the options is right.
        KeyError: the line has no options.
    """
    options, right = values["options"], values["correct_options"]
    for name, value in (("options", options), ("correct_options", right)):
        if not isinstance(value, list):
            raise ValueError(f"{name}={value!r:.60} should be a list")
    if len(right) != 1 or type(right[0]) is not int or right[0] not in range(len(options)):
        raise ValueError(f"correct_options is {right}; it should be the place of one of the options {options}")
    return options[right[0]], tuple(options)
