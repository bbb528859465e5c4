"""A config that does not fit its model is refused by the model's sizes, before weights are read."""

from typing import Any

import pytest

from saelib.transfer.config import ExperimentConfig
from saelib.transfer.experiment import open_experiment
from saelib.transfer.model_fit import check_context, chosen_layers, without_transfers
from saelib.transfer.presets import resolve_config


def config(**changes: Any) -> ExperimentConfig:
    return resolve_config(preset="smoke", **changes)


def test_rows_may_be_as_long_as_the_model_reads() -> None:
    check_context(config(), "small", 64)
    check_context(config(), "endless", None)
    with pytest.raises(ValueError, match="^context_length=64: small reads 63 tokens at most$"):
        check_context(config(), "small", 63)


def test_layers_are_the_models_or_those_that_are_named() -> None:
    assert chosen_layers(config(), "small", 3) == (0, 1, 2)
    assert chosen_layers(config(layers=[0, 2]), "small", 3) == (0, 2)
    assert chosen_layers(config(layers=[2]), "small", 3) == (2,)


@pytest.mark.parametrize(
    ("changes", "n_layers", "message"),
    [
        ({"layers": [1, 3, 4]}, 3, "layers=[3, 4]: small has layers 0 to 2"),
        ({"distances": [1, 2, 3]}, 3, "distances=[3]: 3 layers are 2 places apart at most; leave them out, or name "
                                      "more layers"),
        ({"layers": [0, 2], "distances": [1, 2]}, 3, "distances=[2]: 2 layers are 1 places apart at most"),
    ],
)  # fmt: skip
def test_layers_and_distances_that_the_model_lacks_are_named(changes: Any, n_layers: int, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        chosen_layers(config(**changes), "small", n_layers)
    assert str(refused.value).startswith(message)


def test_one_layer_has_no_transfers_unless_from_elsewhere() -> None:
    said = "layers=[1]: a transfer needs two layers, and this run has scratch SAEs only; name two for more"
    assert without_transfers(config(layers=[1]), (1,)) == said
    assert without_transfers(config(), (0,)).endswith("take a deeper model for more")
    assert without_transfers(config(layers=[0, 1]), (0, 1)) == ""
    assert without_transfers(config(layers=[1], source="an/sae"), (1,)) == ""


def test_a_run_of_one_layer_says_so_at_its_start() -> None:
    with pytest.warns(UserWarning, match=r"^layers=\[1\]: a transfer needs two layers"):
        assert open_experiment(preset="smoke", run="one-layer", layers=[1]).layers == (1,)
