"""Lambda by layer: in units of norms, or searched for an L0; it reaches steps, tables and lineage."""

import copy
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from saelib.results.provenance import write_table
from saelib.run.files import write_json
from saelib.run.reading import DamagedFileError, read_json
from saelib.sae.autoencoder import random_sae
from saelib.sae.config import TrainingPhase
from saelib.sae.training import course
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.schedule import schedule
from saelib.sae.training.train import train
from saelib.sae.training.trainee import Trainee, new_trainee
from saelib.transfer import lambda_search
from saelib.transfer import trials as trials_module
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.lambda_search import next_lambda
from saelib.transfer.lambdas import LAMBDA, lambda_path, norm_units, read_numbers
from saelib.transfer.presets import PRESETS
from saelib.transfer.stages import evaluate_phase, train_phase
from saelib.transfer.trials import choose_lambda, read_trials, trial_config
from tests.helpers.small_world import ToyModel, toy_config, toy_folders, toy_rows
from tests.transfer.conftest import OpenSmall

PHASES = {"scratch": {"checkpoints": [0, 1024]}, "transfer": {"checkpoints": [0, 1024]}}
PHASE = TrainingPhase(checkpoints=(0, 64 * 1000), learning_rate=1e-2)


class TimesTen(ToyModel):
    """The same model, whose residual stream is ten times as large."""

    def residual_streams(self, tokens: torch.Tensor, layers: list[int]) -> torch.Tensor:  # type: ignore[override]
        return 10 * super().residual_streams(tokens, layers)


def l0_of(model: ToyModel, coefficient: float, folder: Path) -> float:
    config = toy_config(scratch=PHASE, transfer=PHASE, schedule="wsd")
    plan = SaePlan("scratch", 1, 0, 0, 1e-2, l1_coefficient=coefficient)
    log = train([plan], PHASE, model, toy_rows(200), config, toy_folders(folder))
    (row,) = [row for row in log if row["metric"] == "l0"]
    assert row["l1_coefficient"] == coefficient
    return float(row["value"])


def test_norm_units_grow_with_the_stream_and_keep_an_sae_s_trade() -> None:
    config, rows = toy_config(), toy_rows(200).take(0, 64)
    small, large = (norm_units(model, rows, [1], config)[1] for model in (ToyModel(), TimesTen()))
    assert large == pytest.approx(10 * small, rel=1e-6)
    stream = ToyModel().residual_streams(torch.from_numpy(rows).long(), [1]).flatten(0, 2)
    assert small == pytest.approx(float(stream.norm(dim=-1).mean()) / math.sqrt(16), rel=1e-5)
    sae = random_sae(16, 32, torch.Generator().manual_seed(0))
    larger = copy.deepcopy(sae)
    with torch.no_grad():  # the same function of a stream ten times as large
        larger.b_enc.mul_(10)
        larger.b_dec.mul_(10)
        losses, tenfold = (
            [(one(x) - x).square().sum(-1).mean(), 2 * unit * one.l1(one.encode(x)).mean()]
            for one, x, unit in ((sae, stream, small), (larger, 10 * stream, large))
        )
    assert [float(one) for one in tenfold] == pytest.approx([100 * float(one) for one in losses], rel=1e-4)


def test_training_at_norm_units_ends_nearer_to_the_same_sparsity_than_at_one_lambda(tmp_path: Path) -> None:
    """Not at the same: Adam's steps of the biases are as small in a stream ten times as large."""
    unit = norm_units(ToyModel(), toy_rows(200).take(0, 64), [1], toy_config())[1]
    base = l0_of(ToyModel(), unit, tmp_path / "small")
    relative = l0_of(TimesTen(), 10 * unit, tmp_path / "norm")
    absolute = l0_of(TimesTen(), unit, tmp_path / "absolute")
    assert abs(math.log(relative / base)) < 0.5 * abs(math.log(absolute / base))


def test_the_penalty_of_a_plan_reaches_its_step(tmp_path: Path) -> None:
    weights = []
    for name, coefficient, config in (("own", 0.7, toy_config()), ("all", None, toy_config(l1_coefficient=0.7))):
        folders = toy_folders(tmp_path / name)
        train([SaePlan("scratch", 1, 0, 0, 1e-2, l1_coefficient=coefficient)], config.scratch, ToyModel(), toy_rows(),
              config, folders)  # fmt: skip
        folder = folders.sae("scratch", 1, 0, 256)
        weights.append((folder / "sae_weights.safetensors").read_bytes())
        assert json.loads((folder / "lineage.json").read_text())["l1_coefficient"] == 0.7
    assert weights[0] == weights[1]


