"""How many inputs a property is tried on: few and always the same ones in `make test`, many in `make test-faults`.

python -m pytest tests/properties                                # 30 inputs each
python -m pytest tests/properties --hypothesis-profile=faults    # 250 inputs each, other ones every time
"""

import pytest
from hypothesis import HealthCheck, settings

SLOW_IS_FINE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]  # each input writes files of its own

settings.register_profile(
    "quick", max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=SLOW_IS_FINE
)
settings.register_profile(
    "faults", max_examples=250, deadline=None, database=None, print_blob=True, suppress_health_check=SLOW_IS_FINE
)


def pytest_configure(config: pytest.Config) -> None:
    """The few, where nothing else is asked for."""
    if not config.getoption("--hypothesis-profile"):
        settings.load_profile("quick")
