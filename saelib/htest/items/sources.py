"""Where a run's items come from: the released files, our own generators, or a file.

In: a source's name. Out: items. The released ones are MIT-licensed but not part of this kit: they are fetched.
"""

from pathlib import Path

from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item, read_items
from saelib.htest.items.official import OfficialItemsUnavailable, load_official


def load_items(source: str, seed: int = 0, test: int = 200) -> list[Item]:
    """Items of one source.

    Args:
        source: "official", "fresh", or the path of an `items.jsonl` or of a folder with the released files.
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
    path = Path(source).expanduser()
    if path.is_dir():
        return load_official(path)
    if not path.is_file():
        raise FileNotFoundError(f"items={source!r}: no such file; give 'official', 'fresh', a file or a folder")
    return read_items(path)


def items_of_run(official: str, seed: int, test: int) -> list[Item]:
    """Official items, if they are wanted and can be read, and fresh ones behind them.

    Args:
        official: as in `HTestConfig`: "auto", "none", or a folder.
        seed: of the fresh items.
        test: fresh test items of each task.

    Raises:
        FileNotFoundError: a folder was given and lacks a file.
    """
    released: list[Item] = []
    if official == "auto":
        try:
            released = load_items("official")
        except OfficialItemsUnavailable:
            released = []  # the notebooks say so, and what to do
    elif official != "none":
        released = load_official(Path(official).expanduser())
    return released + load_items("fresh", seed, test)
