"""Presets hold what the paper did, and mistakes are refused by name."""

import pydoc
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from saelib.run.identity import INPUTS
from saelib.run.reading import read_json
from saelib.run.stored import RESULTS
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.presets import PRESETS, budget_grid, checkpoint_grid, resolve_config
from tests.helpers.kept import KEPT_PRESETS

TINY = "bc07e3d77b07d4e4c82dd6419e630228781681e2cb3f40b50a7251b526cb0ee5"


def test_every_preset_is_valid_and_can_be_written() -> None:
    for name, config in PRESETS.items():
        assert config.preset == config.run == name
        assert resolve_config(preset=name) == config
        assert config.as_dict()["scratch"]["checkpoints"][-1] == config.scratch.tokens
        assert ExperimentConfig(**config.as_dict()) == config


def test_pythia_preset_has_the_papers_numbers() -> None:
    config = PRESETS["pythia-160m"]
    assert config.scratch.tokens == 244_140 * 4096
    assert config.transfer.tokens == 122_070 * 4096
    assert int(config.l1_warm_up_share * 244_140) == 12_207
    assert int(config.l1_warm_up_share * 122_070) == 6_103
    assert (config.scratch.learning_rate, config.transfer.learning_rate) == (3e-5, 1e-5)
    assert (config.batch_tokens, config.context_length, config.expansion_factor) == (4096, 1024, 8)
    assert config.adam_betas == (0.0, 0.999)
    assert (config.schedule, config.starts, config.distances) == ("paper", ("copy",), (1,))
    assert config.held_out_rows * config.context_length == 1_048_576
    hundred_millions = [24_414 * 4096 * step for step in range(1, 11)]
    assert set(hundred_millions) <= set(config.scratch.checkpoints)
    assert set(hundred_millions[:5]) <= set(config.transfer.checkpoints)


def test_grid_doubles_then_goes_evenly() -> None:
    assert checkpoint_grid(10, first=1, even=8, steps=3) == (0, 10, 20, 40, 80, 160, 240)


