"""Joint, resumed and killed training all end in the same bytes; bad numbers stop it."""

import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from saelib.run.files import PROJECT, write_json
from saelib.run.manifest import write_manifest
from saelib.run.reading import DamagedFileError, read_json
from saelib.run.resume import STATE, save_resume_point
from saelib.run.timing import read_intervals
from saelib.sae.config import TrainingConfig
from saelib.sae.folder import load_sae
from saelib.sae.training.train import train
from saelib.transfer.plans import scratch_plans, transfer_plans
from tests.helpers.small_world import StopsAfter, ToyModel, files_below, one_order, toy_config, toy_folders, toy_rows

LAYERS = [0, 1, 2]


def train_toy(base, plans=None, config=None, phase="scratch", model=None, resume_seconds=0.0, origin=None):
    config = config or toy_config()
    plans = one_order(scratch_plans(LAYERS, config) if plans is None else plans)
    return train(plans, getattr(toy_config(), phase), model or ToyModel(), toy_rows(), config,
                 toy_folders(base, phase), origin=origin, resume_seconds=resume_seconds)  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A scratch phase that ran through."""
    base = tmp_path_factory.mktemp("finished")
    torch.set_num_threads(1)
    return base, train_toy(base)


def test_weights_lie_on_the_grid(finished):
    base, log = finished
    folder = base / "saes" / "scratch" / "L1" / "seed0"
    assert sorted(int(path.name) for path in folder.iterdir()) == [0, 64, 128, 256]
    assert {row["tokens"] for row in log} == {64, 128, 256}
    assert read_json(folder / "128" / "lineage.json")["tokens"] == 128
    sae = load_sae(folder / "256")
    torch.testing.assert_close(sae.W_dec.norm(dim=1), torch.ones(sae.d_sae))


def test_training_learns(finished):
    _, log = finished
    losses = {row["tokens"]: row["value"] for row in log if row["metric"] == "mse" and row["seed"] == 0}
    assert losses[256] < 0.7 * losses[64]


def test_log_holds_means_over_the_interval(finished):
    _, log = finished
    values = {
        row["metric"]: row["value"] for row in log if (row["sae_layer"], row["seed"], row["tokens"]) == (2, 1, 256)
    }
    assert set(values) == {"loss", "mse", "l1", "l0"}
    assert values["loss"] == pytest.approx(values["mse"] + 0.1 * values["l1"], rel=1e-5)  # lambda is warm by then


def test_joint_training_equals_separate_training(finished, tmp_path):
    base, _ = finished
    alone = [plan for plan in scratch_plans(LAYERS, toy_config()) if (plan.sae_layer, plan.seed) == (1, 1)]
    train_toy(tmp_path, alone)
    kept = files_below(tmp_path / "saes" / "scratch" / "L1" / "seed1")
    assert kept == files_below(base / "saes" / "scratch" / "L1" / "seed1")
    assert len(kept) == 16


@pytest.mark.parametrize("threads", [2, 4])
def test_the_number_of_threads_changes_nothing(finished, tmp_path, threads):
    torch.set_num_threads(threads)
    try:
        assert train_toy(tmp_path) == finished[1]
        assert torch.get_num_threads() == threads, "training leaves the setting as it was"
    finally:
        torch.set_num_threads(1)
    assert files_below(tmp_path / "saes") == files_below(finished[0] / "saes")


def test_a_finished_phase_keeps_no_weights_to_resume_from(finished):
    kept = finished[0] / "resume_points" / "scratch"
    assert [path.name for path in kept.iterdir() if path.is_dir()] == ["256"]
    assert (kept / "256" / STATE).stat().st_size < 1000


def test_without_numba_training_learns_the_same(finished, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    losses = {(row["sae_layer"], row["seed"], row["tokens"], row["metric"]): row["value"] for row in finished[1]}
    for row in train_toy(tmp_path):
        key = (row["sae_layer"], row["seed"], row["tokens"], row["metric"])
        assert row["value"] == pytest.approx(losses[key], rel=1e-4), key


def test_how_often_it_saves_changes_nothing(finished, tmp_path):
    train_toy(tmp_path, resume_seconds=1e9)
    assert files_below(tmp_path / "saes") == files_below(finished[0] / "saes")


def test_calling_again_trains_nothing(finished):
    base, log = finished

    class Untouchable(ToyModel):
        def residual_streams(self, tokens, layers):
            raise AssertionError("a finished phase needs no activations")

    before = files_below(base)
    assert train_toy(base, model=Untouchable()) == log
    assert files_below(base) == before


HOWS = [(seed, signal.SIGKILL) for seed in range(4)] + [(4, signal.SIGINT)]


@pytest.mark.parametrize(("seed", "how"), HOWS)
def test_killed_runs_resume_byte_identical(finished, tmp_path, seed, how):
    base, log = finished
    draw = np.random.default_rng(seed)
    for _ in range(3):
        command = [sys.executable, "-m", "tests.helpers.train_toy", str(tmp_path)]
        process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(draw.uniform(0.02, 0.35))
        process.send_signal(how)
        process.communicate(timeout=60)
    assert train_toy(tmp_path) == log
    assert files_below(tmp_path / "saes") == files_below(base / "saes")
    assert files_below(tmp_path / "resume_points" / "scratch" / "256") == files_below(
        base / "resume_points" / "scratch" / "256"
    )


def test_two_orders_of_the_data_do_not_train_side_by_side(tmp_path):
    plans = scratch_plans(LAYERS, toy_config())
    with pytest.raises(ValueError, match=r"data_seed=\[0, 1\]: what trains side by side reads one stream"):
        train(plans, toy_config().scratch, ToyModel(), toy_rows(), toy_config(), toy_folders(tmp_path, "scratch"))


class Stepping:
    """A trainee whose steps take a moment, or raise."""

    def __init__(self, plan, sae, error):
        self.plan, self.sae, self.error, self.steps = plan, sae, error, 0

    def step(self, *_):
        if self.error:
            raise self.error
        self.steps += 1
        time.sleep(0.05)
        return torch.zeros(5)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_an_interruption_ends_the_steps_of_all_saes_at_once(tmp_path, monkeypatch, error):
    trainees: list[Stepping] = []

    def new(plan, sae, config):
        trainees.append(Stepping(plan, sae, None if trainees else error))
        return trainees[-1]

    monkeypatch.setattr("saelib.sae.training.course.new_trainee", new)
    torch.set_num_threads(3)
    try:
        with pytest.raises(error):
            train_toy(tmp_path, config=toy_config(batch_tokens=1))
    finally:
        torch.set_num_threads(1)
    assert all(trainee.steps < 32 for trainee in trainees), "of 64 in a chunk"


def test_a_truncated_resume_point_costs_one_chunk_not_the_result(finished, tmp_path):
    base, log = finished
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(3))
    state = tmp_path / "resume_points" / "scratch" / "192" / STATE
    state.write_bytes(state.read_bytes()[:100])
    with pytest.warns(UserWarning, match="192 is damaged"):
        assert train_toy(tmp_path) == log
    assert files_below(tmp_path / "saes") == files_below(base / "saes")


def test_another_text_or_model_does_not_resume(tmp_path):
    def stopped_or_on(inputs, model=None):
        plans = one_order(scratch_plans(LAYERS, toy_config()))
        return train(plans, toy_config().scratch, model or ToyModel(), toy_rows(), toy_config(),
                     toy_folders(tmp_path, "scratch"), resume_seconds=0.0, inputs=inputs)  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        stopped_or_on({"corpus": "a" * 64, "language_model": "b"}, StopsAfter(2))
    with pytest.raises(
        FileExistsError, match=r"128 was made from another content \(corpus was aaaaaaaaaaaa, is c\): put"
    ):
        stopped_or_on({"corpus": "c", "language_model": "b"})
    assert stopped_or_on({"corpus": "a" * 64, "language_model": "b"})
    folder = tmp_path / "saes" / "scratch" / "L1" / "seed0" / "256"
    assert read_json(folder / "lineage.json")["inputs"] == {"corpus": "a" * 64, "language_model": "b"}


def test_another_config_does_not_resume(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(2))
    with pytest.raises(ValueError, match=r"saelib \(l1_coefficient was 0.1, is 0.2\): give the old values to go on"):
        train_toy(tmp_path, config=toy_config(l1_coefficient=0.2))


def test_a_transfer_starts_as_its_source_and_the_control_as_scratch_did(finished, tmp_path):
    base, _ = finished
    (tmp_path / "saes").symlink_to(base / "saes")
    config = toy_config()
    plans = transfer_plans(LAYERS, config)
    assert [(plan.source_layer, plan.sae_layer) for plan in plans if plan.arm == "forward" and plan.seed == 0] == [
        (0, 1),
        (1, 2),
    ]
    assert [(plan.source_layer, plan.sae_layer) for plan in plans if plan.arm == "backward" and plan.seed == 0] == [
        (1, 0),
        (2, 1),
    ]
    train_toy(tmp_path, plans, config, phase="transfer")
    saes = tmp_path / "saes"

    def weights(folder):
        return (folder / "sae_weights.safetensors").read_bytes()

    assert weights(saes / "forward/L1/seed1/0") == weights(saes / "scratch/L0/seed1/256")
    assert weights(saes / "backward/L1/seed0/0") == weights(saes / "scratch/L2/seed0/256")
    assert weights(saes / "control/L1/seed0/0") == weights(saes / "scratch/L1/seed0/0")
    lineage = read_json(saes / "forward/L1/seed1/128/lineage.json")
    assert (lineage["source_layer"], lineage["source_tokens"], lineage["tokens"]) == (0, 256, 128)


def test_a_missing_source_is_named(tmp_path):
    config = toy_config()
    with pytest.raises(
        FileNotFoundError, match="forward L1 seed 0 starts from .*; train the SAEs of the arm scratch first"
    ):
        train_toy(tmp_path, transfer_plans(LAYERS, config), config, phase="transfer")


def test_model_and_text_are_named_beside_an_sae(finished, tmp_path):
    """Where SAELens looks for them."""
    plans = [plan for plan in scratch_plans(LAYERS, toy_config()) if (plan.sae_layer, plan.seed) == (1, 0)]
    train_toy(tmp_path, plans, origin={"model_name": "toy", "dataset_path": "dice"})
    place = "saes/scratch/L1/seed0/256"
    metadata = read_json(tmp_path / place / "cfg.json")["metadata"]
    assert (metadata["model_name"], metadata["dataset_path"]) == ("toy", "dice")
    assert (metadata["hook_name"], metadata["context_size"]) == ("blocks.1.hook_resid_post", 16)
    anonymous = read_json(finished[0] / place / "cfg.json")["metadata"]
    assert anonymous == {name: value for name, value in metadata.items() if name not in ("model_name", "dataset_path")}


def test_training_reads_a_training_config_and_no_experiment(finished, tmp_path):
    whole = toy_config()
    config = TrainingConfig(**{name: getattr(whole, name) for name in TrainingConfig.model_fields})
    train_toy(tmp_path, scratch_plans(LAYERS, whole), config)
    for place in ("scratch/L0/seed0/256", "scratch/L2/seed1/128"):
        ours, theirs = (base / "saes" / place / "sae_weights.safetensors" for base in (tmp_path, finished[0]))
        assert ours.read_bytes() == theirs.read_bytes()


def test_wall_times_cover_the_training_once(finished):
    intervals = read_intervals(finished[0] / "resume_points")
    spans = [(line["from_tokens"], line["to_tokens"]) for line in intervals]
    assert spans == [(0, 64), (64, 128), (128, 192), (192, 256)]
    assert all(line["saes"] == 6 and line["seconds"] > 0 and line["phase"] == "scratch" for line in intervals)


def test_wall_time_is_noted_once_its_resume_point_is_there(tmp_path, monkeypatch):
    """On a GPU a point is written while training goes on: what a kill takes from it is trained, and timed, again."""

    def fail_at_128(folder, tokens, *rest, **options):
        if tokens == 128:
            raise OSError("disk full")
        save_resume_point(folder, tokens, *rest, **options)

    monkeypatch.setattr("saelib.sae.training.train.save_resume_point", fail_at_128)
    with pytest.raises(OSError, match="disk full"):
        train_toy(tmp_path)
    assert noted_spans(tmp_path) == [(0, 64)]


def noted_spans(base):
    return [(line["from_tokens"], line["to_tokens"]) for line in read_intervals(base / "resume_points")]


@pytest.mark.parametrize("passes", [2, 3])
def test_a_kill_between_a_resume_point_and_its_wall_time_loses_no_stretch(tmp_path, monkeypatch, passes):
    def killed(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(passes - 1))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("saelib.run.resume.settle", killed)
        train_toy(tmp_path)
    assert noted_spans(tmp_path)[-1] == (64 * (passes - 2), 64 * (passes - 1))
    train_toy(tmp_path)
    assert noted_spans(tmp_path) == [(0, 64), (64, 128), (128, 192), (192, 256)]


def test_a_kill_before_old_resume_points_are_dropped_leaves_none_behind(finished, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(3))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("saelib.run.resume.settle", killed)
        train_toy(tmp_path)
    (left := tmp_path / "resume_points" / "scratch" / ".256.abc.temporary").mkdir()
    assert train_toy(tmp_path) == finished[1]
    kept = tmp_path / "resume_points" / "scratch"
    assert left.exists()  # it may be a living process's: who takes the run's lock deletes what was left over
    assert files_below(kept) == files_below(finished[0] / "resume_points" / "scratch")
    assert noted_spans(tmp_path)[-1] == (192, 256)


def test_time_that_a_damaged_resume_point_took_is_counted_once(finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(3))
    (tmp_path / "resume_points" / "scratch" / "192" / STATE).write_bytes(b"")
    with pytest.warns(UserWarning, match="192 is damaged"):
        train_toy(tmp_path)
    assert noted_spans(tmp_path) == [(0, 64), (64, 128), (128, 192), (192, 256)]


@pytest.mark.parametrize(("changed", "said"), [
    ({"learning_rate": 0.02}, "scratch L2 seed 0: learning_rate was 0.01, is 0.02"),
    ({"start": "stitch", "source_arm": "scratch"}, "scratch L2 seed 0: start was 'random', is 'stitch'"),
    ({"seed": 7}, "without scratch L2 seed 0; with scratch L2 seed 7 anew"),
])  # fmt: skip
def test_what_changed_of_the_saes_is_named(tmp_path, changed, said):
    plans = one_order(scratch_plans(LAYERS, toy_config()))
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, plans, model=StopsAfter(2))
    others = [replace(plan, **changed) if (plan.sae_layer, plan.seed) == (2, 0) else plan for plan in plans]
    with pytest.raises(ValueError, match="to train anew, delete the folder .*scratch, or name another run") as caught:
        train_toy(tmp_path, others)
    assert said in str(caught.value)


def test_what_changed_of_the_phase_is_named(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(2))
    longer = toy_config().scratch.replace(checkpoints=(0, 64, 128, 320))
    with pytest.raises(ValueError, match=r"phase: checkpoints was \[0, 64, 128, 256\], is \[0, 64, 128, 320\]"):
        train(one_order(scratch_plans(LAYERS, toy_config())), longer, ToyModel(), toy_rows(), toy_config(),
              toy_folders(tmp_path, "scratch"))  # fmt: skip


def made_again(point, **progress):
    """A resume point whose manifest fits what stands in it now."""
    write_json(point / "progress.json", read_json(point / "progress.json") | progress)
    write_manifest(point)


def test_a_resume_point_of_an_earlier_release_goes_on_and_is_refused_in_general_words(finished, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(2))
    for point in (tmp_path / "resume_points" / "scratch").glob("*/"):
        known = read_json(point / "progress.json")
        del known["config"], known["inputs"]
        write_json(point / "progress.json", known)
        (point / "timing.jsonl").unlink()
        write_manifest(point)
    with pytest.raises(ValueError, match=r"\(the config\): give the old values"):
        train_toy(tmp_path, config=toy_config(l1_coefficient=0.2))
    assert train_toy(tmp_path) == finished[1]
    assert noted_spans(tmp_path) == [(0, 64), (64, 128), (128, 192), (192, 256)]


@pytest.mark.parametrize("progress", [{"tokens": 100}, {"tokens": "many"}, {"tokens": 0}, {"tokens": 512}, {"log": 3},
                                      {"log": [3]}, {"inputs": 3}, {"config": [3]}])  # fmt: skip
def test_a_resume_point_that_is_whole_and_none_of_a_training_is_refused(tmp_path, progress):
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(2))
    made_again(tmp_path / "resume_points" / "scratch" / "128", **progress)
    with pytest.raises(DamagedFileError, match="128 is no resume point of a training .* delete the folder"):
        train_toy(tmp_path)


@pytest.mark.parametrize("change", [
    lambda state: state.pop("0.8.W_enc"),
    lambda state: state.update({"0.8.extra": torch.zeros(1)}),
    lambda state: state.update({"0.8.W_enc": torch.zeros(1)}),
])  # fmt: skip
def test_a_state_of_other_tensors_is_refused(tmp_path, change):
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(2))
    point = tmp_path / "resume_points" / "scratch" / "128"
    state = load_file(point / STATE)
    change(state)
    save_file(state, point / STATE)
    write_manifest(point)
    with pytest.raises(DamagedFileError, match="the state of scratch L0 seed 0"):
        train_toy(tmp_path)


@pytest.mark.parametrize(("field", "value"), [("learning_rate", 0.0), ("learning_rate", -1.0), ("seed", -1),
                         ("learning_rate", float("nan")), ("learning_rate", float("inf")), ("data_seed", -2),
                         ("l1_coefficient", float("nan")), ("l1_coefficient", -0.5)])  # fmt: skip
def test_plans_with_which_no_step_can_be_taken_are_refused(field, value):
    with pytest.raises(ValueError, match=rf"scratch L0 seed -?\d: {field}={value}"):
        replace(scratch_plans([0], toy_config())[0], **{field: value})


def test_checkpoints_that_do_not_fit_the_config_are_refused_before_anything_is_written(tmp_path):
    phase = toy_config().scratch.replace(checkpoints=(0, 100))
    plans = scratch_plans([0], toy_config())[:1]
    with pytest.raises(ValueError, match=r"phase.checkpoints: \[100\] are no multiples of a chunk's 64 tokens"):
        train(plans, phase, ToyModel(), toy_rows(), toy_config(), toy_folders(tmp_path, "scratch"))
    assert not list(tmp_path.iterdir())
