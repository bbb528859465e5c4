"""A whole run in small: files, provenance, resumption, refusals; and a run claims its folder with its first result."""

import errno
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saelib.results import parted
from saelib.results.provenance import commit, write_table
from saelib.run.lock import RunInUseError
from saelib.run.manifest import MANIFEST
from saelib.run.reading import DamagedFileError, read_json
from saelib.sae.folder import CONFIG, WEIGHTS
from saelib.sae.training.divergence import note_divergence
from saelib.transfer import scored, stages
from saelib.transfer.checks import Results, check_paired, table_of
from saelib.transfer.convergence import average_curves
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, phase_state, train_phase
from saelib.transfer.tables import read_results, read_training
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


def flip(path: Path, place: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


FILE_OPERATIONS = ("forget_part", "write_table", "note_part")


def kill_after(operations: int, patch: pytest.MonkeyPatch) -> list[str]:
    """Have the process end after so many changes of parted tables; which ones there were comes back."""
    done: list[str] = []

    def counted(name: str, operation: Callable[..., None]) -> Callable[..., None]:
        def run(*arguments: Any) -> None:
            if len(done) == operations:
                raise Killed
            operation(*arguments)
            done.append(name)

        return run

    for name in FILE_OPERATIONS:
        patch.setattr(parted, name, counted(name, getattr(parted, name)))
    return done


@pytest.fixture
def copied(run: Experiment, empty_runs: Path) -> Experiment:
    """The finished run in a place of its own, where it may be damaged."""
    shutil.copytree(run.folder, empty_runs / "finished")
    changed = ("language_model", "corpus", "layers", "scratch", "transfer")
    return open_experiment(preset="smoke", run="finished", **{name: getattr(run.config, name) for name in changed})


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


@pytest.mark.parametrize("operations", range(4))
def test_a_phase_that_is_killed_at_any_change_of_its_tables_goes_on(
    copied: Experiment, monkeypatch: pytest.MonkeyPatch, operations: int
) -> None:
    before = files_below(copied.folder)
    for name in ("training/transfer.parquet", "training.parquet"):
        (copied.folder / name).unlink()
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_after(operations, patch)
        train_phase(copied, "transfer")
    train_phase(copied, "transfer")
    assert files_below(copied.folder) == before


def test_finished_stages_are_read_back(copied: Experiment) -> None:
    before = files_below(copied.folder)
    train_phase(copied, "scratch")
    evaluate_phase(copied, "transfer")
    assert files_below(copied.folder) == before


@pytest.mark.parametrize("lost", [("evaluation",), ("evaluation_rows",), ("evaluation", "evaluation_rows")])
def test_an_interrupted_evaluation_goes_on(copied: Experiment, lost: tuple[str, ...]) -> None:
    before = files_below(copied.folder)
    for folder in lost:
        (copied.folder / folder / "transfer-000000001024.parquet").unlink()
    assert len(evaluate_phase(copied, "transfer")) == 48
    assert files_below(copied.folder) == before


@pytest.mark.parametrize("operations", range(8))
def test_an_evaluation_that_is_killed_at_any_change_of_its_tables_goes_on(
    copied: Experiment, monkeypatch: pytest.MonkeyPatch, operations: int
) -> None:
    """Whatever is on disk then, it can be read, or is said to be unfinished; and any stage goes on from it."""
    before, whole = files_below(copied.folder), len(read_results(copied).evaluation)
    for folder in ("evaluation", "evaluation_rows"):
        (copied.folder / folder / "transfer-000000001024.parquet").unlink()
        (copied.folder / f"{folder}.parquet").unlink()
    with monkeypatch.context() as patch:
        done = kill_after(operations, patch)
        with pytest.raises(Killed):
            evaluate_phase(copied, "transfer")
    if done.count("note_part") < 2:
        with pytest.raises(FileNotFoundError, match=r"without the parts evaluation/transfer-000000001024\.parquet"):
            read_results(copied)
    else:
        assert len(read_results(copied).evaluation) == whole
    evaluate_phase(copied, "transfer" if operations < 6 else "scratch")
    assert files_below(copied.folder) == before


@pytest.mark.parametrize("what", ["lost", "old", "cut", "flipped"])
def test_joined_tables_are_made_of_the_parts_whenever_they_differ(
    copied: Experiment, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """Nothing is scored or trained for that; and until then the parts are read."""
    before, results, logs = files_below(copied.folder), read_results(copied), read_training(copied)
    monkeypatch.setattr("saelib.transfer.scored.score_once", None)
    for name in ("evaluation", "evaluation_rows", "training"):
        path = copied.folder / f"{name}.parquet"
        if what == "lost":
            path.unlink()
        elif what == "old":
            write_table(pd.read_parquet(path)[:-1], path)
        elif what == "cut":
            path.write_bytes(path.read_bytes()[:-9])
        else:
            flip(path, path.stat().st_size // 10)  # in a page of the first columns
    pd.testing.assert_frame_equal(read_results(copied).evaluation, results.evaluation)
    pd.testing.assert_frame_equal(read_training(copied), logs)
    evaluate_phase(copied, "scratch")
    train_phase(copied, "transfer")
    assert files_below(copied.folder) == before


def test_a_finished_run_that_may_not_be_written_to_is_read(copied: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk that is mounted for reading, where its joined tables cannot be made again."""
    for name in ("evaluation", "evaluation_rows", "training"):
        (copied.folder / f"{name}.parquet").unlink()

    @contextmanager
    def refused(_: object) -> Iterator[None]:
        raise OSError(errno.EROFS, "Read-only file system")
        yield

    monkeypatch.setattr(stages, "writing", refused)
    assert len(train_phase(copied, "scratch")) and len(evaluate_phase(copied, "scratch")) == 18
    assert len(read_results(copied).evaluation) == 78 and len(read_training(copied))


@pytest.mark.parametrize("folder", ["evaluation", "evaluation_rows", "training"])
def test_a_part_whose_bytes_have_changed_is_refused_by_name(copied: Experiment, folder: str) -> None:
    path = sorted((copied.folder / folder).glob("*.parquet"))[-1]
    flip(path, path.stat().st_size // 2)
    readers = [read_training] if folder == "training" else [read_results, evaluate_zero_shot]
    for read in readers:
        with pytest.raises(DamagedFileError, match=rf"{path} is not what manifest\.json .* delete it to have it made"):
            read(copied)


@pytest.mark.parametrize("noted", [True, False])
def test_parts_that_have_changed_places_are_refused(copied: Experiment, noted: bool) -> None:
    """Token counts swapped, by somebody who renames files; an earlier release has no checksums of them."""
    one, other = (f"scratch-{tokens:012d}.parquet" for tokens in (1024, 2048))
    for folder in ("evaluation", "evaluation_rows"):
        place = copied.folder / folder
        (place / one).rename(place / "aside")
        (place / other).rename(place / one)
        (place / "aside").rename(place / other)
        if not noted:
            (place / MANIFEST).unlink()
    with pytest.raises(DamagedFileError, match="is not what" if noted else r"than its name says \(tokens\)"):
        evaluate_phase(copied, "scratch")


def test_a_mixture_of_parts_is_refused_by_whoever_reads_them_together(copied: Experiment) -> None:
    """Also where no part is missing: as after a copy of another machine's part into the run."""
    path = copied.folder / "evaluation" / "transfer-000000001024.parquet"
    table = pd.read_parquet(path)
    versions = json.dumps(json.loads(table["versions"][0]) | {"torch": "1.0"})
    write_table(table.assign(ce_clean=table["ce_clean"] + 1e-6, versions=versions), path)
    (path.parent / MANIFEST).unlink()
    for read in (read_results, lambda run: evaluate_phase(run, "scratch"), evaluate_zero_shot):
        with pytest.raises(ValueError, match=r"machines \(torch .*, 1\.0\): clean .* trained by several"):
            read(copied)


def test_an_sae_that_diverged_has_rows_without_scores(copied: Experiment) -> None:
    """It, and what it would be at other layers; all others are scored as they were."""
    before = read_results(copied).evaluation
    folder = copied.phase_folders("scratch").sae("scratch", 1, 0, 2048)
    shutil.rmtree(folder)
    note_divergence(folder.parent, {}, step=5, from_tokens=1025)
    for name in ("evaluation", "evaluation_rows"):
        shutil.rmtree(copied.folder / name)
    for phase in ("scratch", "transfer"):
        evaluate_phase(copied, phase)
    evaluate_zero_shot(copied)
    results = read_results(copied)
    gone = results.evaluation["diverged_at_step"].notna()
    keys = ["arm", "sae_layer", "act_layer", "seed", "diverged_at_step"]
    assert results.evaluation.loc[gone, keys].to_numpy().tolist() == [
        ["scratch", 1, 1, 0, 5], ["zero_shot", 1, 0, 0, 5], ["zero_shot", 1, 2, 0, 5],
    ]  # fmt: skip
    scores = ["mse", "ce_clean", "l0", "loss", "ce_score", "sae_sha256"]
    assert results.evaluation.loc[gone, scores].isna().all(axis=None)
    rest = results.evaluation.drop(columns="diverged_at_step")
    pd.testing.assert_frame_equal(rest[~gone], before[~gone], check_exact=True)
    assert "diverged_at_step" not in read_training(copied)
    pd.testing.assert_frame_equal(pd.read_parquet(copied.folder / "evaluation.parquet"), results.evaluation)
    with pytest.raises(FileNotFoundError, match=r"2048 is not there: its training diverged at step 5"):
        copied.sae("scratch", 1)
    assert average_curves(results, ["mse"], resamples=9)["mean"].notna().all()


@pytest.mark.parametrize(
    "swap", [("scratch/L1/seed0/1024", "scratch/L1/seed0/2048"), ("scratch/L0/seed0/2048", "scratch/L2/seed0/2048")]
)
def test_saes_that_have_changed_places_are_neither_scored_nor_built_upon(
    copied: Experiment, swap: tuple[str, str]
) -> None:
    one, other = (copied.folder / "saes" / place for place in swap)
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)
    for name in ("evaluation", "training"):
        shutil.rmtree(copied.folder / name)
    for stage in (lambda: evaluate_phase(copied, "scratch"), lambda: train_phase(copied, "transfer")):
        with pytest.raises(DamagedFileError, match="holds another SAE than its place says: lineage.json has"):
            stage()


def test_saes_of_a_run_with_another_config_are_neither_scored_nor_built_upon(
    copied: Experiment, open_small: OpenSmall
) -> None:
    """A whole folder, with its checksums, in the right place: of a run with another learning rate."""
    other = open_small(run="other", scratch={"checkpoints": [0, 1024, 2048], "learning_rate": 9e-3})
    train_phase(other, "scratch")
    place = copied.phase_folders("scratch").sae("scratch", 1, 0, 2048)
    shutil.rmtree(place)
    shutil.copytree(other.phase_folders("scratch").sae("scratch", 1, 0, 2048), place)
    with pytest.raises(DamagedFileError, match=f"lineage.json has config_sha256 '{other.config.sha256()}', not "):
        copied.sae("scratch", 1)
    for name in ("evaluation", "training"):
        shutil.rmtree(copied.folder / name)
    for stage in (lambda: evaluate_phase(copied, "scratch"), lambda: train_phase(copied, "transfer")):
        with pytest.raises(DamagedFileError, match="holds another SAE than its place says: .* config_sha256"):
            stage()


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS])
def test_an_sae_that_lacks_a_file_is_named_with_the_remedy(copied: Experiment, name: str) -> None:
    """Where its own part is missing, and where another one is and it was scored already."""
    folder = copied.phase_folders("transfer").sae("forward", 1, 0, 1024)
    (folder / name).unlink()
    remedy = rf"{folder}: {name} is not there: delete .*training/transfer\.parquet and the folders .*resume_points/tra"
    for tokens in (1024, 2048):
        (copied.folder / "evaluation" / f"transfer-{tokens:012d}.parquet").unlink()
        with pytest.raises(FileNotFoundError, match=remedy):
            evaluate_phase(copied, "transfer")


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ("evaluation/zero_shot.parquet", read_results),
        ("evaluation/transfer-000000001024.parquet", read_results),
        ("evaluation_rows/scratch-000000002048.parquet", read_results),
        ("training/transfer.parquet", read_training),
    ],
)
def test_a_part_that_is_missing_is_named(copied: Experiment, part: str, read: Callable[[Experiment], Any]) -> None:
    (copied.folder / part).unlink()
    name = part.replace("evaluation_rows", "evaluation")
    with pytest.raises(FileNotFoundError, match=rf"with both phases \(without the parts {name}\); make it with `make"):
        read(copied)


