"""A study's table goes to `results/` with its origin in every row, and comes back."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.results.provenance import commit
from saelib.transfer.studies import shared
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
