"""The page of this room defines every column of the tables that a run leaves."""

from pathlib import Path

import pandas as pd

import saelib.transfer
from saelib.transfer.checks import DIVERGED
from saelib.transfer.experiment import Experiment
from tests.helpers.pages import check_columns

PAGE = Path(saelib.transfer.__file__).with_name("README.md")


def test_every_column_of_the_evaluation_is_defined(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    check_columns(table.assign(**{DIVERGED: 0}), PAGE, "evaluation.parquet")  # which only some runs have
