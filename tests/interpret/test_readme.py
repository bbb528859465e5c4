"""The page of this room defines every column of the tables that a run leaves."""

from pathlib import Path

import pandas as pd
import pytest

import saelib.interpret
from saelib.interpret.circuits.study import ATTRIBUTION_COLUMNS, CURVE_COLUMNS, PATCHING_COLUMNS, run_circuits
from saelib.interpret.features.profiles import make_profiles, read_profile
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness.study import make_likeness
from saelib.interpret.likeness.transfer_study import make_feature_transfer
from tests.helpers.pages import check_columns

PAGE = Path(saelib.interpret.__file__).with_name("README.md")


@pytest.fixture(scope="module")
def made(interpretation: Interpretation) -> dict[str, pd.DataFrame]:
    """The tables of a small run, by their files."""
    make_profiles(interpretation)
    profile = read_profile(interpretation, interpretation.lineages()[0].transferred)
    origin = ["sae_sha256", *interpretation.origin()]
    of_circuits = {  # a random model knows no facts and does no task, but that is told
        "attribution": ATTRIBUTION_COLUMNS, "faithfulness": CURVE_COLUMNS, "patching": PATCHING_COLUMNS
    }  # fmt: skip
    return {
        "features": profile.features.reset_index(),
        "contexts": profile.contexts,
        "likeness.parquet": make_likeness(interpretation),
        "feature_transfer.parquet": make_feature_transfer(interpretation),
        "circuit_tasks.parquet": run_circuits(interpretation).tasks,
        **{f"{name}.parquet": pd.DataFrame(columns=[*columns, *origin]) for name, columns in of_circuits.items()},
    }


def test_every_column_is_defined(made: dict[str, pd.DataFrame]) -> None:
    for file, table in made.items():
        check_columns(table, PAGE, file)
