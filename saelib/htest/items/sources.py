"""Where a run's items come from: the released files, our own generators, or a file.

In: a source's name. Out: items. The released ones are MIT-licensed but not part of this kit: they are fetched.
"""

from collections.abc import Sequence
from pathlib import Path

from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import CONTENT_FREE, SPLITS, Item
from saelib.htest.items.official import OfficialItemsUnavailable, load_official, released_sums
from saelib.htest.items.plain import plain_files, read_plain
from saelib.run.files import sha256_of_file


def load_items(source: str, seed: int = 0, test: int = 200) -> list[Item]:
    """Items of one source.

    Args:
        source: "official", "fresh", or a path as in `load_path`.
        seed: of the fresh items.
        test: fresh test items of each task.

    Raises:
        FileNotFoundError: no such file, or the released ones are neither cached nor can be fetched.
        ValueError: a file does not hold items.
    """
    if source == "official":
        return load_official()
    if source == "fresh":
        return fresh_items(seed, test=test)
    return load_path(Path(source))


def load_path(path: Path) -> list[Item]:
    """Items of a file of one's own (`plain.read_plain`), or of a folder with the released files or with such files.

    Raises:
        FileNotFoundError: there is no such file or folder, or a folder lacks a released file.
        ValueError: a file does not hold items, or some of a split that the kit makes itself.
    """
    path = path.expanduser()
    if path.is_file():
        return _asked_or_shown(path, read_plain([path]))
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder; give 'official', 'fresh', or the path of items")
    files = plain_files(path)
    return load_official(path) if not files or _are_released(files) else _asked_or_shown(path, read_plain(files))


def _asked_or_shown(path: Path, items: list[Item]) -> list[Item]:
    """Items, refused where some are content-free questions, which would never be asked: each task has the same."""
    if unasked := [item for item in items if item.split == CONTENT_FREE]:
        raise ValueError(
            f"{path}: {len(unasked)} items are of the split {CONTENT_FREE!r} ({unasked[0].key}), which the kit makes "
            f"itself (calibration=True asks them); take them out, or name one of {', '.join(SPLITS)}"
        )
    return items


def _are_released(files: Sequence[Path]) -> bool:
    """Whether files are the authors', changed or not: one has the same content, or each name is there."""
    sums = released_sums()
    names = {Path(name).name for name in sums}
    return names <= {file.name for file in files} or any(
        file.name in names and sha256_of_file(file) in sums.values() for file in files
    )


def official_items(official: str) -> list[Item]:
    """What stands before the fresh items of a run.

    Args:
        official: as in `HTestConfig`: "auto", "released", "none", or a path.

    Raises:
        FileNotFoundError: the released items are wanted and cannot be had, or there is no such path.
        ValueError: the path does not hold items, or none to be asked.
    """
    if official == "none":
        return []
    if official not in ("auto", "released"):
        items = load_path(Path(official))
        if not any(item.split == "test" for item in items):
            raise ValueError(f"official={official!r}: there are no test items; name the split of those to be asked")
        return items
    try:
        return load_items("official")
    except OfficialItemsUnavailable:
        if official == "released":
            raise
        return []  # the notebooks say so, and what to do
