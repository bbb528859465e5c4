"""From notebook cells to the config: everything that a parameters cell sets arrives, and nothing else does."""

from typing import Any

import numpy as np
import pytest

from saelib.run.config import RunConfig
from saelib.run.parameters import divide, notebook_parameters
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
    ("injected", "message"),
    [
        ("lambda_ = 1.0", "parameter 'lambda_' is unknown"),
        ('typo = "x"', "parameter 'typo' is unknown"),
        ('seed = "0"', "seed='0'"),
        ("seed = True", "seed=True"),
        ("seed = 1.5", "seed=1.5"),
        ("preset = 3", "preset=3"),
        ('preset = ["tiny"]', "preset"),
        ("run = 2024", "run=2024"),
        ('run = ""', "run=''"),
        ("l1_coefficient = float('nan')", "l1_coefficient"),
        ('adam_betas = {"a": [1]}', "adam_betas"),
        ('scratch = {"learning_rat": 1e-3}', "learning_rat"),
    ],
)
def test_what_papermill_injects_is_refused_by_name(injected: str, message: str) -> None:
    parameters = notebook_parameters(notebook(PARAMETERS, "# Parameters\n" + injected))
    with pytest.raises(ValueError, match=message):
        resolve_config(**parameters)


def test_an_override_arrives() -> None:
    parameters = notebook_parameters(notebook(PARAMETERS, "# Parameters\nl1_coefficient = 0.5\nlayers = [0, 1]"))
    config = resolve_config(**parameters)
    assert (config.l1_coefficient, config.layers) == (0.5, (0, 1))


def test_what_later_cells_compute_is_no_parameter() -> None:
    namespace = notebook(PARAMETERS, "layers = tuple(range(6))", "for way in ('a', 'b'):\n    pass", "import numpy")
    assert notebook_parameters(namespace) == {"preset": "smoke", "run": None, "seed": 0}


def test_without_a_history_of_cells_every_literal_counts() -> None:
    namespace = notebook("from saelib.transfer.published import MODEL", PARAMETERS)
    namespace |= {"In": [""]}  # as nbval runs cells
    assert notebook_parameters(namespace) == {"preset": "smoke", "run": None, "seed": 0}


def test_outside_ipython_every_literal_counts() -> None:
    namespace = {"preset": "tiny", "np": np, "array": np.ones(2), "_private": 1, "layers": (0, 1), "f": print}
    assert notebook_parameters(namespace) == {"preset": "tiny", "layers": (0, 1)}


class Oven(RunConfig):
    """One half of a run."""

    degrees: int
    """Of the oven."""


class Shop(RunConfig):
    """The other half."""

    prices: tuple[float, ...]
    """In cents."""


def test_each_config_gets_the_parameters_that_it_knows() -> None:
    parameters = {"run": "both", "prices": [1.0], "degrees": 200}
    assert divide(parameters, Oven, Shop) == [{"run": "both", "degrees": 200}, {"run": "both", "prices": [1.0]}]
    assert divide({}, Oven, Shop) == [{}, {}]


def test_what_no_config_knows_is_refused() -> None:
    with pytest.raises(ValueError) as refused:
        divide({"degres": 1, "run": "both", "cost": 2}, Oven, Shop)
    known = "known ones are preset, run, seed, degrees, prices"
    assert str(refused.value).splitlines() == [
        f"parameter 'degres' is unknown; did you mean degrees? The {known}",
        f"parameter 'cost' is unknown; the {known}",
    ]
