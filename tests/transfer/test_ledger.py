"""What a run cost, worked out by hand and counted by PyTorch."""

import math
from pathlib import Path

import pandas as pd
import pytest

from saelib.sae.reference import counted_sae_flops
from saelib.sae.training.schedule import trained_tokens
from saelib.transfer.experiment import Experiment
from saelib.transfer.ledger import (
    break_even,
    break_even_table,
    compute_ledger,
    cost_table,
    language_model_flops_per_token,
    sae_flops_per_token,
    wall_times,
)
from saelib.transfer.targets import TARGET_NAMES
from tests.transfer.conftest import OpenSmall


def test_the_flops_of_an_sae_are_those_that_pytorch_counts() -> None:
    assert sae_flops_per_token(16, 64) == counted_sae_flops(16, 64)


D_MODEL, D_SAE = 32, 64
BLOCK = 4 * D_MODEL**2 + 8 * D_MODEL**2  # attention and feed-forward weights of a GPT-NeoX block
BUDGETS = {"checkpoints": [0, 2560, 5120]}


@pytest.fixture
def ledger(open_small: OpenSmall) -> pd.DataFrame:
    """Of ten and twenty steps of 256 tokens, the first of which decays over two steps of a branch of its own."""
    experiment = open_small(run="ledger", scratch=BUDGETS, transfer=BUDGETS)
    assert experiment.model.block_weights == BLOCK
    return compute_ledger(experiment, made_maps(experiment)).set_index("arm")


def made_maps(experiment: Experiment) -> pd.DataFrame:
    plans = [plan for plan in experiment.plans("transfer") if plan.start == "affine"]
    return pd.DataFrame(
        {"start": plan.start, "source_layer": plan.source_layer, "act_layer": plan.sae_layer,
         "data_seed": plan.data_seed, "tokens": 2048, "flops": 1000 + plan.sae_layer}
        for plan in plans
    )  # fmt: skip


def test_ledger_by_hand(ledger: pd.DataFrame) -> None:
    assert sae_flops_per_token(D_MODEL, D_SAE) == 5 * 2 * D_MODEL * D_SAE
    pass_flops = language_model_flops_per_token(BLOCK, 3, D_MODEL, 64)
    assert pass_flops == 3 * (2 * BLOCK + 4 * D_MODEL * 32)
    assert ledger["saes"].to_dict() == {"scratch": 3, "forward": 2, "forward_affine": 2, "backward": 2,
                                        "backward_affine": 2}  # fmt: skip
    assert ledger.loc["scratch", "sae_flops"] == 3 * 5120 * 5 * 2 * D_MODEL * D_SAE
    assert ledger.loc["scratch", "lm_flops_shared"] == 5120 * pass_flops
    assert ledger.loc["scratch", "lm_flops_alone"] == 5120 * pass_flops * (1 + 2 + 3) / 3
    assert ledger.loc["forward", "lm_flops_shared"] == 5120 * pass_flops * 2 / 8
    assert ledger.loc["scratch", "source_flops"] == 0
    assert ledger.loc["forward", "source_flops"] == 2 * ledger.loc["scratch", "total_flops"] // 3


def test_branches_are_for_the_comparison_of_budgets_only(ledger: pd.DataFrame) -> None:
    assert set(ledger["tokens"]) == {5120}
    assert set(ledger["tokens_for_all_budgets"]) == {5120 + 512}
    more = ledger["flops_for_all_budgets"] - ledger["total_flops"]
    assert more.to_list() == [saes * 512 * 5 * 2 * D_MODEL * D_SAE for saes in ledger["saes"]]


def test_the_paper_s_schedule_has_no_branches(open_small: OpenSmall) -> None:
    ledger = compute_ledger(open_small(run="ledger-paper", schedule="paper", starts=["copy"],
                                       scratch={"checkpoints": [0, 1024, 5120]}))  # fmt: skip
    assert "control" in set(ledger["arm"])
    assert (ledger["tokens"] == ledger["tokens_for_all_budgets"]).all()
    assert (ledger["flops_for_all_budgets"] == ledger["total_flops"]).all()


def test_maps_are_paid_by_those_who_start_by_them(ledger: pd.DataFrame, open_small: OpenSmall) -> None:
    assert ledger["map_tokens"].to_dict() == {"scratch": 0, "forward": 0, "forward_affine": 2048, "backward": 0,
                                              "backward_affine": 2048}  # fmt: skip
    assert ledger.loc["forward_affine", "map_flops"] == 1001 + 1002
    assert ledger.loc["backward_affine", "map_flops"] == 1000 + 1001
    assert ledger.loc["forward_affine", "total_flops"] == ledger.loc["forward", "total_flops"] + 2003
    with pytest.raises(ValueError, match="table of maps"):
        compute_ledger(open_small(run="ledger"))


