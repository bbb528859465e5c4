"""The default run by the paper's schedule: its config, and its table, in small."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.run.reading import DamagedFileError
from saelib.transfer.presets import PRESETS
from saelib.transfer.studies import paper_schedule
from saelib.transfer.studies.paper_schedule import open_paper_schedule, stored_paper_schedule
from tests.transfer.conftest import OpenSmall


def test_transfers_have_half_of_scratchs_tokens_and_one_decay(empty_runs: Path) -> None:
    config, tiny = open_paper_schedule().config, PRESETS["tiny"]
    assert config.schedule == "paper"
    assert config.scratch.tokens == tiny.scratch.tokens == 2 * config.transfer.tokens
    assert {plan.arm for plan in open_paper_schedule().plans("transfer")} == {"forward", "backward", "control"}
    changed = {"run", "schedule", "starts", "scratch", "transfer", "l1_warm_up_share"}
    assert all(getattr(config, name) == getattr(tiny, name) for name in set(type(tiny).model_fields) - changed)
    assert not empty_runs.exists()


def test_the_table_is_kept(open_small: OpenSmall, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper_schedule, "PLACE", tmp_path / "paper_schedule.parquet")
    assert stored_paper_schedule() is None
    small = open_small(run="paper", schedule="paper", starts=["copy"], sae_seeds=1, transfer={"checkpoints": [0, 1024]})
    monkeypatch.setattr(paper_schedule, "open_paper_schedule", lambda: small)
    paper_schedule.main()
    kept = stored_paper_schedule()
    assert kept is not None
    assert kept.rows is None
    pd.testing.assert_frame_equal(kept.evaluation, pd.read_parquet(small.folder / "evaluation.parquet"))
    assert set(kept.evaluation["arm"]) == {"scratch", "control", "forward", "backward", "zero_shot"}
    paper_schedule.PLACE.write_bytes(paper_schedule.PLACE.read_bytes()[:500])
    with pytest.raises(DamagedFileError, match=r"schedule\.parquet is no whole parquet file .*`git restore results`"):
        stored_paper_schedule()
