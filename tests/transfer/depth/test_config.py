"""What may be asked of the study, refused before any work."""

from typing import Any

import pytest

from saelib.transfer.experiment import open_experiment
from saelib.transfer.presets import resolve_config
from saelib.transfer.stages import train_phase
from saelib.transfer.trials import trial_config
from tests.transfer.conftest import OpenSmall


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth_source": 3, "layers": [0, 1]}, r"depth_source=3: the run trains layers \[0, 1\]"),
        ({"depth_source": 1, "depth_budgets": [1000, 4096]}, r"depth_budgets=\[1000, 4096\]: \[1000\] are none"),
        ({"depth_source": 1, "depth_budgets": [2048], "schedule": "paper"}, r"=\[2048\]: .* paper .* name 4096 too"),
        (
            {
                "depth_source": 1,
                "depth_budgets": [1536],
                "scratch": {"checkpoints": [0, 1536, 4096]},
                "transfer": {"checkpoints": [0, 1536, 4096]},
            },
            r"depth_budgets.checkpoints: \[1536\] are no multiples of a chunk",
        ),
        ({"depth_source": 1, "depth_budgets": [4096, 2048]}, "name each budget once"),
        ({"depth_source": 1, "depth_l1_multiples": [0.5, 2.0]}, r"name 1 too, \[0.5, 1, 2.0\]"),
        ({"depth_source": 1, "depth_scratch_layers": []}, "name at least one layer; None takes none"),
        ({"depth_source": 1, "depth_fine_tuning_tokens": 1500}, "depth_fine_tuning_tokens.*1024"),
        ({"depth_source": 1, "depth_rows": 9}, "depth_rows=9: there are held_out_rows=8"),
        ({"depth_source": 1, "depth_group": [0, 2]}, "name layers around depth_source=1"),
        ({"depth_source": 1, "depth_group": [1]}, "name layers around depth_source=1"),
    ],
)
def test_a_field_that_is_wrong_is_named_with_its_value(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_config(preset="smoke", **changes)


def test_unset_fields_are_in_no_hash_and_set_ones_are() -> None:
    base = resolve_config(preset="tiny")
    assert resolve_config(preset="tiny", depth_source=None).sha256() == base.sha256()
    assert resolve_config(preset="tiny", depth_source=2).sha256() != base.sha256()


def test_the_source_is_taken_at_the_end_and_a_short_training_has_an_eighth_where_nothing_is_said() -> None:
    config = resolve_config(preset="tiny", depth_source=2)
    assert config.depth_ends == (config.scratch.tokens,)
    assert config.depth_tuned_for == config.scratch.tokens // 8
    assert config.depth_tuned_for % config.chunk_tokens == 0


@pytest.mark.parametrize("name", ["depth_scratch_layers", "depth_fine_tuning", "depth_group"])
def test_layers_that_the_model_lacks_are_refused(open_small: OpenSmall, name: str) -> None:
    experiment = open_small(run="deeper", depth_source=2, **{name: [2, 7]})
    with pytest.raises(ValueError, match=rf"{name}=\[7\]: .* has layers 0 to 2"):
        train_phase(experiment, "scratch")
    assert not experiment.folder.exists()


def test_maps_that_cannot_be_fitted_are_refused_before_scratch_is_trained(open_small: OpenSmall) -> None:
    experiment = open_small(run="unfit", starts=["copy"], depth_source=1, map_tokens=100)
    with pytest.raises(ValueError, match="map_tokens=100: .* 128 is right"):
        train_phase(experiment, "scratch")
    assert not experiment.folder.exists()


def test_a_source_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match=r"depth_source=\[9\]: embedded has layers 0 to 5"):
        _ = open_experiment(preset="smoke", run="unknown", depth_source=9).layers


def test_shorter_trainings_made_from_a_config_ask_for_no_study() -> None:
    config = resolve_config(preset="smoke", depth_source=1, depth_budgets=[2048, 4096], target_l0=20.0)
    assert trial_config(config).depth_source is None