def a_ledger() -> pd.DataFrame:
    table = pd.DataFrame({
        "arm": ["scratch", "forward", "forward_affine"], "saes": [3, 2, 2], "tokens": [100, 50, 50],
        "sae_flops": [3e9, 1e9, 1e9], "lm_flops_shared": [3e9, 1e9, 1e9], "lm_flops_alone": [9e9, 3e9, 3e9],
        "map_flops": [0.0, 0.0, 0.4e9], "total_flops": [6e9, 2e9, 2.4e9], "total_flops_alone": [12e9, 4e9, 4.4e9],
        "source_flops": [0, 4e9, 4e9], "total_with_source": [6e9, 6e9, 6.4e9],
        "flops_for_all_budgets": [7e9, 2.5e9, 2.9e9],
    })  # fmt: skip
    return table


def test_break_even_by_hand() -> None:
    """A scratch SAE costs 2 (alone 4) billion FLOPs, a map 0.2."""
    saved = pd.DataFrame({
        "arm": ["forward", "forward_affine", "forward", "forward"], "target": ["loss", "loss", "joint", "ce_score"],
        "mean": [0.4, 0.4, 0.05, -0.1], "low": [0.3, 0.05, -0.1, math.nan], "high": [0.5, 0.6, 0.1, math.nan],
    })  # fmt: skip
    table = break_even(a_ledger(), saved).set_index(["arm", "target", "language_model"])
    numbers = table[["transfers", "transfers_low", "transfers_high"]]
    assert numbers.loc[("forward", "loss", "shared")].tolist() == [3, 2, 4]
    assert numbers.loc[("forward", "loss", "alone")].tolist() == [3, 2, 4]
    assert numbers.loc[("forward_affine", "loss", "shared")].tolist() == [4, 2, math.inf]  # 2 / (0.8 - 0.2)
    assert numbers.loc[("forward_affine", "loss", "alone")].tolist() == [3, 2, math.inf]  # 4 / (1.6 - 0.2)
    assert numbers.loc[("forward", "joint", "shared")].tolist() == [20, 10, math.inf]
    assert numbers.loc[("forward", "ce_score", "shared"), "transfers"] == math.inf
    assert numbers.loc[("forward", "ce_score", "shared"), ["transfers_low", "transfers_high"]].isna().all()
    assert table.loc[("forward_affine", "loss", "shared"), "transfer_flops"] == pytest.approx(1.4e9)


def test_the_readers_table_is_the_ledger_in_billions_and_in_multiples_of_scratch() -> None:
    shown = cost_table(a_ledger()).set_index("arm")
    assert list(shown) == ["saes", "tokens", "SAEs", "language model", "maps", "total", "with source",
                           "total / scratch", "with source / scratch", "all budgets"]  # fmt: skip
    assert shown.loc["forward"].tolist() == [2, 50, 1, 1, 0, 2, 6, 0.5, 1.5, 2.5]  # 2 SAEs of scratch would cost 4
    assert shown.loc["scratch", ["total / scratch", "with source / scratch"]].tolist() == [1, 1]


def test_wall_times_count_every_sae_token(run: Experiment) -> None:
    table = wall_times(run.folder / "resume_points").set_index("phase")
    assert table.loc["scratch", "sae_tokens"] == 6 * trained_tokens(run.phase("scratch"), run.config)
    assert table.loc["transfer", "sae_tokens"] == 16 * trained_tokens(run.phase("transfer"), run.config)
    assert (table["seconds"] > 0).all()
    assert table["sae_tokens_per_second"].tolist() == pytest.approx((table["sae_tokens"] / table["seconds"]).tolist())


def test_a_run_without_notes_has_an_empty_table_of_times(tmp_path: Path) -> None:
    table = wall_times(tmp_path)
    assert table.empty
    assert list(table) == ["phase", "device", "seconds", "sae_tokens", "sae_tokens_per_second"]


def test_break_even_is_told_in_whole_transfers() -> None:
    rows = [("forward", "shared", "joint", 3.0, 2.0, math.inf), ("forward", "shared", "loss", 2.0, math.nan, math.nan),
            ("backward", "shared", "loss", math.inf, 4.0, math.inf)]  # fmt: skip
    columns = ["arm", "language_model", "target", "transfers", "transfers_low", "transfers_high"]
    table = break_even_table(pd.DataFrame(rows, columns=columns))
    assert list(table) == ["arm", "language_model", TARGET_NAMES["loss"], TARGET_NAMES["joint"]]
    assert table.iloc[0].to_list() == ["forward", "shared", "2", "3 (2 to never)"]
    assert table.iloc[1].to_list()[:3] == ["backward", "shared", "never (4 to never)"]
