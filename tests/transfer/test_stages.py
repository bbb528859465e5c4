"""A whole run in small: files, provenance, resumption, refusals; and a run claims its folder with its first result."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saelib.results.provenance import commit, write_table
from saelib.run.files import read_json
from saelib.run.lock import RunInUseError
from saelib.sae.folder import WEIGHTS
from saelib.transfer import scored, stages
from saelib.transfer.convergence import average_curves
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, phase_state, train_phase
from saelib.transfer.tables import Results, check_paired, read_results, table_of
from tests.helpers.hold_run import held_by_another
from tests.helpers.small_world import files_below
from tests.transfer.conftest import OpenSmall

SHORT = {"layers": [1], "scratch": {"checkpoints": [0, 1024]}, "transfer": {"checkpoints": [0, 1024]}, "sae_seeds": 1}


TRANSFERS = ("forward", "forward_affine", "backward", "backward_affine")


def test_every_arm_layer_and_seed_is_scored(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    final = table.groupby("arm")["tokens"].max().to_dict()
    assert final == {"scratch": 2048, "zero_shot": 0} | dict.fromkeys(TRANSFERS, 2048)
    counts = table.groupby("arm").size().to_dict()
    assert counts == {"scratch": 18, "zero_shot": 12} | dict.fromkeys(TRANSFERS, 12)
    assert table.drop(columns=["source_layer", "direction"]).notna().all(axis=None)


def test_a_row_says_which_way_and_how_its_sae_started(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    starts = table[["arm", "direction", "start"]].astype(object).where(table.notna(), None).drop_duplicates()
    assert set(starts.itertuples(index=False, name=None)) == {
        ("scratch", None, "random"), ("zero_shot", None, "copy"),
        ("forward", "forward", "copy"), ("forward_affine", "forward", "affine"),
        ("backward", "backward", "copy"), ("backward_affine", "backward", "affine"),
    }  # fmt: skip
    assert set(table[["seed", "data_seed"]].itertuples(index=False, name=None)) == set(run.config.replicates)


def test_a_paper_s_run_has_a_control(empty_runs: Path, open_small: OpenSmall) -> None:
    experiment = open_small(run="paper", schedule="paper", starts=["copy"], transfer={"checkpoints": [0, 1024]})
    for phase in ("scratch", "transfer"):
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    table = evaluate_phase(experiment, "transfer")
    assert table.groupby("arm").size().to_dict() == {"backward": 8, "control": 12, "forward": 8}
    assert set(table.query("arm == 'control'")["start"]) == {"random"}


def test_the_rows_of_each_reading_average_to_its_scores(run: Experiment) -> None:
    """By a plain sum over each reading's lines."""
    scores, rows = (pd.read_parquet(run.folder / f"{name}.parquet") for name in ("evaluation", "evaluation_rows"))
    readings = scores.drop_duplicates(["sae_sha256", "act_layer"])
    assert len(readings) < len(scores)
    assert len(rows) == len(readings) * len(run.corpus.held_out)
    for score in readings.itertuples():
        own = rows[(rows["sae_sha256"] == score.sae_sha256) & (rows["act_layer"] == score.act_layer)]
        assert own["row"].tolist() == list(range(len(run.corpus.held_out)))
        for name in ("ce_clean", "ce_spliced", "ce_zero", "ce_mean", "kl", "mse", "l0", "l1"):
            assert sum(own[name].tolist()) / len(own) == pytest.approx(getattr(score, name), rel=1e-6), name


