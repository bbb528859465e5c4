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


def time_in_words(seconds: float) -> str:
    """A duration: "8 s", "12 min", "3 h 20 min"."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def rate_in_words(per_second: float) -> str:
    """A speed, as the time of one where there is less than one a second: "1,200 per second", "2.5 s each"."""
    if per_second >= 1:
        return f"{per_second:,.{0 if per_second >= 10 else 1}f} per second"
    seconds = 1 / per_second
    return f"{seconds:.1f} s each" if seconds < 10 else f"{time_in_words(seconds)} each"


def _lines(title: str, total: int, done: int, unit: str) -> Progress:
    started = last = time.monotonic()
    first = done

    def update(amount: int) -> None:
        nonlocal done, last
        done += amount
        now = time.monotonic()
        if done > first and (now - last >= QUIET_SECONDS or (done == total and last > started)):
            rate = (done - first) / max(now - started, 1e-9)
            left = f"about {time_in_words((total - done) / rate)} to go" if done < total else "done"
            said = f"{title}: {time_in_words(now - started)} so far, {left} ({done:,} of {total:,} {unit}s"
            print(f"{said}, {rate_in_words(rate)})", file=sys.stderr)
            last = now

    return update
