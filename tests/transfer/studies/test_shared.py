"""A study's table goes to `results/` with its origin in every row, and comes back."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.results.provenance import commit
from saelib.run.reading import DamagedFileError
from saelib.transfer.presets import PRESETS
from saelib.transfer.studies import choice_of_lambda, shared
from saelib.transfer.studies.paper_schedule import stored_paper_schedule
from saelib.transfer.studies.shared import keep, read_kept
from saelib.transfer.studies.starts import stored_leads, stored_map_tokens, stored_savings
from tests.transfer.conftest import OpenSmall


def test_a_table_is_kept_with_its_origin(
    open_small: OpenSmall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RESULTS", tmp_path)
    assert read_kept("some.csv").empty
    experiment = open_small(run="kept")
    table = pd.DataFrame({"start": ["copy", "affine"], "loss": [1234.56789, None], "ridge": [None, 1e-8]})
    keep("some.csv", table, experiment)
    again = read_kept("some.csv")
    assert again["loss"].tolist()[0] == 1234.57
    assert again["ridge"].tolist()[1] == 1e-8
    assert again[["loss", "ridge"]].isna().to_numpy().sum() == 2
    assert set(again["config_sha256"]) == {experiment.config.sha256()}
    assert set(again["commit"]) == {commit()}


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n1,2,3,4\n", b"a\n\xff\n"])
def test_a_table_that_is_damaged_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(shared, "RESULTS", tmp_path)
    monkeypatch.setattr(choice_of_lambda, "PLACE", tmp_path / "some.csv")
    (tmp_path / "some.csv").write_bytes(content)
    for read in (lambda: read_kept("some.csv"), choice_of_lambda.stored_trials):
        with pytest.raises(DamagedFileError, match=r"some\.csv is no whole table .*; put it back .*`git restore"):
            read()


def test_a_study_stands_beside_a_run_of_its_own_model_and_text_alone() -> None:
    """Savings of one model beside "here" of another would be read as a difference of schedules, or of distances."""
    tiny = PRESETS["tiny"]
    tables = (stored_savings, stored_leads, stored_map_tokens, choice_of_lambda.stored_trials)
    for other in (PRESETS["smollm2"], tiny.replace(corpus="austen"), tiny.replace(language_model="some/model")):
        assert all(stored(other).empty for stored in tables)
        assert stored_paper_schedule(other) is None
    for own in (None, tiny, PRESETS["smoke"]):
        assert not any(stored(own).empty for stored in tables)
        assert stored_paper_schedule(own) is not None