def test_every_row_carries_its_provenance(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    assert set(table["config_sha256"]) == {run.config.sha256()}
    assert set(table["eval_tokens"]) == {run.corpus.held_out.size}
    for column in ("eval_sha256", "corpus_sha256", "commit", "versions"):
        assert table[column].nunique() == 1
    assert set(table["commit"]) == {commit()}


def test_clean_loss_is_the_same_in_all_rows(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    check_paired(table)
    assert table["ce_clean"].nunique() == 1


def test_a_transfer_starts_at_its_sources_zero_shot_score(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "evaluation.parquet")
    keys = ["source_layer", "act_layer", "seed"]
    start = table.query("arm in ['forward', 'backward'] and tokens == 0").merge(
        table.query("arm == 'zero_shot'"), on=keys, suffixes=("", "_zero_shot")
    )
    assert len(start) == 8
    assert (start["ce_score"] - start["ce_score_zero_shot"]).abs().max() < 1e-6


def test_train_and_held_out_rows_are_disjoint(run: Experiment) -> None:
    train = {row.tobytes() for row in run.corpus.train.rows}  # type: ignore[attr-defined]
    assert not train & {row.tobytes() for row in run.corpus.held_out}


def test_an_sae_says_which_model_and_text_it_is_of(run: Experiment) -> None:
    metadata = read_json(run.phase_folders("transfer").sae("forward", 1, 0, 1024) / "cfg.json")["metadata"]
    assert metadata["model_name"] == run.config.language_model
    assert metadata["dataset_path"] == run.config.corpus
    assert metadata["hook_name"] == "blocks.1.hook_resid_post"
    assert metadata["prepend_bos"] is run.corpus.prepend_bos is False


def test_rows_and_saes_tell_that_bos_was_put_first(empty_runs: Path, open_small: OpenSmall) -> None:
    begun = open_small(run="begun", prepend_bos=True, **SHORT)
    train_phase(begun, "scratch")
    assert not begun.corpus.held_out[:, 0].any() and not begun.training_rows(1).take(0, 9)[:, 0].any()
    assert begun.corpus.held_out.shape[1] == begun.config.context_length
    for folder in begun.phase_folders("scratch").saes.rglob("cfg.json"):
        assert read_json(folder)["metadata"]["prepend_bos"] is True
    assert begun.config.sha256() != open_small(run="begun-not", prepend_bos=False, **SHORT).config.sha256()


def test_the_logs_of_both_phases_are_one_table(run: Experiment) -> None:
    table = pd.read_parquet(run.folder / "training.parquet")
    assert table.groupby("phase")["arm"].unique().map(sorted).to_dict() == {
        "scratch": ["scratch"], "transfer": sorted(TRANSFERS),
    }  # fmt: skip
    assert len(table) == len(train_phase(run, "scratch")) + len(train_phase(run, "transfer"))


class Killed(BaseException):
    """What no part of the library catches."""


def killed_after(files: int, paths: list[Path]) -> Callable[[pd.DataFrame, Path], None]:
    """`write_table`, which notes what it writes, and is killed when so many files are there."""

    def write(table: pd.DataFrame, path: Path) -> None:
        if len(paths) == files:
            raise Killed
        paths.append(path)
        write_table(table, path)

    return write


@pytest.mark.parametrize("name", ["training.parquet", "maps.parquet", "maps/affine-L0-L1-data0"])
def test_tables_of_a_finished_phase_that_are_lost_are_made_again(run: Experiment, name: str) -> None:
    """Those of the process that was killed before it wrote them too."""
    before, path = files_below(run.folder), run.folder / name
    if path.is_dir():
        shutil.rmtree(path)
        path = run.folder / "maps.parquet"
    path.unlink()
    train_phase(run, "transfer")
    assert files_below(run.folder) == before


@pytest.mark.parametrize("written", range(2))
def test_a_phase_that_is_killed_before_its_tables_are_written_goes_on(
    run: Experiment, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    before, paths = files_below(run.folder), list[Path]()
    (run.folder / "training" / "transfer.parquet").unlink()
    scratch = pd.read_parquet(run.folder / "training" / "scratch.parquet")
    write_table(scratch, run.folder / "training.parquet")  # as it is before the second phase

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(stages, "write_table", killed_after(written, paths))
        train_phase(run, "transfer")
    train_phase(run, "transfer")
    assert files_below(run.folder) == before


def test_finished_stages_are_read_back(run: Experiment) -> None:
    before = files_below(run.folder)
    changed = ("language_model", "corpus", "layers", "scratch", "transfer")
    reopened = open_experiment(preset="smoke", run="finished", **{name: getattr(run.config, name) for name in changed})
    train_phase(reopened, "scratch")
    evaluate_phase(reopened, "transfer")
    assert files_below(run.folder) == before


@pytest.mark.parametrize("lost", [("evaluation",), ("evaluation_rows",), ("evaluation", "evaluation_rows")])
def test_an_interrupted_evaluation_goes_on(run: Experiment, lost: tuple[str, ...]) -> None:
    before = files_below(run.folder)
    for folder in lost:
        (run.folder / folder / "transfer-000000001024.parquet").unlink()
    assert len(evaluate_phase(run, "transfer")) == 48
    assert files_below(run.folder) == before


@pytest.mark.parametrize("written", range(4))
def test_an_evaluation_that_is_killed_before_any_of_its_files_goes_on(
    run: Experiment, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """The files of a part and the joined tables, of which none is there that would lack the part."""
    before, paths = files_below(run.folder), list[Path]()
    for folder in ("evaluation", "evaluation_rows"):
        (run.folder / folder / "transfer-000000001024.parquet").unlink()

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("saelib.transfer.parts.write_table", killed_after(written, paths))
        evaluate_phase(run, "transfer")
    joined = [run.folder / f"{name}.parquet" for name in ("evaluation_rows", "evaluation")]
    assert [path for path in joined if path.is_file()] == [path for path in paths if path in joined]
    evaluate_phase(run, "transfer" if written < 2 else "scratch")  # any phase finds what is not joined
    assert files_below(run.folder) == before


def test_joined_tables_that_are_lost_are_made_again_without_scoring(
    run: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_below(run.folder)
    monkeypatch.setattr("saelib.transfer.scored.score_once", None)
    for name in ("evaluation", "evaluation_rows"):
        (run.folder / f"{name}.parquet").unlink()
        evaluate_phase(run, "scratch")
        assert files_below(run.folder) == before


def test_a_part_that_does_not_fit_the_others_is_refused_and_not_kept(
    run: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the others were scored by another version, whose clean loss differs in the last digits."""
    part = run.folder / "evaluation" / "transfer-000000001024.parquet"
    kept = part.read_bytes()
    part.unlink()
    off = pd.read_parquet(run.folder / "evaluation" / "zero_shot.parquet")
    off["ce_clean"] += 1e-6
    rows = pd.read_parquet(run.folder / "evaluation_rows" / "zero_shot.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(scored, "_score", lambda *_: Results(off, rows))
        for _ in range(2):
            with pytest.raises(ValueError, match="clean losses differ by 1e-06 nats; delete the run's evaluation/"):
                evaluate_phase(run, "transfer")
    evaluate_phase(run, "transfer")
    assert part.read_bytes() == kept


@pytest.mark.parametrize("older", [False, True])
def test_an_evaluation_of_saes_that_have_changed_does_not_go_on(
    empty_runs: Path, open_small: OpenSmall, older: bool
) -> None:
    """Or of a version that did not say yet which weights it had scored."""
    experiment = open_small(**SHORT)
    train_phase(experiment, "scratch")
    evaluate_phase(experiment, "scratch")
    part, other = (experiment.folder / "evaluation" / f"scratch-{tokens:012d}.parquet" for tokens in (0, 1024))
    other.unlink()
    folder = experiment.phase_folders("scratch").sae("scratch", 1, 0, 0)
    if older:
        write_table(pd.read_parquet(part).drop(columns="sae_sha256"), part)
    else:
        shutil.copy(experiment.phase_folders("scratch").sae("scratch", 1, 0, 1024) / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(
        ValueError, match=r"scratch-0{12}\.parquet has no score of .* put the folder back as it was, or name"
    ):
        evaluate_phase(experiment, "scratch")
    assert not other.exists()
    shutil.rmtree(folder)  # nobody needs it any longer
    assert len(evaluate_phase(experiment, "scratch")) == 2


def test_another_config_in_the_same_folder_is_refused_when_it_is_opened(run: Experiment) -> None:
    parameters = read_json(run.folder / "config.json")
    del parameters["inputs"]
    parameters["l1_coefficient"] = 0.5
    with pytest.raises(FileExistsError, match=r"l1_coefficient was 1\.0, is 0\.5"):
        open_experiment(**parameters)


def test_a_layer_that_is_not_there_leaves_the_name_free(empty_runs: Path, open_small: OpenSmall) -> None:
    mistaken = open_small(run="x", layers=[9])
    for stage in (lambda: train_phase(mistaken, "scratch"), lambda: evaluate_phase(mistaken, "scratch"),
                  lambda: evaluate_zero_shot(mistaken), lambda: phase_state(mistaken, "transfer")):  # fmt: skip
        with pytest.raises(ValueError, match=r"layers=\[9\]: .* has layers 0 to 2"):
            stage()
    assert not (empty_runs / "x").exists()
    right = open_small(run="x", **SHORT)
    assert len(train_phase(right, "scratch")) == 4
    assert read_json(empty_runs / "x" / "config.json")["layers"] == [1]


def test_a_text_that_is_too_short_leaves_the_name_free(empty_runs: Path, open_small: OpenSmall, tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("Too short for a row.")
    mistaken = open_small(run="x", corpus=str(tmp_path / "short.txt"))
    for stage in (lambda: train_phase(mistaken, "scratch"), lambda: evaluate_phase(mistaken, "scratch")):
        with pytest.raises(ValueError, match="is too short"):
            stage()
    assert not (empty_runs / "x").exists()


def test_a_model_that_is_not_there_leaves_the_name_free(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises((OSError, ValueError)):
        train_phase(open_small(run="x", language_model=str(empty_runs / "nowhere")), "scratch")
    assert not (empty_runs / "x").exists()


def test_two_that_were_opened_together_do_not_share_a_folder(empty_runs: Path, open_small: OpenSmall) -> None:
    """The second claims after the first: what was free when it was opened is taken."""
    first, second = open_small(run="x", **SHORT), open_small(run="x", **SHORT, seed=5)
    assert not (empty_runs / "x").exists()
    train_phase(first, "scratch")
    before = files_below(first.folder)
    for stage in (lambda: train_phase(second, "scratch"), lambda: train_phase(second, "transfer"),
                  lambda: evaluate_phase(second, "scratch"), lambda: second.sae("scratch", 1)):  # fmt: skip
        with pytest.raises(FileExistsError, match="seed was 0, is 5"):
            stage()
    assert files_below(first.folder) == before


@pytest.mark.parametrize("stage", ["train", "evaluate", "zero_shot"])
def test_no_stage_computes_beside_another_process(run: Experiment, stage: str, empty_runs: Path) -> None:
    parts = {"train": "training/scratch.parquet", "evaluate": "evaluation/scratch-000000002048.parquet",
             "zero_shot": "evaluation/zero_shot.parquet"}  # fmt: skip
    call: dict[str, Any] = {"train": lambda: train_phase(run, "scratch"),
                            "evaluate": lambda: evaluate_phase(run, "scratch"),
                            "zero_shot": lambda: evaluate_zero_shot(run)}  # fmt: skip
    part = run.folder / parts[stage]
    content = part.read_bytes()
    with held_by_another(run.folder) as other:
        call[stage]()  # reading what is finished disturbs nobody
        part.unlink()
        try:
            before = files_below(run.folder)
            with pytest.raises(RunInUseError, match=f"run 'finished' is in use by process {other.pid}"):
                call[stage]()
            assert files_below(run.folder) == before
        finally:
            part.write_bytes(content)


def test_the_state_of_a_phase(empty_runs: Path, open_small: OpenSmall) -> None:
    experiment = open_small(run="x", sae_seeds=2)
    assert phase_state(experiment, "scratch") == "Phase scratch: 6 SAEs of 2,048 tokens each are trained now."
    assert not (empty_runs / "x").exists()
    write_table(table_of([{"arm": "scratch"}]), experiment.folder / "training" / "scratch.parquet")
    assert phase_state(experiment, "scratch") == "Phase scratch: found 6 SAEs of 2,048 tokens each, finished."
    assert phase_state(experiment, "transfer").endswith("16 SAEs of 2,048 tokens each are trained now.")


def test_rows_longer_than_the_model_reads_leave_the_name_free(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises(ValueError, match=r"context_length=256: .* reads 128 tokens at most"):
        train_phase(open_small(run="x", context_length=256, chunk_rows=4), "scratch")
    assert not (empty_runs / "x").exists()


def test_transfers_without_their_sources_leave_the_name_free(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises(FileNotFoundError, match="which is missing; train the SAEs of the arm scratch first"):
        train_phase(open_small(run="x"), "transfer")
    assert not (empty_runs / "x").exists()


def test_scores_of_saes_that_are_not_trained_leave_the_name_free(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises(FileNotFoundError, match="is not there: train the phase first"):
        evaluate_phase(open_small(run="x"), "scratch")
    assert not (empty_runs / "x").exists()


def test_a_lost_sae_of_a_finished_phase_is_had_again_as_the_message_says(
    empty_runs: Path, open_small: OpenSmall
) -> None:
    experiment = open_small(**SHORT)
    train_phase(experiment, "scratch")
    folder, log = experiment.phase_folders("scratch").sae("scratch", 1, 0, 1024), experiment.folder / "training"
    before = files_below(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=rf"1024: {WEIGHTS} is not there: delete {log}/scratch\.parquet"):
        evaluate_phase(experiment, "scratch")
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="1024 is not there: delete "):
        evaluate_phase(experiment, "scratch")
    shutil.rmtree(log)
    shutil.rmtree(experiment.folder / "resume_points")
    train_phase(experiment, "scratch")
    assert files_below(folder) == before


def test_a_lost_source_of_a_finished_phase_is_had_again_as_the_message_says(
    empty_runs: Path, open_small: OpenSmall
) -> None:
    experiment = open_small(**SHORT | {"layers": [0, 1], "starts": ["copy"]})
    train_phase(experiment, "scratch")
    shutil.rmtree(experiment.phase_folders("scratch").sae("scratch", 1, 0, 1024))
    with pytest.raises(FileNotFoundError, match=r"scratch first: delete .*scratch\.parquet and .* phase scratch again"):
        train_phase(experiment, "transfer")


def test_a_run_of_one_layer_has_no_transfers_and_says_so(empty_runs: Path, open_small: OpenSmall) -> None:
    phase = {"checkpoints": [0, 1024]}
    experiment = open_small(run="one", layers=[1], sae_seeds=1, schedule="paper", starts=["copy"], scratch=phase,
                            transfer=phase)  # fmt: skip
    for name in ("scratch", "transfer"):
        train_phase(experiment, name)
        evaluate_phase(experiment, name)
    results = read_results(experiment)
    assert set(results.evaluation["arm"]) == {"scratch", "control"}
    with pytest.raises(ValueError, match=r"layers=\[1\]: the run has no transfers to compare; name two"):
        average_curves(results, ["mse"], resamples=9)


def test_a_phase_is_called_by_its_name(open_small: OpenSmall) -> None:
    with pytest.raises(ValueError, match="phase='scrach': .* scratch, transfer"):
        train_phase(open_small(run="y"), "scrach")
