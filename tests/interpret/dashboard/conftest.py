"""The small run with its features profiled."""

import pytest

from saelib.interpret.features.profiles import make_profiles
from saelib.interpret.interpretation import Interpretation


@pytest.fixture(scope="session")
def profiled(interpretation: Interpretation) -> Interpretation:
    make_profiles(interpretation)
    return interpretation
