"""The machine that a benchmark runs on, and what else runs on it.

In: /proc where there is one (Linux). Out: the processor in a few words, and how many of its cores other programs use:
a number measured beside a busy neighbour is not the machine's.
"""

import os
import platform
import sys
import time
from pathlib import Path

REST = 0.1  # cores that other programs may use when a round begins
DISTURBED = 0.2  # and during a run, before its number is called disturbed: 0.1 is seen on a machine at rest
LOOK_SECONDS, WAIT_SECONDS = 2.0, 120.0
STAT = Path("/proc/stat")
IDLE_FIELDS = (3, 4)  # idle and iowait, of the line "cpu" in /proc/stat (man 5 proc)
GUEST_FIELDS = (8, 9)  # counted in user and nice already


def machine() -> str:
    """Processor and cores, in a few words."""
    model = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def busy_core_seconds() -> float | None:
    """Core-seconds that all programs together have used since the machine was started; None where nothing tells.

    Time that a hypervisor gave to other machines (steal) counts as used.
    """
    if not STAT.exists():
        return None
    fields = [int(field) for field in STAT.read_text(encoding="utf-8").splitlines()[0].split()[1:]]
    used = sum(ticks for place, ticks in enumerate(fields) if place not in (*IDLE_FIELDS, *GUEST_FIELDS))
    return used / os.sysconf("SC_CLK_TCK")


def other_cores(before: float | None, seconds: float, own_cpu_seconds: float) -> float | None:
    """Cores that other programs used since `busy_core_seconds` was `before`.

    Args:
        before: what it was, `seconds` of wall time ago.
        seconds: how long to look at.
        own_cpu_seconds: what the measured program itself used in that time.
    """
    after = busy_core_seconds()
    if before is None or after is None or seconds <= 0:
        return None
    return max(0.0, (after - before - own_cpu_seconds) / seconds)


def cores_in_use(look_seconds: float = LOOK_SECONDS) -> float | None:
    """Cores in use over the next seconds, while this program sleeps."""
    before, start = busy_core_seconds(), time.perf_counter()
    time.sleep(look_seconds)
    return other_cores(before, time.perf_counter() - start, 0.0)


def wait_for_rest(wait_seconds: float = WAIT_SECONDS, look_seconds: float = LOOK_SECONDS) -> float | None:
    """Cores in use once they are fewer than `REST`, or after the longest wait."""
    end = time.monotonic() + wait_seconds
    used = cores_in_use(look_seconds)
    while used is not None and used > REST and time.monotonic() < end:
        print(f"other programs use {used:.1f} cores; waiting for them ...", file=sys.stderr, flush=True)
        used = cores_in_use(look_seconds)
    return used
