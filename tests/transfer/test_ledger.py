"""What a run cost, worked out by hand and counted by PyTorch."""

from pathlib import Path

import pandas as pd
import pytest

from saelib.sae.reference import counted_sae_flops
from saelib.transfer.experiment import Experiment
from saelib.transfer.ledger import (
    compute_ledger,
    cost_table,
    language_model_flops_per_token,
    sae_flops_per_token,
    wall_times,
)


def test_the_flops_of_an_sae_are_those_that_pytorch_counts() -> None:
    assert sae_flops_per_token(16, 64) == counted_sae_flops(16, 64)


def test_ledger_by_hand(run: Experiment) -> None:
    d_model, d_sae, tokens = 32, 64, 1024
    assert sae_flops_per_token(d_model, d_sae) == 5 * 2 * d_model * d_sae
    block = 4 * d_model**2 + 8 * d_model**2  # attention and feed-forward weights of a GPT-NeoX block
    assert run.model.block_weights == block
    pass_flops = language_model_flops_per_token(block, 3, d_model, 64)
    assert pass_flops == 3 * (2 * block + 4 * d_model * 32)
    ledger = compute_ledger(run).set_index("arm")
    assert ledger.loc["control", "sae_flops"] == 3 * tokens * 5 * 2 * d_model * d_sae
    assert ledger.loc["forward", "source_flops"] == 2 * ledger.loc["scratch", "total_flops"] // 3
    assert ledger.loc["scratch", "lm_flops_shared"] == 2048 * pass_flops
    assert ledger.loc["scratch", "source_flops"] == 0


def test_the_readers_table_is_the_ledger_in_billions_and_in_multiples_of_scratch() -> None:
    ledger = pd.DataFrame({
        "arm": ["scratch", "forward", "control"], "saes": [3, 2, 3], "tokens": [100, 50, 50],
        "sae_flops": [3e9, 1e9, 1.5e9], "lm_flops_shared": [3e9, 1e9, 1.5e9], "lm_flops_alone": [9e9, 3e9, 4e9],
        "total_flops": [6e9, 2e9, 3e9], "source_flops": [0, 4e9, 0], "total_with_source": [6e9, 6e9, 3e9],
    })  # fmt: skip
    shown = cost_table(ledger).set_index("arm")
    assert list(shown) == ["saes", "tokens", "SAEs", "language model", "total", "with source", "total / scratch",
                           "with source / scratch"]  # fmt: skip
    assert shown.loc["forward"].tolist() == [2, 50, 1, 1, 2, 6, 0.5, 1.5]  # 2 SAEs of scratch would cost 4
    assert shown.loc["control", "total / scratch"] == 0.5
    assert shown.loc["scratch", ["total / scratch", "with source / scratch"]].tolist() == [1, 1]


def test_the_table_of_a_run_is_made_from_its_ledger(run: Experiment) -> None:
    ledger, shown = compute_ledger(run), cost_table(compute_ledger(run))
    assert shown["total"].tolist() == pytest.approx((ledger["total_flops"] / 1e9).tolist())
    assert shown["total / scratch"].iloc[0] == 1


def test_wall_times_count_every_sae_token(run: Experiment) -> None:
    table = wall_times(run.folder / "resume_points").set_index("phase")
    assert table.loc["scratch", "sae_tokens"] == 6 * 2048
    assert table.loc["transfer", "sae_tokens"] == 14 * 1024
    assert (table["seconds"] > 0).all()
    assert table["sae_tokens_per_second"].tolist() == pytest.approx((table["sae_tokens"] / table["seconds"]).tolist())


def test_a_run_without_notes_has_an_empty_table_of_times(tmp_path: Path) -> None:
    table = wall_times(tmp_path)
    assert table.empty
    assert list(table) == ["phase", "device", "seconds", "sae_tokens", "sae_tokens_per_second"]
