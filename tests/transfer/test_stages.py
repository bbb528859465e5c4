"""A whole run in small: files, provenance, resumption, and refusals."""

import pandas as pd
import pytest

from saelib.results.provenance import check_paired, commit
from saelib.run.files import read_json
from saelib.transfer.convergence import savings
from saelib.transfer.experiment import evaluate_phase, evaluate_zero_shot, open_experiment, train_phase
from saelib.transfer.ledger import compute_ledger, language_model_flops_per_token, sae_flops_per_token, wall_times
from tests.helpers.small_world import files_below

TEXT = "\n\n".join(
    f"Paragraph {number} tells of {number * 7} small things, and of nothing else at all." for number in range(3000)
)


def open_small(random_model_folder, tmp_path, **changes):
    text = tmp_path / "prose.txt"
    text.write_text(TEXT)
    parameters = {
        "preset": "smoke",
        "run": "small",
        "language_model": str(random_model_folder),
        "corpus": str(text),
        "layers": [0, 1, 2],
        "scratch": {"checkpoints": [0, 1024, 2048]},
        "transfer": {"checkpoints": [0, 1024]},
    }
    return open_experiment(**parameters | changes)


@pytest.fixture(scope="module")
def run(random_model_folder, tmp_path_factory):
    """A finished run of three layers and two seeds."""
    base = tmp_path_factory.mktemp("experiment")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAELIB_RUNS", str(base / "runs"))
        experiment = open_small(random_model_folder, base)
        for phase in ("scratch", "transfer"):
            train_phase(experiment, phase)
            evaluate_phase(experiment, phase)
        evaluate_zero_shot(experiment)
        yield experiment


def test_every_arm_layer_and_seed_is_scored(run):
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    final = table.groupby("arm")["tokens"].max().to_dict()
    assert final == {"scratch": 2048, "forward": 1024, "backward": 1024, "control": 1024, "zero_shot": 0}
    counts = table.groupby("arm").size().to_dict()
    assert counts == {"scratch": 18, "forward": 8, "backward": 8, "control": 12, "zero_shot": 12}
    assert table.drop(columns="source_layer").notna().all(axis=None)


def test_every_row_carries_its_provenance(run):
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    assert set(table["config_sha256"]) == {run.config.sha256()}
    assert set(table["eval_tokens"]) == {run.corpus.held_out.size}
    for column in ("eval_sha256", "corpus_sha256", "commit", "versions"):
        assert table[column].nunique() == 1
    assert set(table["commit"]) == {commit()}


def test_clean_loss_is_the_same_in_all_rows(run):
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    check_paired(table)
    assert table["ce_clean"].nunique() == 1
    with pytest.raises(ValueError, match="clean losses differ"):
        check_paired(table.assign(ce_clean=table["ce_clean"] + table["seed"]))
    with pytest.raises(ValueError, match="2 sets of held-out tokens"):
        check_paired(table.assign(eval_sha256=table["seed"].astype(str)))


def test_a_transfer_starts_at_its_sources_zero_shot_score(run):
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    keys = ["source_layer", "act_layer", "seed"]
    start = table.query("arm in ['forward', 'backward'] and tokens == 0").merge(
        table.query("arm == 'zero_shot'"), on=keys, suffixes=("", "_zero_shot")
    )
    assert len(start) == 8
    assert (start["ce_score"] - start["ce_score_zero_shot"]).abs().max() < 1e-6


def test_train_and_held_out_rows_are_disjoint(run):
    train = {row.tobytes() for row in run.corpus.train.rows}
    assert not train & {row.tobytes() for row in run.corpus.held_out}


def test_finished_stages_are_read_back(run):
    before = files_below(run.folder)
    changed = ("language_model", "corpus", "layers", "scratch", "transfer")
    reopened = open_experiment(preset="smoke", run="small", **{name: getattr(run.config, name) for name in changed})
    train_phase(reopened, "scratch")
    evaluate_phase(reopened, "transfer")
    assert files_below(run.folder) == before


def test_an_interrupted_evaluation_goes_on(run):
    whole = (run.folder / "evaluation.parquet").read_bytes()
    part = run.folder / "evaluation" / "transfer-000000001024.parquet"
    kept = pd.read_parquet(part)
    part.unlink()
    again = evaluate_phase(run, "transfer")
    pd.testing.assert_frame_equal(pd.read_parquet(part), kept)
    assert len(again) == 28
    assert (run.folder / "evaluation.parquet").read_bytes() == whole


def test_another_config_in_the_same_folder_is_refused(run):
    parameters = read_json(run.folder / "config.json")
    parameters["l1_coefficient"] = 0.5
    with pytest.raises(FileExistsError, match=r"l1_coefficient was 1\.0, is 0\.5"):
        open_experiment(**parameters)


def test_an_absent_layer_is_named(random_model_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    with pytest.raises(ValueError, match=r"layers=\[7\].*has layers 0 to 2"):
        _ = open_small(random_model_folder, tmp_path, layers=[0, 7]).layers


def test_ledger_by_hand(run):
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


def test_wall_times_count_every_sae_token(run):
    table = wall_times(run.folder / "checkpoints").set_index("phase")
    assert table.loc["scratch", "sae_tokens"] == 6 * 2048
    assert table.loc["transfer", "sae_tokens"] == 14 * 1024
    assert (table["seconds"] > 0).all()


def test_savings_come_out_for_both_directions_and_targets(run):
    table = savings(pd.read_parquet(run.folder / "evaluation.parquet"))
    assert set(table["target"]) == {"ce_score", "loss"}
    assert set(table["direction"]) == {"forward", "backward"}
    assert table["mean"].between(-10, 1).all()
