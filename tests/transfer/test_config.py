"""Presets hold what the paper did, and mistakes are refused by name."""

import pytest

from saelib.transfer.config import PRESETS, checkpoint_grid, resolve_config


def test_every_preset_is_valid_and_can_be_written():
    for name, config in PRESETS.items():
        assert config.preset == name
        assert resolve_config(preset=name) == config
        assert config.as_dict()["scratch"]["checkpoints"][-1] == config.scratch.tokens


def test_pythia_preset_has_the_papers_numbers():
    config = PRESETS["pythia-160m"]
    assert config.scratch.tokens == 244_140 * 4096
    assert config.transfer.tokens == 122_070 * 4096
    assert int(config.l1_warm_up_share * 244_140) == 12_207
    assert int(config.l1_warm_up_share * 122_070) == 6_103
    assert (config.scratch.learning_rate, config.transfer.learning_rate) == (3e-5, 1e-5)
    assert (config.batch_tokens, config.context_length, config.expansion_factor) == (4096, 1024, 8)
    assert config.adam_betas == (0.0, 0.999)
    assert config.held_out_rows * config.context_length == 1_048_576
    hundred_millions = [24_414 * 4096 * step for step in range(1, 11)]
    assert set(hundred_millions) <= set(config.scratch.checkpoints)
    assert set(hundred_millions[:5]) <= set(config.transfer.checkpoints)


def test_grid_doubles_then_goes_evenly():
    assert checkpoint_grid(10, first=1, even=8, steps=3) == (0, 10, 20, 40, 80, 160, 240)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"preset": "large"}, ValueError, "'large' is unknown; choose one of tiny"),
        ({"sed": 1}, ValueError, "'sed' is unknown; the known ones are preset, run, seed"),
        ({"seed": "1"}, TypeError, "seed='1' is a str; it must be int"),
        ({"seed": True}, TypeError, "seed=True is a bool"),
        ({"l1_coefficient": "big"}, TypeError, "l1_coefficient='big'"),
        ({"layers": [0, "x"]}, TypeError, "layers"),
        ({"run": "../else"}, ValueError, "run='../else'"),
        ({"batch_tokens": 1000}, ValueError, "batch_tokens=1000 does not divide"),
        ({"sae_seeds": 0}, ValueError, "sae_seeds=0: must be above 0"),
        ({"matmul_precision": "low"}, ValueError, "matmul_precision='low': choose one of highest, high, medium"),
        ({"l1_warm_up_share": 2.0}, ValueError, "l1_warm_up_share=2.0"),
        ({"scratch": {"checkpoints": [0, 100]}}, ValueError, "no multiples of a chunk's 16384 tokens"),
        ({"scratch": {"checkpoints": [16384]}}, ValueError, "start at 0 and rise"),
        ({"scratch": {"tokens": 5}}, ValueError, "'tokens' is unknown"),
    ],
)
def test_mistakes_are_named(parameters, error, message):
    with pytest.raises(error, match=message.replace(".", r"\.").replace("(", r"\(")):
        resolve_config(**parameters)


def test_json_lists_and_whole_numbers_fit():
    config = resolve_config(preset="tiny", layers=[0, 2], l1_coefficient=1, adam_betas=[0, 0.99])
    assert config.layers == (0, 2)
    assert config.adam_betas == (0.0, 0.99)


def test_hash_tells_what_decides_the_numbers():
    base = resolve_config(preset="tiny")
    assert base.sha256() == resolve_config(preset="tiny", run="other", device="cpu").sha256()
    assert base.sha256() != resolve_config(preset="tiny", seed=1).sha256()
