"""A batch run's settings come from the environment, to the letter, and are checked before anything is started."""

from pathlib import Path

import pytest

from saelib.batch.settings import Settings, settings_from
from saelib.htest.config import presets as htest_presets
from saelib.transfer import presets as transfer_presets


def test_what_is_empty_or_absent_is_not_set(runs: Path) -> None:
    tiny = Settings("tiny", "tiny", None, {})
    assert settings_from({}) == settings_from(dict.fromkeys(["PRESET", "RUN", "SEED", "HTEST"], "")) == tiny
    assert tiny.folder == runs / "tiny"
    assert tiny.parameters(htest=True) == {"preset": "tiny", "run": "tiny"}


@pytest.mark.parametrize("run", ["2024", "1e5", "2024-01-01", "true", "null", "007", "0x10", "größe"])
def test_a_name_stays_a_text(run: str) -> None:
    settings = settings_from({"PRESET": "smoke", "RUN": run, "SEED": "3", "HTEST": "{shots: [2, 4]}"})
    assert settings == Settings("smoke", run, 3, {"shots": [2, 4]})
    assert settings.parameters(htest=True) == {"preset": "smoke", "run": run, "seed": 3, "shots": [2, 4]}
    assert settings.parameters(htest=False) == {"preset": "smoke", "run": run, "seed": 3}
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


@pytest.mark.parametrize("seed", ["-1", "4294967296", str(2**64), "9" * 5000, "1.5", "nan", "true"])
def test_a_seed_that_is_none_is_refused(seed: str) -> None:
    with pytest.raises(ValueError, match="^seed="):
        settings_from({"SEED": seed})


def test_one_preset_s_name_asks_both_papers() -> None:
    assert set(transfer_presets.PRESETS) == set(htest_presets.PRESETS)
    for presets in (transfer_presets.PRESETS, htest_presets.PRESETS):
        assert {name: config.preset for name, config in presets.items()} == {name: name for name in presets}
    for name in transfer_presets.PRESETS:
        assert settings_from({"PRESET": name}) == Settings(name, name, None, {})
