"""The command that starts a run, or goes on with it: what errors and reports advise.

In: what a run was started with. Out: one line for the shell.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any


def make_command(preset: str, run: str, seed: int | None, htest: Mapping[str, Any] | None = None) -> str:
    """The shortest command that starts this run or goes on with it.

    It is quoted once, for the shell: the Makefile reads nothing into a value, a dollar sign included.

    Args:
        htest: overrides of the H-Test config.
    """
    settings = {"PRESET": (preset, "tiny"), "RUN": (run, preset), "SEED": (str(seed), "None"),
                "HTEST": (json.dumps(htest or {}), "{}")}  # fmt: skip
    chosen = [f"{name}={shlex.quote(value)}" for name, (value, default) in settings.items() if value != default]
    return " ".join(["make reproduce", *chosen])
