"""A run goes on with the model and text that it was begun with, or not at all: a path says where, a hash says what."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import huggingface_hub
import pandas as pd
import pytest
from safetensors.torch import load_file, save_file

from saelib.results.values import record_values
from saelib.run.files import write_json
from saelib.run.library import code_digest
from saelib.run.reading import read_json
from saelib.sae.folder import LINEAGE
from saelib.transfer import passes
from saelib.transfer.computing import COMPUTING
from saelib.transfer.experiment import Experiment
from saelib.transfer.maps import fit_maps
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase
from saelib.transfer.tables import read_maps, read_results, read_training
from tests.helpers.small_models import COMMIT, cache_hub_model, cache_hub_rows, random_rows, save_small_model
from tests.helpers.small_world import files_below
from tests.transfer.conftest import TEXT, OpenSmall

PHASE = {"checkpoints": [0, 1024]}
Opened = Callable[[], Experiment]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "mine.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture
def model(tmp_path: Path, random_model_folder: Path) -> Path:
    return Path(shutil.copytree(random_model_folder, tmp_path / "model"))


@pytest.fixture
def opened(empty_runs: Path, open_small: OpenSmall, text: Path, model: Path) -> Opened:
    """Opens the same run again, as a new process would."""
    return lambda: open_small(
        run="mine",
        corpus=str(text),
        language_model=str(model),
        layers=[0, 1],
        sae_seeds=1,
        scratch=PHASE,
        transfer=PHASE,
    )


def edit(text: Path) -> None:
    text.write_text(TEXT.replace("small things", "tiny things"))


def finish(experiment: Experiment) -> None:
    for phase in ("scratch", "transfer"):
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    evaluate_zero_shot(experiment)


STAGES: dict[str, Callable[[Experiment], object]] = {
    "train": lambda run: train_phase(run, "transfer"),
    "evaluate": lambda run: evaluate_phase(run, "scratch"),
    "zero_shot": evaluate_zero_shot,
    "maps": lambda run: fit_maps(run, run.plans("transfer")),
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_text_that_was_edited_between_two_stages_is_refused_and_the_old_one_goes_on(
    opened: Opened, text: Path, stage: str
) -> None:
    train_phase(opened(), "scratch")
    before, old = files_below(opened().folder), opened().corpus.sha256
    edit(text)
    with pytest.raises(FileExistsError) as refused:
        STAGES[stage](opened())
    said = str(refused.value)
    assert f"mine holds a run made from another content (corpus '{text}' was {old[:12]}, is " in said
    assert said.endswith("put the old content back to go on with it, or name another run, which starts anew")
    assert files_below(opened().folder) == before
    text.write_text(TEXT)
    STAGES[stage](opened())
    assert len(files_below(opened().folder)) > len(before)


def test_a_text_that_was_edited_before_a_resume_is_refused(
    opened: Opened, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(passes, "train", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_phase(opened(), "scratch")
    edit(text)
    with pytest.raises(FileExistsError, match="corpus .* was .*, is "):
        train_phase(opened(), "scratch")
    text.write_text(TEXT)
    assert len(train_phase(opened(), "scratch"))


def test_a_model_that_was_changed_is_refused(opened: Opened, model: Path) -> None:
    train_phase(opened(), "scratch")
    weights = load_file(model / "model.safetensors")
    name = next(iter(weights))
    save_file(weights | {name: weights[name] + 1}, model / "model.safetensors", {"format": "pt"})
    for stage in (STAGES["evaluate"], STAGES["train"], lambda run: run.sae("scratch", 0)):
        with pytest.raises(
            FileExistsError, match=rf"language_model '{model}' was \w{{12}}, is \w{{12}}\): put the old"
        ):
            stage(opened())


def test_every_table_says_what_it_was_made_from(opened: Opened) -> None:
    run = opened()
    finish(run)
    inputs = {"library": code_digest(*COMPUTING), "language_model": run.model.revision, "corpus": run.corpus.sha256}
    assert read_json(run.folder / "config.json")["inputs"] == inputs
    tables = sorted(path for path in run.folder.rglob("*.parquet") if "rows" not in str(path.relative_to(run.folder)))
    assert {path.parent.name for path in tables} == {"mine", "training", "evaluation"}
    for path in tables:
        assert [json.loads(line) for line in pd.read_parquet(path)["inputs"].unique()] == [inputs], path
    for path in (run.folder / "saes").rglob(LINEAGE):
        assert read_json(path)["inputs"] == inputs
    record_values(run, "11_scratch_saes", {})
    assert read_json(run.folder / "values" / "11_scratch_saes.json")["inputs"] == inputs


def test_finished_results_are_read_where_neither_model_nor_text_is_there(
    opened: Opened, text: Path, model: Path
) -> None:
    finish(opened())
    text.unlink()
    shutil.rmtree(model)
    run = opened()
    assert len(read_results(run).evaluation) and len(read_training(run)) and len(read_maps(run))
    record_values(run, "13_convergence", {})


def test_results_of_another_text_are_not_read_into_a_run(opened: Opened) -> None:
    finish(opened())
    run = opened()
    path = run.folder / "config.json"
    values = read_json(path)
    write_json(path, values | {"inputs": values["inputs"] | {"corpus": "0" * 64}})
    for read in (read_results, read_training, read_maps):
        with pytest.raises(
            FileExistsError, match=r"parquet has rows made from another content \(corpus was 000000000000"
        ):
            read(run)


def test_a_config_that_was_deleted_does_not_let_in_another_text(opened: Opened, text: Path) -> None:
    """The SAEs say what they were made from too."""
    train_phase(opened(), "scratch")
    (opened().folder / "config.json").unlink()
    edit(text)
    for stage in (STAGES["train"], STAGES["evaluate"], STAGES["zero_shot"]):
        with pytest.raises(
            FileExistsError, match=r"seed0/1024 was made from another content \(corpus was|seed0/0 was made"
        ):
            stage(opened())


def test_a_run_of_an_earlier_release_is_read_and_not_continued(opened: Opened) -> None:
    finish(opened())
    path = opened().folder / "config.json"
    values = read_json(path)
    del values["inputs"]
    write_json(path, values)
    run = opened()
    before = files_below(run.folder)
    assert len(read_results(run).evaluation)
    assert len(train_phase(run, "scratch")) and len(evaluate_phase(run, "transfer"))
    assert files_below(run.folder) == before
    (run.folder / "evaluation" / "zero_shot.parquet").unlink()
    with pytest.raises(FileExistsError, match=r"config\.json was written by an earlier release, .* name another run"):
        evaluate_zero_shot(run)
    assert "inputs" not in read_json(path)


@pytest.mark.parametrize("stage", ["train", "evaluate", "zero_shot"])
def test_a_run_that_another_library_began_is_read_and_drawn_and_not_continued(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    train_phase(opened(), "scratch")
    monkeypatch.setattr("saelib.transfer.experiment.code_digest", lambda *_: "f" * 64)
    before = files_below(opened().folder)
    with pytest.raises(
        FileExistsError,
        match=r"library was \w{12}, is f{12}\): check out the version of the library",
    ):
        STAGES[stage](opened())
    assert files_below(opened().folder) == before
    assert len(train_phase(opened(), "scratch"))
    record_values(opened(), "11_scratch_saes", {})


def test_results_of_a_release_that_noted_no_library_are_read_and_not_continued(opened: Opened) -> None:
    train_phase(opened(), "scratch")
    path = opened().folder / "config.json"
    values = read_json(path)
    del values["inputs"]["library"]
    write_json(path, values)
    assert len(train_phase(opened(), "scratch"))
    with pytest.raises(FileExistsError, match="earlier release, which did not note library the results were made from"):
        evaluate_phase(opened(), "scratch")


def test_values_alone_bind_a_run_to_no_library(opened: Opened) -> None:
    """What a notebook recorded of the model says nothing about who will train."""
    record_values(opened(), "10_language_model", {})
    assert "library" not in read_json(opened().config_path)["inputs"]
    train_phase(opened(), "scratch")
    assert read_json(opened().config_path)["inputs"]["library"] == code_digest(*COMPUTING)


def test_what_a_process_has_read_stays_the_same_before_anything_is_written(opened: Opened) -> None:
    run = opened()
    run.pin("corpus", "1" * 64)
    with pytest.raises(
        FileExistsError, match=r"has read so far is made from another content \(corpus .* was 1{12}, is 2"
    ):
        run.pin("corpus", "2" * 64)
    assert run.inputs == {"corpus": "1" * 64}
    assert not run.folder.exists()


def test_a_damaged_config_is_put_back_and_not_made_anew(opened: Opened) -> None:
    train_phase(opened(), "scratch")
    (opened().folder / "config.json").write_text('{"preset": "smo')
    with pytest.raises(FileExistsError, match=r"config\.json is damaged .*; put it back, or name another run"):
        opened()


def test_a_run_stays_at_the_commit_that_it_has_read_when_the_branch_moves(
    empty_runs: Path, tmp_path: Path, open_small: OpenSmall, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    snapshot = cache_hub_model(tmp_path / "hub", "some/model")

    def opened(run: str) -> Experiment:
        return open_small(
            run=run, corpus=str(text), language_model="some/model", layers=[0, 1], scratch=PHASE, transfer=PHASE
        )

    train_phase(opened("begun"), "scratch")
    newer = COMMIT[::-1]
    save_small_model(snapshot.with_name(newer), seed=1)
    (snapshot.parents[1] / "refs" / "main").write_text(newer)
    assert opened("begun").model.revision == COMMIT
    assert opened("another").model.revision == newer


@pytest.mark.parametrize("branch", ["", "@main"])
def test_a_run_stays_at_the_rows_that_it_has_read_when_the_branch_moves(
    empty_runs: Path, tmp_path: Path, open_small: OpenSmall, monkeypatch: pytest.MonkeyPatch, branch: str
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    snapshot = cache_hub_rows(tmp_path / "hub", "some/rows", {"train.parquet": random_rows(200)})

    def opened(run: str) -> Experiment:
        return open_small(run=run, corpus=f"some/rows{branch}", layers=[0, 1], scratch=PHASE, transfer=PHASE)

    train_phase(opened("begun"), "scratch")
    assert read_json(opened("begun").config_path)["inputs"]["corpus_revision"] == COMMIT
    old, newer = opened("begun").corpus, COMMIT[::-1]
    cache_hub_rows(tmp_path / "elsewhere", "some/rows", {"train.parquet": random_rows(200, seed=1)})
    shutil.copytree(
        tmp_path / "elsewhere" / snapshot.relative_to(tmp_path / "hub"), snapshot.with_name(newer), symlinks=True
    )
    (snapshot.parents[1] / "refs" / "main").write_text(newer)
    begun, another = opened("begun").corpus, opened("another").corpus
    assert (begun.revision, begun.sha256, begun.name) == (COMMIT, old.sha256, f"some/rows{branch}")
    assert (begun.held_out == old.held_out).all() and (begun.train.take(0, 9) == old.train.take(0, 9)).all()
    assert another.revision == newer and (another.held_out != old.held_out).any()
    assert len(train_phase(opened("begun"), "transfer"))
