"""How PyTorch's threads wait for each other: a moment awake, then asleep.

In: nothing but the environment. Out: settings in it that OpenMP reads when torch is first imported. By default threads
spin for milliseconds after every operation; beside another busy program they do so on the core that the thread they
wait for needs, and everything takes several times as long (results/benchmark_busy.md). Threads that sleep at once cost
short operations up to two fifths of their speed on a machine at rest; a moment awake keeps most of it.
"""

import os

LOOKS = "3000"  # of a waiting thread before it sleeps, by GNU's OpenMP (Linux); others sleep at once


def wait_passively() -> None:
    """Set how threads wait, where the user has not: call it before torch is imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
        os.environ.setdefault("GOMP_SPINCOUNT", LOOKS)
