"""From notebook cells to the config: everything that a parameters cell sets arrives, and nothing else does."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell

import saelib.htest.config  # noqa: F401 (for its fields: one is `system`, as a function of `os` is called)
from saelib.run.config import RunConfig
from saelib.run.parameters import divide, notebook_parameters
from saelib.transfer.presets import resolve_config

PARAMETERS = 'preset = "smoke"\nrun = None\nseed = 0'
IMPORTS = """\
from __future__ import annotations
from pathlib import Path
import numpy as np
from saelib.run.parameters import notebook_parameters
from saelib.transfer.published import MODEL"""
CALL = "found = notebook_parameters(globals())"


def run(shell: InteractiveShell, *cells: str) -> None:
    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()


def notebook(*cells: str) -> InteractiveShell:
    """IPython itself after cells were run."""
    shell = InteractiveShell(user_ns={})
    run(shell, *cells)
    return shell


def parameters(*cells: str) -> Any:
    """What the call finds that stands behind imports and these cells."""
    return notebook(IMPORTS, *cells, CALL).user_ns["found"]


def test_the_cells_own_parameters_make_the_presets_config() -> None:
    found = parameters(PARAMETERS)
    assert found == {"preset": "smoke", "run": None, "seed": 0}
    assert resolve_config(**found) == resolve_config(preset="smoke")


INJECTED = "# Parameters\nheld_out_rows = 16\n"


@pytest.mark.parametrize("cells", [(0, 1), (1, 0)], ids=["tagged", "not tagged, so that papermill injects on top"])
@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ('preset: str = "smoke"; run: str = "my_run"', {"preset": "smoke", "run": "my_run"}),
        ('"""What is run."""\npreset = "smoke"', {"preset": "smoke"}),
        ('from math import floor, pi\npreset = "smoke"\nseed = floor(pi)', {"preset": "smoke", "seed": 3}),
        ("layers = list(range(2))", {"layers": [0, 1]}),
        ("layers = range(2)", {"layers": [0, 1]}),
        ("layers = [layer for layer in range(4) if layer % 2]", {"layers": [1, 3]}),
        ('preset, seed = "smoke", 7', {"preset": "smoke", "seed": 7}),
        ('run, *layers = ["mine", 1, 2]', {"run": "mine", "layers": [1, 2]}),
        ('preset = run = "smoke"', {"preset": "smoke", "run": "smoke"}),
        ('preset = "smoke"\nrun = preset', {"preset": "smoke", "run": "smoke"}),
        ("seed = 1\nseed += 2", {"seed": 3}),
        ("seed = -1 * 2**3 + 10", {"seed": 2}),
        ("for seed in range(3):\n    pass", {"seed": 2}),
        ("if (seed := 4) > 3:\n    run = 'large'", {"seed": 4, "run": "large"}),
        ("with open(__import__('os').devnull):\n    seed = 5", {"seed": 5}),
        ("globals()['seed'] = 6", {"seed": 6}),
        ("corpus = Path('a') / 'b.txt'", {"corpus": str(Path("a") / "b.txt")}),
        ("seed = np.int64(8)\nl1_coefficient = np.float32(0.5)", {"seed": 8, "l1_coefficient": 0.5}),
        ("layers = np.arange(3)", {"layers": [0, 1, 2]}),
        ("scratch = {'checkpoints': (0, np.int64(5))}", {"scratch": {"checkpoints": (0, 5)}}),
        ("run = f'{preset_name}' if (preset_name := 'x') else ''\ndel preset_name", {"run": "x"}),
        ("%time seed = 9", {"seed": 9}),
        ("%%time\nseed = 9\nrun = 'x'", {"seed": 9, "run": "x"}),
        ("corpus = MODEL", {"corpus": "pythia-160m-deduped"}),
    ],
)
def test_however_a_cell_sets_a_parameter_it_arrives(
    cell: str, expected: dict[str, Any], cells: tuple[int, int]
) -> None:
    both = [(cell, INJECTED)[number] for number in cells]
    found = parameters(*both)
    assert found == expected | {"held_out_rows": 16}
    assert {name: type(value) for name, value in found.items()} == {
        name: type(value) for name, value in (expected | {"held_out_rows": 16}).items()
    }


def test_what_papermill_injects_wins() -> None:
    assert parameters("seed: int = 1\nrun: str = 'mine'", "# Parameters\nseed = 2") == {"seed": 2, "run": "mine"}


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("layers = {0, 1}", "In [2] sets layers={0, 1}: this is of type set, and a parameter is a text, a number"),
        ("scratch = {'a': [object]}", "In [2] sets scratch={'a': [<class 'object'>]}: this is of type type"),
        ("def corpus(): pass", "corpus=<function corpus at"),
        ("preset = 'smoke'\ndtype = float", "In [2] sets dtype=<class 'float'>: this is of type type"),
        ("import string as layers", "layers=<module 'string'"),
        ("from math import floor as seed", "seed=<built-in function floor>: this is of type builtin"),
        ("%time rng = np.random.default_rng(0)", "In [2] sets rng=Generator(PCG64) at"),
    ],
)
def test_a_value_that_can_be_none_is_refused_with_its_cell(cell: str, message: str) -> None:
    with pytest.raises(ValueError, match="(?s)" + re.escape(message) + ".*put '_' in front"):
        parameters(cell)


def test_names_of_imports_functions_classes_and_private_ones_are_none() -> None:
    cell = "_helper = {1}\nfrom os import *\nfrom string import digits as ten\ndef half(x): return x / 2\nclass A: pass"
    assert parameters(cell, "seed = 1") == {"seed": 1}


def test_parameters_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings_of_mine.py").write_text('preset, run, layers, other = "smoke", "mine", [0], 1\n')
    monkeypatch.syspath_prepend(tmp_path)
    for cell in ("from settings_of_mine import preset, run, layers, other", "from settings_of_mine import *"):
        assert parameters(cell, "seed = 1") == {"preset": "smoke", "run": "mine", "layers": [0], "seed": 1}


def test_an_imported_name_that_was_set_since_is_a_parameter() -> None:
    assert parameters("from string import digits as run\nrun = 'mine'") == {"run": "mine"}


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
    found = parameters(PARAMETERS, "# Parameters\n" + injected)
    with pytest.raises(ValueError, match=message):
        resolve_config(**found)


def test_an_override_arrives() -> None:
    config = resolve_config(**parameters(PARAMETERS, "# Parameters\nl1_coefficient = 0.5\nlayers = [0, 1]"))
    assert (config.l1_coefficient, config.layers) == (0.5, (0, 1))


@pytest.mark.parametrize(
    ("later", "changes"),
    [
        (["layers = tuple(range(6))", "for way in ('a', 'b'):\n    pass", "import numpy"], {}),
        (["for seed, run in [(1, 'a')]:\n    print(seed)"], {"seed": 1, "run": "a"}),
        (["held_out_rows = held_out_rows + 1"], {}),
        (["held_out_rows = 8"], {"held_out_rows": 8}),
        (["corpus: str = 'x.txt'"], {"corpus": "x.txt"}),
        (["preset: str = 'tiny'\nlayers = list(range(2))"], {"preset": "tiny", "layers": [0, 1]}),
        (["%time run = 'again'"], {"run": "again"}),
        (["del held_out_rows"], {"held_out_rows": None}),
        (["held_out_rows = max([rows * 2 for rows in (3, 4)])"], {"held_out_rows": 8}),
        (["held_out_rows = int(np.prod([2, 4]))"], {"held_out_rows": 8}),
        (["experiment = len('four')", "held_out_rows = max(experiment, 2)"], {}),
        (["for held_out_rows in range(3):\n    pass"], {}),
        ([PARAMETERS, INJECTED], {}),
    ],
)
def test_when_the_call_runs_again_only_parameters_cells_have_changed_it(
    later: list[str], changes: dict[str, Any]
) -> None:
    shell = notebook(IMPORTS, PARAMETERS, INJECTED, CALL, *later, CALL)
    expected = {"preset": "smoke", "run": None, "seed": 0, "held_out_rows": 16} | changes
    assert shell.user_ns["found"] == {
        name: value for name, value in expected.items() if changes.get(name, ...) is not None
    }


def test_a_cell_that_sets_parameters_and_calls_may_run_again() -> None:
    cell = "seed = 1\n" + CALL
    shell = notebook(IMPORTS, cell, cell.replace("1", "2"))
    assert shell.user_ns["found"] == {"seed": 2}


def test_two_calls_find_the_same() -> None:
    shell = notebook(IMPORTS, PARAMETERS, CALL, "study = dict(x={1})", CALL.replace("found", "second"))
    assert shell.user_ns["found"] == shell.user_ns["second"] == {"preset": "smoke", "run": None, "seed": 0}


def test_without_a_history_of_cells_every_value_counts() -> None:
    shell = InteractiveShell(user_ns={})
    for cell in (IMPORTS, "preset: str = 'smoke'\nlayers = list(range(2))", CALL):  # as nbval runs cells
        shell.run_cell(cell, store_history=False).raise_error()
    assert shell.user_ns["found"] == {"preset": "smoke", "layers": [0, 1]}


def test_outside_ipython_every_value_counts() -> None:
    namespace = {"preset": "tiny", "np": np, "layers": np.ones(2), "_private": 1, "f": print, "MODEL": "x"}
    assert notebook_parameters(namespace) == {"preset": "tiny", "layers": [1.0, 1.0]}


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
    known = "known ones are preset, run, seed, stored, degrees, prices"
    assert str(refused.value).splitlines() == [
        f"parameter 'degres' is unknown; did you mean degrees? The {known}",
        f"parameter 'cost' is unknown; the {known}",
    ]
