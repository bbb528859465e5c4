"""The items of a run: made once and kept; sets and rows may come to them, and none that is there changes.

In: the items that a run has, and what its config asks for. Out: those and what is new (`grown`), with the content of
the file or folder that they came from. Replies are to items: one that changed would have replies to another text.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from saelib.htest.items.generators import fresh_items
from saelib.htest.items.item import Item, hash_items
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.items.sources import official_items
from saelib.htest.items.words import FRESH_SET, is_fresh
from saelib.htest.tasks import TASKS
from saelib.run.identity import check_inputs

NAMED = ("auto", "released", "none")  # values of `official` that are no path


class RunItems(NamedTuple):
    """All items of a run, old and new."""

    items: list[Item]
    """As `items.jsonl` shall hold them: those that were there first."""
    sets: tuple[str, ...]
    """Names of all sets, the one of the main table first."""
    inputs: dict[str, str]
    """Content of the path that the config names: hash of the items, and their sets."""


def grown(kept: Sequence[Item], official: str, seed: int, test: int, known: Mapping[str, str]) -> RunItems:
    """The items of a run and those that its config asks for beside them.

    Args:
        kept: what it has; empty where it begins.
        official: as in `HTestConfig`.
        seed: of the fresh items.
        test: test items of each task.
        known: what the run knows of its inputs.

    Raises:
        FileExistsError: the path named by `official` holds other items than when the run read it first.
        FileNotFoundError: items are wanted that cannot be had.
        ValueError: a set of this name is in the run with other items; the path holds fresh items of another seed; or
            more fresh items are wanted, and this release makes others than the run has.
    """
    released, main, inputs = _released(kept, official, known)
    _check_seed(released, official, seed)
    every = [*kept, *_new(kept, released, official)]
    every += _more_fresh(every, seed, test, has_begun=bool(kept))
    names = dict.fromkeys(item.item_set for item in every)
    return RunItems(every, tuple(sorted(names, key=lambda name: name not in main)), inputs)  # else as they came


def _released(
    kept: Sequence[Item], official: str, known: Mapping[str, str]
) -> tuple[list[Item], tuple[str, ...], dict[str, str]]:
    """Items that `official` means, as far as they must be read; the names of their sets; the content of its path."""
    there = {item.item_set for item in kept}
    if official in NAMED:
        settled = OFFICIAL_SET in there or (kept and official == "auto")
        return ([] if settled else official_items(official)), (OFFICIAL_SET,), {}
    name = f"official {official}"
    if name in known and not Path(official).expanduser().exists():  # the run has them; nobody needs the path
        return [], tuple(known[name].split()[1:]), {}
    items = official_items(official)
    sets = tuple(dict.fromkeys(item.item_set for item in items))
    content = {name: " ".join([hash_items(items), *sets])}
    check_inputs("the run's items were", known, content)
    return items, sets, content


def _check_seed(items: Sequence[Item], source: str, seed: int) -> None:
    """Refuse fresh items of two seeds: they would be asked as one set."""
    for item in items:
        if is_fresh(item.item_set) and item.seed != seed:
            raise ValueError(
                f"official={source!r}: its set {item.item_set!r} was generated from seed {item.seed}, and this run's "
                f"is from seed {seed}; open the run with seed={item.seed}, or give the set in the file another name"
            )


def _new(kept: Sequence[Item], items: Sequence[Item], source: str) -> list[Item]:
    """Those of sets that the run does not have."""
    there = {item.item_set for item in kept}
    for name in there & {item.item_set for item in items}:
        ours, theirs = ([item for item in some if item.item_set == name] for some in (kept, items))
        if not (set(theirs) <= set(ours) if is_fresh(name) else ours == theirs):  # a run may have more fresh ones
            raise ValueError(
                f"official={source!r}: the run has a set {name!r} with other items; give this one another name, or "
                "name another run"
            )
    return [item for item in items if item.item_set not in there]


def _more_fresh(there: Sequence[Item], seed: int, test: int, has_begun: bool) -> list[Item]:
    """Fresh items that the run does not have; rows are counted up, so that the first ones stay."""
    fresh = [item for item in there if is_fresh(item.item_set) and item.seed == seed]
    rows = [item.row for item in fresh if item.task in TASKS and item.split == "test"]
    if max(rows) >= test if rows else has_begun:
        return []
    wanted = fresh_items(seed, test=test)
    if fresh and ({item.item_set for item in fresh} != {FRESH_SET} or not set(fresh) <= set(wanted)):
        raise ValueError(
            f"test_items={test}: the run has {max(rows)} of each task, of another release "
            f"({fresh[0].item_set}), and this one makes other items ({FRESH_SET}); name another run"
        )
    have = set(fresh)
    return [item for item in wanted if item not in have]
