"""The run of all starts and distances, and the sweep over the tokens of a map, in small."""

from itertools import product
from pathlib import Path

import pandas as pd
import pytest

from saelib.sae.starts import STARTS
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.experiment import Experiment
from saelib.transfer.presets import PRESETS
from saelib.transfer.studies import shared, starts
from saelib.transfer.studies.shared import train_and_score
from saelib.transfer.studies.starts import (
    open_starts,
    stored_leads,
    stored_map_tokens,
    stored_savings,
    sweep_map_tokens,
)
from tests.transfer.conftest import OpenSmall


@pytest.fixture(scope="module")
def small_starts(open_small: OpenSmall) -> Experiment:
    """All starts at two distances: three layers have no more."""
    experiment = open_small(run="starts", starts=STARTS, distances=[1, 2], map_tokens=512)
    train_and_score(experiment)
    return experiment


def test_the_study_is_the_default_run_with_more_arms_and_fewer_budgets(empty_runs: Path) -> None:
    config, tiny = open_starts().config, PRESETS["tiny"]
    assert (config.starts, config.distances, config.sae_seeds) == (STARTS, (1, 2, 3), 3)
    assert set(config.scratch.checkpoints) < set(tiny.scratch.checkpoints)
    assert config.scratch.tokens == config.transfer.tokens == tiny.scratch.tokens
    same = set(type(tiny).model_fields) - {"run", "sae_seeds", "starts", "distances", "scratch", "transfer"}
    assert all(getattr(config, name) == getattr(tiny, name) for name in same)
    assert not empty_runs.exists()


def test_the_sweep_starts_where_the_run_starts(small_starts: Experiment) -> None:
    """Maps of `map_tokens` tokens are those of the run, scored again: the same numbers by another way."""
    swept = sweep_map_tokens(small_starts, sizes=(128, 512))
    assert swept.groupby(["start", "map_tokens"]).size().to_dict() == {
        ("copy", 0): 8, ("affine", 128): 8, ("affine", 512): 8, ("procrustes", 128): 8, ("procrustes", 512): 8
    }  # fmt: skip
    run = pd.read_parquet(small_starts.folder / "evaluation.parquet")
    starting = run[(run["tokens"] == 0) & (run["arm"] != "zero_shot")]
    keys = ["start", "source_layer", "act_layer", "seed", "data_seed"]
    both = swept[swept["map_tokens"].isin([0, 512])].merge(starting, on=keys, suffixes=("", "_run"))
    assert len(both) == 24
    assert (both["direction"] == both["direction_run"]).all()
    for metric in ("loss", "l0", "ce_score"):
        assert both[metric].to_numpy() == pytest.approx(both[f"{metric}_run"].to_numpy(), rel=1e-4, abs=1e-4), metric
    maps = pd.read_parquet(small_starts.folder / "maps.parquet")
    fits = swept[swept["map_tokens"] == 512].merge(
        maps, on=[key for key in keys if key != "seed"], suffixes=("", "_run")
    )
    assert len(fits) == 16
    assert fits["r2"].to_numpy() == pytest.approx(fits["r2_run"].to_numpy(), abs=1e-6)


def test_tables_are_empty_until_the_study_has_run_and_then_say_what_it_found(
    small_starts: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "RESULTS", tmp_path)
    for stored in (stored_savings, stored_leads, stored_map_tokens):
        assert stored().empty
    monkeypatch.setattr(starts, "open_starts", lambda: small_starts)
    monkeypatch.setattr(starts, "SIZES", (128, 512))
    starts.main()
    saved, leads, swept = stored_savings(), stored_leads(), stored_map_tokens()
    arms = set(product(DIRECTIONS, (1, 2), STARTS))
    assert set(saved[["direction", "distance", "start"]].itertuples(index=False, name=None)) == arms
    assert set(leads["start"]) == {"affine", "procrustes"} and set(leads["distance"]) == {1, 2}
    means = saved.set_index(["arm", "target"])["mean"]
    first = leads.query("arm == 'backward_affine_2' and target == 'loss'")["mean"].item()
    assert first == pytest.approx(means["backward_affine_2", "loss"] - means["backward_2", "loss"], abs=1e-5)
    assert len(swept) == 40
    for table in (saved, leads, swept):
        assert set(table["config_sha256"]) == {small_starts.config.sha256()}
