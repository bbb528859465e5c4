"""A batch run's settings come from the environment, to the letter, and are checked before anything is started."""

from pathlib import Path

import pytest

from saelib.batch.settings import Settings, settings_from


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
