"""A sink token before every row: found by measurement, pinned, left out, spliced back, and told to other programs."""

import warnings
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from saelib.language.shapes import PUBLISHED
from saelib.run.files import write_json
from saelib.run.reading import read_json
from saelib.run.threads import one_thread_each
from saelib.sae.folder import load_sae
from saelib.sae.reference import plain_scores
from saelib.transfer.experiment import Experiment
from saelib.transfer.ledger import compute_ledger
from saelib.transfer.maps import map_activations
from saelib.transfer.passes import planned_memory
from saelib.transfer.presets import PRESETS
from saelib.transfer.rehearsal import as_measured, shorter
from saelib.transfer.source import OwnSource
from saelib.transfer.stages import evaluate_phase, evaluate_zero_shot, train_phase
from saelib.transfer.trials import trial_config
from tests.helpers.sink_models import save_sink_model
from tests.transfer.conftest import OpenSmall

END = "<|endoftext|>"
WITH_END = {"prepend_bos": True, "sink_token": END, "skipped": 1}  # of a source
PHASES = {"scratch": {"checkpoints": [0, 1024]}, "transfer": {"checkpoints": [0, 1024]}}


@pytest.fixture(scope="module")
def sink_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_sink_model(tmp_path_factory.mktemp("sink") / "model")


@pytest.fixture
def open_sink(empty_runs: Path, open_small: OpenSmall, sink_folder: Path) -> OpenSmall:
    """Opens an experiment of two layers on a model with a sink, which is to be found."""

    def opened(**changes: Any) -> Experiment:
        usual = {"run": "sink", "language_model": str(sink_folder), "sink_token": "auto", "layers": [0, 1],
                 "sae_seeds": 1, **PHASES}  # fmt: skip
        return open_small(**usual | changes)

    return opened


def test_auto_finds_a_sink_pins_it_and_leaves_its_position_out(open_sink: OpenSmall) -> None:
    experiment = open_sink()
    assert (experiment.settled.named_sink, experiment.settled.skipped) == (END, 1)
    rows = experiment.corpus.held_out
    assert rows.shape[1] == 64 and not rows[:, 0].any() and rows[:, 1:].any()
    for phase in ("scratch", "transfer"):
        train_phase(experiment, phase)
        evaluate_phase(experiment, phase)
    evaluate_zero_shot(experiment)
    assert read_json(experiment.config_path)["inputs"]["sink_token"] == END
    table = pd.read_parquet(experiment.folder / "evaluation.parquet")
    assert set(table["eval_tokens"]) == {8 * 63}
    for arm, phase in (("scratch", "scratch"), ("forward_affine", "transfer")):
        folder = experiment.phase_folders(phase).sae(arm, 1, 0, 1024)
        metadata, lineage = read_json(folder / "cfg.json")["metadata"], read_json(folder / "lineage.json")
        assert {name: metadata[name] for name in ("sink_token", "sink_token_id", "skip_first", "seqpos_slice",
                                                  "prepend_bos", "context_size")} == {
            "sink_token": END, "sink_token_id": 0, "skip_first": 1, "seqpos_slice": [1, None], "prepend_bos": True,
            "context_size": 64}  # fmt: skip
        assert (lineage["sink_token"], lineage["sink_token_id"]) == (END, 0)
        assert lineage["config_sha256"] == experiment.config.sha256()
        assert load_sae(folder).lineage["sink_token"] == END
    one = table.query("arm == 'scratch' and act_layer == 1 and tokens == 1024").iloc[0]
    plain = plain_scores(experiment.model, experiment.sae("scratch", 1), 1, rows, skip_first=1)
    assert (one["mse"], one["ce_spliced"]) == pytest.approx((plain.mse, plain.ce_spliced), rel=1e-4)
    ledger = compute_ledger(experiment, pd.read_parquet(experiment.folder / "maps.parquet"))
    per_token = 2 * (2 * experiment.model.active_block_weights + 2 * 32 * 64)  # of two blocks, in rows of 64
    assert ledger["lm_flops_shared"].iloc[0] == 17 * 64 * per_token  # 17 rows of 63 tokens hold 1024


