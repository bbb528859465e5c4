"""The page of this room defines every column of the table that a run leaves."""

from pathlib import Path

import pytest

import saelib.htest
from saelib.htest.scoring.stored import score_study
from saelib.htest.stages import ask
from tests.helpers.pages import check_columns
from tests.helpers.small_studies import Listener, respondent, small_study

PAGE = Path(saelib.htest.__file__).with_name("README.md")


def test_every_column_of_the_accuracies_is_defined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = small_study(tmp_path, monkeypatch)
    ask(study, respondent(Listener()), 4, ["rhyme"])
    check_columns(score_study(study), PAGE, "htest.parquet")
