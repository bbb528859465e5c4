"""Progress of long work: a bar where a person watches, one line now and then in batch.

In: how much there is to do, in a unit. Out: text on standard error only, never a result.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

QUIET_SECONDS = 60  # between lines in batch


Progress = Callable[[int], Any]  # what the work is given: call it with the amount done since the last call


@contextmanager
def progress(title: str, total: int, done: int = 0, unit: str = "token") -> Iterator[Progress]:
    """A bar with rate and time left; one line per minute where `SAELIB_BATCH` is set (the Snakefile sets it).

    In batch, work of less than a minute says nothing.

    Args:
        total: units of all the work.
        done: units that an earlier, interrupted run has done already.
    """
    if os.environ.get("SAELIB_BATCH"):
        yield _lines(title, total, done, unit)
        return
    from tqdm.auto import tqdm

    with tqdm(desc=title, total=total, initial=done, unit=unit, unit_scale=True, leave=False) as bar:
        yield bar.update


def _lines(title: str, total: int, done: int, unit: str) -> Progress:
    started = last = time.monotonic()
    first = done

    def update(amount: int) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if now - last >= QUIET_SECONDS or (done == total and last > started):
            rate = (done - first) / max(now - started, 1e-9)
            left = (total - done) / rate / 60
            print(
                f"{title}: {done:,} of {total:,} {unit}s, {rate:,.0f} per second, {left:.0f} min left", file=sys.stderr
            )
            last = now

    return update