def test_no_crossing_is_interpolated_over_more_than_a_factor_of_one_and_a_half() -> None:
    assert budget_grid(10, 2) == (0, 10, 15, 20, 30, 40)
    for name in ("scratch", "transfer"):
        budgets = getattr(PRESETS["tiny"], name).checkpoints[1:]
        assert max(second / first for first, second in pairwise(budgets)) == 1.5
        assert budgets[-1] == PRESETS["tiny"].scratch.tokens, "nothing is censored by a smaller budget"


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"preset": "large"},
         "preset='large' is unknown; choose one of tiny, smollm2, smollm2-long, smoke, pythia-160m"),
        ({"preset": 3}, "preset=3 is unknown; choose one of tiny, smollm2, smollm2-long, smoke, pythia-160m"),
        ({"seed": "1"}, "seed='1': should be a whole number"),
        ({"seed": True}, "seed=True: should be a whole number"),
        ({"seed": -1}, "seed=-1: should be at least 0"),
        ({"l1_coefficient": "big"}, "l1_coefficient='big': should be a number"),
        ({"layers": [0, "x"]}, "layers=[0, 'x']: entry 2 should be a whole number"),
        ({"layers": [0, True]}, "layers=[0, True]: entry 2 should be a whole number"),
        ({"layers": [-1]}, "layers=[-1]: entry 1 should be at least 0"),
        ({"layers": []}, "layers=[]: name at least one layer; None takes all"),
        ({"layers": [1, 1]}, "layers=[1, 1]: name each layer once, from the first to the last: [1]"),
        ({"layers": [2, 0]}, "layers=[2, 0]: name each layer once, from the first to the last: [0, 2]"),
        ({"layers": 3}, "layers=3: should be a list"),
        ({"adam_betas": [0.0]}, "adam_betas=[0.0]: entry 2 is missing"),
        ({"adam_betas": [0.0, 0.9, 0.99]}, "adam_betas=[0.0, 0.9, 0.99]: should have 2 entries"),
        ({"adam_betas": [5.0, -1.0]},
         "adam_betas=[5.0, -1.0]: entry 1 should be below 1\n"
         "adam_betas=[5.0, -1.0]: entry 2 should be at least 0"),
        ({"batch_tokens": 1000}, "batch_tokens=1000 does not divide a chunk of chunk_rows=64 x context_length=256 = "
                                 "16384 tokens; 512 does"),
        ({"sae_seeds": 0}, "sae_seeds=0: should be above 0"),
        ({"seed": 2**70}, f"seed={2**70}: should be below 4294967296"),
        ({"expansion_factor": 10**9}, "expansion_factor=1000000000: should be at most 1024"),
        ({"l1_coefficient": np.True_}, "l1_coefficient=np.True_: should be a number"),
        ({"language_model": " "}, "language_model=' ': should not be empty"),
        ({"run": "cache"}, "run='cache': 'cache' is the folder of what can be made again; name the run otherwise"),
        ({"run": "x" * 101}, f"run='{'x' * 101}': has 101 signs, and a folder's name at most 100"),
        ({"device": "gpu"}, "device='gpu': should be auto, cpu, mps, cuda, or cuda: and a number"),
        ({"scratch.learning_rate": 1.0}, "parameter 'scratch.learning_rate' is unknown; a field inside another is "
                                         "given as scratch={'learning_rate': ...}"),
        ({"control_learning_rate": 0}, "control_learning_rate=0: should be above 0"),
        ({"precision": "low"}, "precision='low': should be 'float32', 'tf32' or 'bfloat16'"),
        ({"l1_warm_up_share": 2.0}, "l1_warm_up_share=2.0: should be at most 1"),
        ({"revision": 3}, "revision=3: should be a text"),
        ({"scratch": 3}, "scratch=3: should name fields and their values, such as {'learning_rate': 0.001}"),
        ({"scratch": {"checkpoints": [0, 100]}},
         "scratch.checkpoints: [100] are no multiples of a chunk's 16384 tokens; the nearest: [16384]"),
        ({"scratch": {"checkpoints": [0, 100]}, "transfer": {"checkpoints": [0, 50]}},
         "scratch.checkpoints: [100] are no multiples of a chunk's 16384 tokens; the nearest: [16384]\n"
         "transfer.checkpoints: [50] are no multiples of a chunk's 16384 tokens; the nearest: [16384]"),
        ({"scratch": {"checkpoints": [16384]}},
         "scratch.checkpoints=[16384]: must start at 0 and rise, with the end of training as the last"),
        ({"transfer": {"checkpoints": [0, 81920, 524288]}},
         "transfer.checkpoints: [81920] are none of scratch's; by the schedule wsd a scratch SAE of as many tokens is "
         f"what a transfer is compared with: choose from {list(PRESETS['tiny'].scratch.checkpoints)}, or give both "
         "phases the same"),
        ({"schedule": "cosine"}, "schedule='cosine': should be 'paper' or 'wsd'"),
        ({"starts": []}, "starts=[]: name at least one, and each once"),
        ({"starts": ["copy", "copy"]}, "starts=['copy', 'copy']: name at least one, and each once"),
        ({"starts": ["linear"]}, "starts=['linear']: entry 1 should be 'copy', 'affine' or 'procrustes'"),
        ({"starts": "copy"}, "starts='copy': should be a list"),
        ({"distances": [0]}, "distances=[0]: entry 1 should be above 0"),
        ({"distances": [3, 2]},
         "distances=[3, 2]: name 1 too, [1, 2, 3]: farther sources are shown beside the nearest"),
        ({"map_tokens": 0}, "map_tokens=0: should be above 0"),
        ({"scratch": {"learning_rate": -1.0}}, "scratch.learning_rate=-1.0: should be above 0"),
        ({"transfer": {"learning_rate": "fast"}}, "transfer.learning_rate='fast': should be a number"),
        *[({"l1_coefficient": number}, f"l1_coefficient={number}: should be a finite number")
          for number in (float("nan"), float("inf"), float("-inf"))],
        ({"scratch": {"learning_rate": float("nan")}}, "scratch.learning_rate=nan: should be a finite number"),
        ({"scratch": {"checkpoints": [0, float("inf")]}},
         "scratch.checkpoints=[0, inf]: entry 2 should be a whole number"),
        ({"transfer": {"learning_rate": 0}}, "transfer.learning_rate=0: should be above 0"),
        ({"transfer": {"checkpoints": [0]}},
         "transfer.checkpoints=[0]: must start at 0 and rise, with the end of training as the last"),
        ({"transfer": {"checkpoints": [0, 0]}},
         "transfer.checkpoints=[0, 0]: must start at 0 and rise, with the end of training as the last"),
        ({"transfer": {"checkpoints": [0, 10**14]}},
         "transfer.checkpoints=[0, 100000000000000]: entry 2 should be at most 1e+13"),
        ({"l1_coefficient": 1e39},
         "l1_coefficient=1e+39: 1e+39 is no number of float32; should be 0, or from 1.2e-38 to 3.4e+38"),
        ({"adam_betas": [0.0, float("nan")]}, "adam_betas=[0.0, nan]: entry 2 should be a finite number"),
        ({"data_seed": 2**64}, f"data_seed={2**64}: should be below 4294967296"),
        ({"sae_seeds": 10**9}, "sae_seeds=1000000000: should be at most 1000"),
        ({"context_length": 10**9}, "context_length=1000000000: should be at most 16777216"),
        ({"chunk_rows": 10**9}, "chunk_rows=1000000000: should be at most 1048576"),
        ({"held_out_rows": 10**9}, "held_out_rows=1000000000: should be at most 10000000"),
        ({"evaluation_batch_rows": 2**64}, f"evaluation_batch_rows={2**64}: should be at most 10000000"),
        ({"map_tokens": 10**12}, "map_tokens=1000000000000: should be at most 1000000000"),
        ({"prepend_bos": 1}, "prepend_bos=1: should be True or False"),
        ({"revision": ""}, "revision='': should not be empty"),
        ({"corpus": "a\0b"},
         "corpus='a\\x00b': has a sign that no file can hold; should be letters, digits and signs of Unicode"),
        ({"scratch": {"tokens": 5}},
         "parameter 'scratch.tokens' is unknown; the known ones are checkpoints, learning_rate"),
    ],
)  # fmt: skip
def test_mistakes_are_named(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        resolve_config(**parameters)
    assert str(refused.value) == message


@pytest.mark.parametrize("run", ["../else", "", ".hidden", "-x", "a b"])
def test_a_run_has_the_name_of_a_folder(run: str) -> None:
    with pytest.raises(ValueError, match=r"^run='.*': use letters, digits"):
        resolve_config(run=run)


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("sed", "seed"),
        ("l1_coefficent", "l1_coefficient"),
        ("l1coefficient", "l1_coefficient"),
        ("layer", "layers"),
        ("presets", "preset"),
        ("sae_seed", "sae_seeds"),
    ],
)
def test_an_unknown_name_is_told_the_nearest_known_one(wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError) as refused:
        resolve_config(**{wrong: 1})
    hint = f"parameter {wrong!r} is unknown; did you mean {nearest}? The known ones are preset, run, seed, "
    assert str(refused.value).startswith(hint)