def test_what_was_found_once_is_not_measured_again_and_another_is_refused(
    open_sink: OpenSmall, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_phase(open_sink(), "scratch")
    with monkeypatch.context() as patch:
        patch.setattr("saelib.language.sinks.find_sink", lambda *_: pytest.fail("it is known"))
        assert open_sink().settled.named_sink == END
        assert len(train_phase(open_sink(), "transfer"))
    with pytest.raises(FileExistsError, match="sink_token was 'auto', is 'none'"):
        open_sink(sink_token="none")
    path = open_sink().config_path
    values = read_json(path)
    write_json(path, values | {"inputs": values["inputs"] | {"sink_token": "none"}})
    with pytest.raises(FileExistsError, match=r"corpus '.*' was \w{12}, is \w{12}"):
        open_sink().load_inputs()


def test_a_named_token_trains_the_same_saes_as_the_found_one(open_sink: OpenSmall) -> None:
    weights = []
    for run, token in (("found", "auto"), ("named", END)):
        experiment = open_sink(run=run, sink_token=token)
        train_phase(experiment, "scratch")
        folder = experiment.phase_folders("scratch").sae("scratch", 0, 0, 1024)
        weights.append((folder / "sae_weights.safetensors").read_bytes())
        assert ("sink_token" in read_json(experiment.config_path)["inputs"]) == (token == "auto")
    assert weights[0] == weights[1]


def test_where_no_position_is_an_outlier_auto_changes_nothing(
    empty_runs: Path, open_small: OpenSmall, random_model_folder: Path
) -> None:
    logs, bytes_of = [], []
    for run, token in (("auto", "auto"), ("none", "none")):
        experiment = open_small(run=run, sink_token=token, layers=[0, 1], sae_seeds=1, **PHASES)
        logs.append(train_phase(experiment, "scratch")["value"].tolist())
        folder = experiment.phase_folders("scratch").sae("scratch", 0, 0, 1024)
        bytes_of.append(((folder / "sae_weights.safetensors").read_bytes(), (folder / "cfg.json").read_bytes()))
        assert experiment.settled.skipped == 0 and experiment.corpus.sink_token is None
        assert read_json(experiment.config_path)["inputs"].get("sink_token") == ("none" if token == "auto" else None)
    assert logs[0] == logs[1] and bytes_of[0] == bytes_of[1]


@pytest.mark.parametrize("skip_first", [0, 1, 5])
def test_every_reader_leaves_the_same_positions_out(open_sink: OpenSmall, skip_first: int) -> None:
    experiment = open_sink(skip_first=skip_first)
    wanted = max(1, skip_first)
    assert (experiment.settled.skipped, experiment.settled.row_tokens) == (wanted, 64 - wanted)
    with one_thread_each() as pool:
        streams = map_activations(experiment, 0, [1], 128, pool)[1]
    rows = torch.from_numpy(experiment.training_rows(0).take(0, 3)).long()
    whole = experiment.model.residual_streams(rows, [1])[0]
    torch.testing.assert_close(streams, whole[:, wanted:].flatten(0, 1)[:128].float())
    assert whole[:, 0].norm(dim=-1).min() > 10 * whole[:, wanted:].norm(dim=-1).median()
    plans, phase = experiment.plans("scratch"), experiment.phase("scratch")
    assert planned_memory(experiment.settled, experiment.model, plans, phase).passes == 1
    train_phase(experiment, "scratch")
    metadata = read_json(experiment.phase_folders("scratch").sae("scratch", 1, 0, 1024) / "cfg.json")["metadata"]
    assert (metadata["skip_first"], metadata["seqpos_slice"]) == (wanted, [wanted, None])


def test_lambda_and_scale_are_measured_behind_the_sink_and_the_search_works_with_both(open_sink: OpenSmall) -> None:
    both = {"activation_scale": "norm", "target_l0": 12.0, "trial_tokens": 1024}
    phase = {"checkpoints": [0, 2048], "learning_rate": 1e-2}
    experiment = open_sink(**both | {"scratch": phase, "transfer": phase})
    training = train_phase(experiment, "scratch")
    scales, inputs = experiment.activation_scales, read_json(experiment.config_path)["inputs"]
    assert {"sink_token", "lambda", "activation_scale"} <= inputs.keys()
    rows = torch.from_numpy(experiment.training_rows(0).take(0, 64)).long()
    streams = experiment.model.residual_streams(rows, [0, 1])[:, :, 1:]
    norms = streams.norm(dim=-1).mean(dim=(1, 2)) / 32**0.5
    assert list(scales.values()) == pytest.approx(norms.tolist(), rel=1e-4)
    assert (training["l1_coefficient"] == training["sae_layer"].map(experiment.l1_coefficients)).all()
    folder = experiment.phase_folders("scratch").sae("scratch", 1, 0, 2048)
    assert read_json(folder / "lineage.json")["activation_scale"] == scales[1]
    l0 = training.query("metric == 'l0' and tokens == 2048")["value"]
    assert l0.between(6, 24).all()
    kept = read_json(experiment.folder / "activation_scale.json")
    kept["activation_scale"]["1"] *= 2
    write_json(experiment.folder / "activation_scale.json", kept)
    with pytest.raises(FileExistsError, match="activation_scale 'norm' was"):
        train_phase(open_sink(**both | {"scratch": phase, "transfer": phase}), "transfer")
    (experiment.folder / "activation_scale.json").unlink()  # measured again, the same
    train_phase(open_sink(**both | {"scratch": phase, "transfer": phase}), "transfer")


def test_trials_and_rehearsal_leave_aside_what_they_do_not_train() -> None:
    """A study of depth takes its source at scratch's budgets, which are others in a trial; scales are measured."""
    config = PRESETS["smoke"].replace(depth_source=2, depth_budgets=[2048, 4096], target_l0=12.0, trial_tokens=1024,
                                      activation_scale="norm", sink_token="auto")  # fmt: skip
    trial = trial_config(config.replace(sink_token=END))
    assert (trial.scratch.tokens, trial.depth_source, trial.skipped) == (1024, None, 1)
    short = shorter(as_measured(config), PUBLISHED["EleutherAI/pythia-160m-deduped"], 2, torch.device("cpu"), 4, 4)
    assert (short.activation_scale, short.target_l0, short.depth_source, short.skipped) == ("none", None, None, 1)


def test_a_number_as_scale_needs_no_measurement_and_lambda_is_in_the_models_units(open_sink: OpenSmall) -> None:
    experiment = open_sink(activation_scale=4, l1_coefficient=0.3)
    assert experiment.l1_coefficients == {0: 1.2, 1: 1.2} and experiment.activation_scales == {0: 4.0, 1: 4.0}
    training, evaluation = train_phase(experiment, "scratch"), evaluate_phase(experiment, "scratch")
    assert set(training["l1_coefficient"]) == set(evaluation["l1_coefficient"]) == {1.2}
    assert not (experiment.folder / "lambda.json").exists()
    final = evaluation[evaluation["tokens"] == 1024]
    assert final["loss"].to_numpy() == pytest.approx((final["mse"] + 1.2 * final["l1"]).to_numpy())
    with pytest.raises(FileExistsError, match="activation_scale was 4.0, is 'none'"):
        open_sink(l1_coefficient=0.3)


@pytest.mark.parametrize("token", ["<nothing>", "no such token"])
def test_a_token_that_is_none_is_refused_with_those_that_are(open_sink: OpenSmall, token: str) -> None:
    experiment = open_sink(sink_token=token)
    with pytest.raises(ValueError, match=rf"sink_token='{token}': .* is no token of .*; its special tokens: '<\|endof"):
        train_phase(experiment, "scratch")
    assert not experiment.folder.exists()


def test_rows_too_short_for_a_sink_token_are_refused(open_sink: OpenSmall) -> None:
    short = {"context_length": 2, "chunk_rows": 512, "held_out_rows": 64, "starts": ["copy"]}
    with pytest.raises(ValueError, match=r"sink_token='<\|endoftext\|>' takes one of context_length=2 positions"):
        open_sink(sink_token=END, **short)
    found = open_sink(**short)
    with pytest.raises(ValueError, match=r"sink_token='<\|endoftext\|>' takes one of context_length=2 positions"):
        train_phase(found, "scratch")
    assert not found.folder.exists()
    assert open_sink(sink_token="none", **short).settled.skipped == 0
    with pytest.raises(ValueError, match="^sink_token='': "):
        open_sink(sink_token="")


def test_a_sink_that_may_be_bos_is_refused_where_bos_is_kept_out(open_sink: OpenSmall) -> None:
    with pytest.raises(ValueError, match="prepend_bos=False, sink_token='auto': .* leave prepend_bos out, or name"):
        open_sink(prepend_bos=False)
    assert open_sink(prepend_bos=False, sink_token=END).config.named_sink == END


def test_what_is_not_known_yet_is_not_guessed(open_sink: OpenSmall) -> None:
    config = open_sink(skip_first=3).config
    with pytest.raises(RuntimeError, match="says `experiment.settled`"):
        _ = config.row_tokens
    assert as_measured(config).skipped == 3 and as_measured(config.replace(skip_first=0)).skipped == 1
    tiny = PRESETS["tiny"]
    assert tiny.replace(sink_token="none", activation_scale="none").sha256() == tiny.sha256()
    assert tiny.replace(rows="joined").sha256() == tiny.sha256()
    changes = [("sink_token", "auto"), ("sink_token", END), ("activation_scale", "norm"), ("activation_scale", 2),
               ("rows", "within")]  # fmt: skip
    hashes = {tiny.replace(**{name: value}).sha256() for name, value in changes}
    assert len(hashes | {tiny.sha256()}) == 6


@pytest.mark.parametrize(
    ("made", "run", "warned"),
    [
        (WITH_END, END, None),
        ({"prepend_bos": False}, None, None),
        ({}, END, None),  # it does not say what it has seen
        ({"prepend_bos": True, "skipped": 1}, END, None),  # SAELens's way to say it
        ({"prepend_bos": False}, END, "says no sink_token, .* the run's rows begin with '.*'; set sink_token='none'"),
        (WITH_END, None, "says sink_token='.*have none; set sink_token='<"),
        ({"prepend_bos": False, "sink_token": "a", "skipped": 1}, END, "says sink_token='a', .*begin with '<"),
    ],
)  # fmt: skip
def test_a_source_of_other_rows_is_warned_of_by_name(
    open_sink: OpenSmall, made: dict[str, Any], run: str | None, warned: str | None
) -> None:
    corpus = open_sink(sink_token=run or "none").corpus
    source = OwnSource(Path("sae"), 0, 0, **made)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        source.compare_rows(corpus)
    assert len(said) == (warned is not None)
    if warned:
        with pytest.warns(UserWarning, match=f"source sae: its cfg.json {warned}"):
            source.compare_rows(corpus)
