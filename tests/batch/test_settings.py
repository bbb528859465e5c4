"""A batch run's settings come from the environment, to the letter, and are checked before anything is started."""

from pathlib import Path

import pytest

from saelib.batch.settings import CONFIGS, NAMES, Settings, settings_from
from saelib.htest.config import presets as htest_presets
from saelib.interpret import config as interpret_presets
from saelib.run.config import RunConfig
from saelib.transfer import presets as transfer_presets


def test_what_is_empty_or_absent_is_not_set(runs: Path) -> None:
    tiny = Settings("tiny", "tiny", None, {})
    assert settings_from({}) == settings_from(dict.fromkeys(NAMES, "")) == tiny
    assert tiny.folder == runs / "tiny"
    assert tiny.parameters("transfer", "htest") == {"preset": "tiny", "run": "tiny"}


@pytest.mark.parametrize("run", ["2024", "1e5", "2024-01-01", "true", "null", "007", "0x10", "größe"])
def test_a_name_stays_a_text(run: str) -> None:
    settings = settings_from({"PRESET": "smoke", "RUN": run, "SEED": "3", "HTEST": "{shots: [2, 4]}"})
    assert settings == Settings("smoke", run, 3, {"htest": {"shots": [2, 4]}})
    assert settings.parameters("htest") == {"preset": "smoke", "run": run, "seed": 3, "shots": [2, 4]}
    assert settings.parameters("transfer") == {"preset": "smoke", "run": run, "seed": 3}
    quoted = run if run.isascii() else f"'{run}'"
    assert settings.command == f"""make reproduce PRESET=smoke RUN={quoted} SEED=3 HTEST='{{"shots": [2, 4]}}'"""


@pytest.mark.parametrize(
    "run", ["$(touch x)", "`x`", "a b", "it's", '"q"', "a/b", "..", "-n", "a;b", "cache", "a\nb", "tiny "]
)
def test_a_name_that_can_be_no_folder_is_refused_with_itself(run: str) -> None:
    with pytest.raises(ValueError) as refused:
        settings_from({"RUN": run})
    assert f"run={run!r}" in str(refused.value)


@pytest.mark.parametrize(
    ("htest", "message"),
    [
        ("{nope: 1}", "parameter 'nope' is unknown; the known ones are preset, run, seed"),
        ("{models: embedded}", "models='embedded': should be a list"),
        ("{shots: [3]}", "shots=[3]: entry 1 should be an even number"),
        ("{seed: 5}", "htest='{seed: 5}': seed is given as SEED="),
        ("{stored: true}", "htest='{stored: true}': stored is for notebooks that only read: leave it out"),
        ("{temperature: .nan}", "temperature=nan: should be a finite number"),
        ("{shots: [2], shots: [4]}", "htest='{shots: [2], shots: [4]}' cannot be read as JSON or YAML: 'shots'"),
        ("models", "htest='models' must name fields and their values: HTEST='{models: [embedded]}'"),
    ],
)
def test_fields_of_htest_are_checked_before_anything_is_started(htest: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        settings_from({"PRESET": "smoke", "HTEST": htest})
    assert str(refused.value).startswith(message)


def test_each_config_has_a_setting_whose_fields_reach_the_notebooks_that_take_it(runs: Path) -> None:
    told = {"TRANSFER": "{layers: [0, 1, 2]}", "INTERPRET": '{"features": null}', "HTEST": "{shots: [4]}"}
    settings = settings_from({"PRESET": "smoke", "RUN": "mine"} | told)
    named = {"preset": "smoke", "run": "mine"}
    assert settings.parameters("interpret", "transfer") == named | {"layers": [0, 1, 2], "features": None}
    assert settings.parameters("htest") == named | {"shots": [4]}
    assert settings.command == (
        """make reproduce PRESET=smoke RUN=mine TRANSFER='{"layers": [0, 1, 2]}' INTERPRET='{"features": null}' """
        """HTEST='{"shots": [4]}'"""
    )
    assert settings_from({"PRESET": "smoke", "INTERPRET": "{}"}).command == "make reproduce PRESET=smoke"


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"INTERPRET": "{featurs: 4}"}, "parameter 'featurs' is unknown; did you mean features?"),
        ({"INTERPRET": "{features: 0}"}, "features=0: should be"),
        ({"INTERPRET": "features"}, "interpret='features' must name fields and their values: INTERPRET='{features: nu"),
        ({"TRANSFER": "{run: x}"}, "transfer='{run: x}': run is given as RUN="),
        ({"TRANSFER": "{layers: 1}"}, "layers=1: should be a list"),
        ({"HTEST": "{revision: v1}"}, "revision: TRANSFER and HTEST both have such a field, and the report reads one"),
        ({"HTEST": "{revision: v1}", "TRANSFER": "{revision: v2}"}, "revision: TRANSFER and HTEST both have such a"),
    ],
)
def test_fields_of_every_config_are_checked_before_anything_is_started(told: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        settings_from({"PRESET": "smoke"} | told)
    assert str(refused.value).startswith(message)


def test_a_field_of_two_configs_is_told_both() -> None:
    """The report has every parameter once, and hands it to each config that knows it."""
    told = settings_from({"PRESET": "smoke", "TRANSFER": "{revision: v1}", "HTEST": "{revision: v1}"})
    assert told.parameters("transfer", "interpret", "htest")["revision"] == "v1"
    assert settings_from({"PRESET": "smoke", "HTEST": "{device: cpu}"}).of("htest") == {"device": "cpu"}
    kinds = [config.kind for config in CONFIGS.values()]
    known = [name for kind in kinds for name in kind.model_fields if name not in RunConfig.model_fields]
    assert {name for name in known if known.count(name) > 1} == {"revision", "device"}


@pytest.mark.parametrize("seed", ["-1", "4294967296", str(2**64), "9" * 5000, "1.5", "nan", "true"])
def test_a_seed_that_is_none_is_refused(seed: str) -> None:
    with pytest.raises(ValueError, match="^seed="):
        settings_from({"SEED": seed})


def test_one_preset_s_name_asks_all_configs_and_begins_at_one_seed() -> None:
    assert set(transfer_presets.PRESETS) == set(htest_presets.PRESETS) == set(interpret_presets.PRESETS)
    for presets in (transfer_presets.PRESETS, htest_presets.PRESETS, interpret_presets.PRESETS):
        assert {name: config.preset for name, config in presets.items()} == {name: name for name in presets}
    for name in transfer_presets.PRESETS:
        assert settings_from({"PRESET": name}) == Settings(name, name, None, {})
    for name, config in transfer_presets.PRESETS.items():
        assert interpret_presets.PRESETS[name].seed == config.seed