@pytest.mark.parametrize(("name", "read"), [("evaluation", read_results), ("training", read_training)])
def test_a_joined_table_alone_is_no_result_of_a_run_that_has_saes(
    copied: Experiment, name: str, read: Callable[[Experiment], Any]
) -> None:
    """As where the folder of the parts was deleted to have them made again: the table may be of any time."""
    shutil.rmtree(copied.folder / name)
    with pytest.raises(FileNotFoundError, match=rf"no {name}\.parquet with both phases \(without the parts {name}/scr"):
        read(copied)
    shutil.rmtree(copied.folder / "saes")
    assert read(copied) is not None


def test_a_part_that_does_not_fit_the_others_is_refused_and_not_kept(
    copied: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the others were scored by another version, whose clean loss differs in the last digits."""
    part = copied.folder / "evaluation" / "transfer-000000001024.parquet"
    kept = part.read_bytes()
    part.unlink()
    off = pd.read_parquet(copied.folder / "evaluation" / "zero_shot.parquet")
    off["ce_clean"] += 1e-6
    rows = pd.read_parquet(copied.folder / "evaluation_rows" / "zero_shot.parquet")
    with monkeypatch.context() as patch:
        patch.setattr(scored, "_score", lambda *_: Results(off, rows))
        for _ in range(2):
            with pytest.raises(ValueError, match="clean losses differ by 1e-06 nats; delete the run's evaluation/"):
                evaluate_phase(copied, "transfer")
    evaluate_phase(copied, "transfer")
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
        (part.parent / MANIFEST).unlink()
    else:
        shutil.copy(experiment.phase_folders("scratch").sae("scratch", 1, 0, 1024) / WEIGHTS, folder / WEIGHTS)
    with pytest.raises(
        ValueError, match=r"scratch-0{12}\.parquet has no score of .* put the folder back as it was, or name"
    ):
        evaluate_phase(experiment, "scratch")
    assert not other.exists()
    shutil.rmtree(folder)  # nobody needs it any longer
    if not older:
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
    with pytest.raises(
        FileNotFoundError,
        match=r"source of forward L1 .*: train it with `saelib.train_phase\(.*'scratch'\)`",
    ):
        train_phase(open_small(run="x"), "transfer")
    assert not (empty_runs / "x").exists()


def test_scores_of_saes_that_are_not_trained_leave_the_name_free(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises(FileNotFoundError, match="is not there: train it with `saelib.train_phase"):
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
    with pytest.raises(FileNotFoundError, match=r"is not there: delete .*scratch\.parquet and .* phase scratch again"):
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
