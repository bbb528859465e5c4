"""How threads wait: set before torch reads it, and never over a user's own setting."""

import os
import subprocess
import sys

import pytest

from saelib.run.files import PROJECT
from saelib.run.waiting import LOOKS

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ({}, ["PASSIVE", LOOKS]),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, ["ACTIVE", "None"]),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, ["PASSIVE", "None"]),
        ({"GOMP_SPINCOUNT": "7"}, ["PASSIVE", "7"]),
    ],
)
def test_importing_saelib_sets_it_before_torch_is_there(own: dict[str, str], wanted: list[str]) -> None:
    code = f"import os, sys, saelib; assert 'torch' not in sys.modules; print(*map(os.environ.get, {NAMES}))"
    environment = {name: value for name, value in os.environ.items() if name not in NAMES} | own
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == wanted