def test_norm_units_are_kept_pinned_and_used_by_all_arms_of_a_layer(empty_runs: Path, open_small: OpenSmall) -> None:
    experiment = open_small(run="norm", l1_unit="norm", l1_coefficient=0.5, skip_first=1, **PHASES)
    with pytest.raises(FileNotFoundError, match="lambda is chosen when"):
        _ = experiment.l1_coefficients
    for name in ("scratch", "transfer"):
        training = train_phase(experiment, name)
        evaluation = evaluate_phase(experiment, name)
        wanted = experiment.l1_coefficients
        assert len(set(wanted.values())) == 3
        assert (training["l1_coefficient"] == training["sae_layer"].map(wanted)).all()
        assert (evaluation["l1_coefficient"] == evaluation["act_layer"].map(wanted)).all()
        loss = evaluation["mse"] + evaluation["l1_coefficient"] * evaluation["l1"]
        assert evaluation["loss"].to_numpy() == pytest.approx(loss.to_numpy())
    assert "lambda" in read_json(experiment.config_path)["inputs"]
    metadata = read_json(experiment.phase_folders("scratch").sae("scratch", 0, 0, 1024) / "cfg.json")["metadata"]
    assert metadata["skip_first"] == 1
    assert metadata["seqpos_slice"] == [1, None]
    kept = read_json(lambda_path(experiment.folder))
    kept["l1_coefficient"]["0"] *= 2
    write_json(lambda_path(experiment.folder), kept)
    with pytest.raises(FileExistsError, match="lambda was"):
        _ = open_small(run="norm", l1_unit="norm", l1_coefficient=0.5, skip_first=1, **PHASES).l1_coefficients


def small_embedded(**changes: object) -> Experiment:
    phase = {"checkpoints": [0, 32_768], "learning_rate": 3e-3}
    base: dict[str, object] = {
        "preset": "tiny", "run": "target", "context_length": 64, "chunk_rows": 64, "batch_tokens": 512,
        "expansion_factor": 2, "layers": [1, 4], "sae_seeds": 1, "held_out_rows": 8, "scratch": phase,
        "transfer": phase, "target_l0": 40.0, "trial_tokens": 16_384,
    }  # fmt: skip
    return open_experiment(**base | changes)


