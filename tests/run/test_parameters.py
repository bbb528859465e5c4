"""From notebook cells to the config: everything that a parameters cell sets arrives, and nothing else does."""

from typing import Any

import numpy as np
import pytest

from saelib.run.parameters import notebook_parameters
from saelib.transfer.config import resolve_config

PARAMETERS = 'preset = "smoke"\nrun = None\nseed = 0'


def notebook(*cells: str) -> dict[str, Any]:
    """The namespace after running cells as IPython does: with their texts in `In`."""
    namespace: dict[str, Any] = {"In": [""], "Out": {}, "get_ipython": None, "exit": None, "quit": None, "_i": "x"}
    for cell in cells:
        namespace["In"].append(cell)
        exec(cell, namespace)
    return namespace


def test_the_cells_own_parameters_make_the_presets_config() -> None:
    parameters = notebook_parameters(notebook("import numpy as np", PARAMETERS))
    assert parameters == {"preset": "smoke", "run": None, "seed": 0}
    assert resolve_config(**parameters) == resolve_config(preset="smoke")


@pytest.mark.parametrize(
    ("injected", "error", "message"),
    [
        ("lambda_ = 1.0", ValueError, "lambda_.*unknown"),
        ('typo = "x"', ValueError, "typo.*unknown"),
        ('seed = "0"', TypeError, "seed='0'"),
        ("seed = True", TypeError, "seed=True"),
        ("seed = 1.5", TypeError, "seed=1.5"),
        ("preset = 3", ValueError, "preset=3"),
        ('preset = ["tiny"]', ValueError, "preset"),
        ("run = 2024", TypeError, "run=2024"),
        ('run = ""', ValueError, "run=''"),
        ("l1_coefficient = float('nan')", ValueError, "l1_coefficient"),
        ('adam_betas = {"a": [1]}', TypeError, "adam_betas"),
        ('scratch = {"learning_rat": 1e-3}', ValueError, "learning_rat"),
    ],
)
def test_what_papermill_injects_is_refused_by_name(injected: str, error: type[Exception], message: str) -> None:
    parameters = notebook_parameters(notebook(PARAMETERS, "# Parameters\n" + injected))
    with pytest.raises(error, match=message):
        resolve_config(**parameters)


def test_an_override_arrives() -> None:
    parameters = notebook_parameters(notebook(PARAMETERS, "# Parameters\nl1_coefficient = 0.5\nlayers = [0, 1]"))
    config = resolve_config(**parameters)
    assert (config.l1_coefficient, config.layers) == (0.5, (0, 1))


def test_what_later_cells_compute_is_no_parameter() -> None:
    namespace = notebook(PARAMETERS, "layers = tuple(range(6))", "for way in ('a', 'b'):\n    pass", "import numpy")
    assert notebook_parameters(namespace) == {"preset": "smoke", "run": None, "seed": 0}


def test_without_a_history_of_cells_every_literal_counts() -> None:
    namespace = notebook("from saelib.transfer.published import MODEL", PARAMETERS) | {
        "In": [""]
    }  # as nbval runs cells
    assert notebook_parameters(namespace) == {"preset": "smoke", "run": None, "seed": 0}


def test_outside_ipython_every_literal_counts() -> None:
    namespace = {"preset": "tiny", "np": np, "array": np.ones(2), "_private": 1, "layers": (0, 1), "f": print}
    assert notebook_parameters(namespace) == {"preset": "tiny", "layers": (0, 1)}
