"""The command that starts a run, or goes on with it: what errors and reports advise.

In: what a run was started with. Out: one line for the shell.
"""

import json
import shlex
from collections.abc import Mapping
from typing import Any


def make_command(
    preset: str, run: str, seed: int | None, fields: Mapping[str, Mapping[str, Any]] | None = None
) -> str:  # fmt: skip
    """The shortest command that starts this run or goes on with it.

    It is quoted once, for the shell: the Makefile reads nothing into a value, a dollar sign included.

    Args:
        fields: overrides of configs, by the name of their setting: "transfer", "interpret", "htest".
    """
    settings = {"PRESET": (preset, "tiny"), "RUN": (run, preset), "SEED": (str(seed), "None")}
    settings |= {name.upper(): (json.dumps(dict(one)), "{}") for name, one in (fields or {}).items()}
    chosen = [f"{name}={shlex.quote(value)}" for name, (value, default) in settings.items() if value != default]
    return " ".join(["make reproduce", *chosen])