def test_all_mistakes_are_named_at_once() -> None:
    with pytest.raises(ValueError) as refused:
        resolve_config(l1_coefficient=-1, layers=[], sed=1, scratch={"learning_rate": -1.0, "learning_rates": 1.0})
    lines = str(refused.value).splitlines()
    starts = ("l1_coefficient=-1:", "layers=[]:", "parameter 'sed'", "scratch.learning_rate=-1.0:",
              "parameter 'scratch.learning_rates' is unknown; did you mean scratch.learning_rate?")  # fmt: skip
    assert len(lines) == len(starts)
    for start in starts:
        assert any(line.startswith(start) for line in lines), start


def test_json_lists_and_whole_numbers_fit() -> None:
    config = resolve_config(preset="tiny", layers=[0, 2], l1_coefficient=1, adam_betas=[0, 0.99])
    assert config.layers == (0, 2)
    assert config.adam_betas == (0.0, 0.99)
    assert type(config.l1_coefficient) is type(config.adam_betas[0]) is float


def test_numbers_of_numpy_are_numbers() -> None:
    config = resolve_config(seed=np.int64(3), l1_coefficient=np.float32(0.5), layers=[np.int64(0), 2])
    assert (config.seed, config.l1_coefficient, config.layers) == (3, 0.5, (0, 2))
    assert type(config.seed) is int
    assert [type(layer) for layer in config.layers or ()] == [int, int]


def test_a_phase_may_be_changed_in_part() -> None:
    config = resolve_config(preset="tiny", scratch={"learning_rate": 1e-2})
    assert config.scratch == TrainingPhase(checkpoints=PRESETS["tiny"].scratch.checkpoints, learning_rate=1e-2)
    assert config.transfer == PRESETS["tiny"].transfer


def test_hash_tells_what_decides_the_numbers() -> None:
    base = resolve_config(preset="tiny")
    assert base.sha256() == resolve_config(preset="tiny", run="other", device="cpu").sha256()
    assert base.sha256() != resolve_config(preset="tiny", seed=1).sha256()


def test_the_default_run_has_the_hash_under_which_its_results_are_kept() -> None:
    assert PRESETS["tiny"].sha256() == TINY


@pytest.mark.parametrize("preset", KEPT_PRESETS)
def test_results_are_kept_of_the_preset_as_it_is(preset: str) -> None:
    """Fields that came after them are unset."""
    kept = read_json(RESULTS / preset / "config.json")
    assert kept.pop(INPUTS).keys() >= {"language_model", "corpus"}
    unset = {name: ExperimentConfig.defaults()[name] for name in ExperimentConfig.ADDED}
    assert unset | kept == PRESETS[preset].as_dict()


def test_every_field_has_a_sentence_that_help_and_the_schema_show() -> None:
    page = pydoc.plain(pydoc.render_doc(ExperimentConfig))
    schema = ExperimentConfig.model_json_schema()
    assert TrainingConfig.model_fields.keys() < ExperimentConfig.model_fields.keys()
    for name, field in ExperimentConfig.model_fields.items():
        sentence = " ".join((field.description or "").split())
        assert len(sentence) > 10, name
        assert re.search(rf"    {name} \([^\n]+\): {re.escape(sentence)}\n", page), name
        assert " ".join(schema["properties"][name]["description"].split()) == sentence
    assert "l1_coefficient (number, at least 0): lambda, weight of the L1 penalty" in page
    assert "        learning_rate (number, above 0): Adam's" in page  # of a phase, beneath it
    assert schema["$defs"]["TrainingPhase"]["properties"]["learning_rate"]["exclusiveMinimum"] == 0