def test_a_target_l0_is_reached_on_the_embedded_model_whatever_stops_it(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = small_embedded()
    written = write_table

    def killed(table: pd.DataFrame, path: Path) -> None:
        written(table, path)
        raise KeyboardInterrupt

    monkeypatch.setattr(trials_module, "write_table", killed)
    with pytest.raises(KeyboardInterrupt):
        choose_lambda(experiment)
    first = read_trials(experiment)
    other = small_embedded(run="other", target_l0=41)
    other.folder.mkdir(parents=True)
    shutil.copy(experiment.folder / "lambda_trials.parquet", other.folder)
    with pytest.raises(DamagedFileError, match="lambda_trials.parquet has trials of another config; delete it, and"):
        read_trials(other)
    monkeypatch.setattr(trials_module, "write_table", written)
    train_phase(small_embedded(), "scratch")
    trials = read_trials(small_embedded())
    assert trials.iloc[: len(first)]["l0"].tolist() == first["l0"].tolist()  # none was trained again
    chosen = trials[trials["is_chosen"]]
    assert sorted(chosen["layer"]) == [1, 4]
    assert chosen["l0_expected"].to_numpy() == pytest.approx(40, rel=0.1)
    scores = evaluate_phase(experiment, "scratch")
    final = scores[scores["tokens"] == 32_768]
    assert final["l0"].to_numpy() == pytest.approx(40, rel=0.25)
    assert not (experiment.folder / "lambda_trials").exists()


def test_trials_that_diverge_are_passed_over_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first lambda of layer 1, and at each of layer 2."""

    def poisoned(plan: SaePlan, *rest: Any) -> Trainee:
        trainee = new_trainee(plan, *rest)
        sound = trainee.step
        if plan.sae_layer in wrong and plan.arm in wrong[plan.sae_layer]:
            trainee.step = lambda x, *now: sound(x * math.inf, *now)  # type: ignore[method-assign]
        return trainee

    wrong: dict[int, tuple[str, ...]] = {1: ("round-0-0",)}
    monkeypatch.setattr(course, "new_trainee", poisoned)
    monkeypatch.setattr(lambda_search, "TOLERANCE", 100.0)  # one round is enough
    short = {"layers": [1, 2], "trial_tokens": 4096, "chunk_rows": 16}
    experiment = small_embedded(run="stopped_one", **short)
    with pytest.warns(UserWarning, match="round-0-0 L1 seed 0 is not finite at step 0"):
        chosen = choose_lambda(experiment)
    trials = read_trials(experiment)
    stopped = trials[trials["diverged_at_step"].notna()]
    assert stopped[["round", "layer", "diverged_at_step"]].to_numpy().tolist() == [[0, 1, 0]]
    assert stopped["l0_expected"].isna().all()
    assert not stopped["is_chosen"].any()
    assert set(chosen) == {1, 2}
    wrong = {2: ("round-0-0", "round-0-1", "round-0-2")}
    with pytest.raises(FloatingPointError, match="each of the 3 trials of layer 2 diverged, at lambda .*: in a run of"):
        choose_lambda(small_embedded(run="stopped_all", **short))


def test_a_single_trial_says_which_way_to_go() -> None:
    assert next_lambda([1.0], [40.0], 20.0) == pytest.approx(8.0)
    assert next_lambda([1.0], [10.0], 20.0) == pytest.approx(1 / 8)


@pytest.mark.parametrize("factor", [0.0, math.nan, math.inf])
def test_no_lambda_is_chosen_by_norms_that_are_none(factor: float) -> None:
    class Faulty(ToyModel):
        def residual_streams(self, tokens: torch.Tensor, layers: list[int]) -> torch.Tensor:  # type: ignore[override]
            return super().residual_streams(tokens, layers) * factor

    with pytest.raises(ValueError, match=f"layer 1 of the language model toy has a mean norm of {factor or '0'}"):
        norm_units(Faulty(), toy_rows().take(0, 4), [1], toy_config())


@pytest.mark.parametrize(
    "text", ["{", "{}", "[]", '{"l1_coefficient": {"0": "much"}}', '{"l1_coefficient": {"0": -1}}']
)
def test_damaged_lambdas_are_named_with_the_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / "lambda.json").write_text(text)
    with pytest.raises(DamagedFileError, match="lambda.json is .*; put it back, or name another run"):
        read_numbers(tmp_path / "lambda.json", LAMBDA)


def test_a_target_that_cannot_be_reached_is_an_error_that_says_what_is_near() -> None:
    with pytest.raises(ValueError, match=r"target_l0=200: of 256 features no more than half"):
        choose_lambda(small_embedded(run="too-many", target_l0=200.0))
    # A learning rate at which nothing is learned: whatever lambda, L0 stays where it began.
    phase = {"checkpoints": [0, 32_768], "learning_rate": 1e-7}
    with pytest.raises(ValueError, match=r"not reached .* nearest: layer 1: L0 \d+"):
        choose_lambda(small_embedded(run="stiff", scratch=phase, transfer=phase, trial_tokens=4096))


def test_lambda_grows_over_as_many_steps_in_a_trial_as_in_scratch() -> None:
    """Of 256 steps 0.04 are 10; a trial of 64 steps has its first decay at step 25, which is later."""
    config = PRESETS["smollm2"]
    trial = trial_config(config.replace(sink_token="none"))
    steps = {one: one.scratch.tokens // one.batch_tokens for one in (config, trial)}
    assert [int(one.l1_warm_up_share * steps[one]) for one in (config, trial)] == [10, 10]
    assert schedule(9, steps[trial], trial).l1_coefficient < trial.l1_coefficient
    assert schedule(10, steps[trial], trial).l1_coefficient == trial.l1_coefficient
    long = config.replace(sink_token="none", l1_warm_up_share=0.125, scratch={"checkpoints": (0, 65_536, 262_144),
                          "learning_rate": 1e-3}, transfer={"checkpoints": (0, 65_536), "learning_rate": 1e-3},
                          depth_source=None, trial_tokens=16_384)  # fmt: skip
    assert trial_config(long).l1_warm_up_share == pytest.approx(0.4)  # 32 of 16 steps: all before the first decay


def test_the_next_lambda_lies_on_the_line_between_the_trials_around_the_target() -> None:
    halving = [1.0, 2.0, 4.0]  # L0 falls as 1 / lambda
    assert next_lambda(halving, [120, 60, 30], 40) == pytest.approx(3.0)
    assert next_lambda(halving, [120, 60, 30], 240) == pytest.approx(0.5)
    assert next_lambda(halving, [120, 60, 30], 10) == pytest.approx(12.0)
    assert next_lambda(halving, [120, 60, 30], 1) == pytest.approx(32.0)  # no farther than eight times
    assert next_lambda(halving, [100, 100, 100], 10) == pytest.approx(32.0)
    assert next_lambda(halving, [5, 5, 5], 10) == pytest.approx(0.125)


def test_options_at_their_defaults_leave_the_config_what_it_was() -> None:
    tiny = PRESETS["tiny"]
    same = tiny.replace(l1_unit="absolute", target_l0=None, skip_first=0, trial_tokens=None)
    assert same.sha256() == tiny.sha256()
    hashes = {tiny.replace(**{name: value}).sha256() for name, value in
              (("l1_unit", "norm"), ("target_l0", 50.0), ("skip_first", 1), ("trial_tokens", 16_384))}  # fmt: skip
    assert len(hashes | {tiny.sha256()}) == 5
    with pytest.raises(ValueError, match=r"skip_first=255 leaves 1 of context_length=256 positions"):
        tiny.replace(skip_first=255)
    with pytest.raises(ValueError, match=r"trial_tokens=1000: .* 16384 is right"):
        tiny.replace(trial_tokens=1000)
