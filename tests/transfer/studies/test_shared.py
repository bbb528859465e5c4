"""A study's table goes to `results/` with its origin in every row, and comes back."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.results.provenance import commit
from saelib.run.reading import DamagedFileError
from saelib.transfer.studies import choice_of_lambda, shared
from saelib.transfer.studies.shared import keep, read_kept
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
