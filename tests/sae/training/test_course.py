"""A branch ends where a training of its own length would have ended, however often it was killed."""

import pytest

from saelib.run.reading import read_json
from saelib.sae.config import TrainingPhase
from saelib.sae.training.schedule import branch_ends, most_branches, trained_tokens
from saelib.sae.training.train import train
from saelib.transfer.plans import scratch_plans
from tests.helpers.small_world import ToyModel, files_below, one_order, toy_config, toy_folders, toy_rows

BUDGETS = (0, 48, 96, 128, 256)  # 6, 12, 16 and 32 steps of 8 tokens; a chunk has 64
PHASE = TrainingPhase(checkpoints=BUDGETS, learning_rate=1e-2)


def wsd_config(**changes):
    """lambda grows over the first 3 of 32 steps."""
    return toy_config(schedule="wsd", batch_tokens=8, scratch=PHASE, transfer=PHASE, l1_warm_up_share=0.1, **changes)


def train_wsd(base, config=None, phase=PHASE, model=None, **options):
    config = config or wsd_config()
    plans = one_order(scratch_plans([0, 2], config))
    return train(plans, phase, model or ToyModel(), toy_rows(), config, toy_folders(base, "scratch"), **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    base = tmp_path_factory.mktemp("wsd")
    return base, train_wsd(base)


def weights(base, tokens):
    return (base / f"saes/scratch/L2/seed1/{tokens}/sae_weights.safetensors").read_bytes()


@pytest.mark.parametrize(("tokens", "warm_up"), [(128, 0.19), (256, 0.1)])
def test_every_budget_is_a_training_of_its_own(finished, tmp_path, tokens, warm_up):
    """To the bit: the paper's schedule on as many tokens, with lambda's 3 steps of warm-up."""
    alone = toy_config(batch_tokens=8, l1_warm_up_share=warm_up)  # by the schedule "paper"
    train_wsd(tmp_path, alone, TrainingPhase(checkpoints=(0, tokens), learning_rate=1e-2))
    assert weights(tmp_path, tokens) == weights(finished[0], tokens)


def test_budgets_may_end_inside_a_chunk(finished):
    folder = finished[0] / "saes/scratch/L0/seed0"
    assert sorted(int(path.name) for path in folder.iterdir()) == list(BUDGETS)
    assert read_json(folder / "48" / "lineage.json")["tokens"] == 48


def test_the_log_is_about_decays(finished):
    """The 6 steps of the last decay, and the one of the first, at lambda's full size."""
    rows = {(row["tokens"], row["metric"]): row["value"] for row in finished[1]
            if (row["sae_layer"], row["seed"]) == (2, 1)}  # fmt: skip
    assert {tokens for tokens, _ in rows} == set(BUDGETS[1:])
    assert rows[256, "mse"] < rows[48, "mse"]
    for tokens in BUDGETS[1:]:
        assert rows[tokens, "loss"] == pytest.approx(rows[tokens, "mse"] + 0.1 * rows[tokens, "l1"], rel=1e-5)


class StopsAfter(ToyModel):
    def __init__(self, passes):
        super().__init__()
        self.left = passes

    def residual_streams(self, tokens, layers):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return super().residual_streams(tokens, layers)


@pytest.mark.parametrize("passes", [1, 2, 3])
def test_branches_under_way_are_resumed_to_the_bit(finished, tmp_path, passes):
    """Branches for 96 and 128 tokens cross the borders of chunks, as does the trunk's own decay."""
    config = wsd_config()
    longest = TrainingPhase(checkpoints=(0, 80, 136, 200, 256), learning_rate=1e-2)
    train_wsd(tmp_path / "whole", config, longest)
    with pytest.raises(KeyboardInterrupt):
        train_wsd(tmp_path / "killed", config, longest, StopsAfter(passes), resume_seconds=0)
    train_wsd(tmp_path / "killed", config, longest, resume_seconds=0)
    assert files_below(tmp_path / "killed" / "saes") == files_below(tmp_path / "whole" / "saes")


def test_what_the_branches_cost():
    """Of 6, 12 and 16 steps a fifth, rounded down: 1, 2 and 3 steps of 8 tokens."""
    config = wsd_config()
    assert branch_ends(PHASE, config) == (6, 12, 16)
    assert trained_tokens(PHASE, config) == 256 + (1 + 2 + 3) * 8
    assert most_branches(PHASE, config) == 2  # steps 10 to 11 and 13 to 15 are in the second chunk of 8
    assert (trained_tokens(PHASE, toy_config()), most_branches(PHASE, toy_config())) == (256, 0)
