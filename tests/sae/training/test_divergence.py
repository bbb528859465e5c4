"""An SAE that diverges is stopped alone; streams that nobody can learn from are said to be the model's fault."""

import json
import math
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from saelib.run.reading import DamagedFileError, read_json
from saelib.run.resume import STATE
from saelib.sae.config import TrainingPhase
from saelib.sae.training import course
from saelib.sae.training.divergence import DivergedError, check_streams, diverged_at, note_divergence
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.train import train
from saelib.sae.training.trainee import Trainee, new_trainee
from saelib.transfer.plans import scratch_plans, transfer_plans
from tests.helpers.small_world import StopsAfter, ToyModel, files_below, one_order, toy_config, toy_folders, toy_rows

LAYERS = [0, 1, 2]
NAME = "scratch L1 seed 0"  # who diverges
PLACE = "scratch/L1/seed0/"
CUDA = pytest.param("cuda", marks=pytest.mark.cuda)
BUDGETS = {  # 8 steps of 32 tokens, two in a chunk; and 32 of 8, with branches that leave at steps 5, 10 and 13
    "paper": {},
    "wsd": {"batch_tokens": 8, "l1_warm_up_share": 0.1,
            "scratch": TrainingPhase(checkpoints=(0, 48, 96, 128, 256), learning_rate=1e-2),
            "transfer": TrainingPhase(checkpoints=(0, 48, 96, 128, 256), learning_rate=1e-2)},
}  # fmt: skip
CASES = [  # schedule, step, checkpoints that are sound
    ("paper", 0, [0]), ("paper", 3, [0, 64]), ("paper", 6, [0, 64, 128]),
    ("wsd", 4, [0]), ("wsd", 11, [0, 48]), ("wsd", 14, [0, 48, 96]), ("wsd", 31, [0, 48, 96, 128]),
]  # fmt: skip


@pytest.fixture
def poison(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, str], None]:
    """Has one SAE read infinite activations at a step, on its trunk and on all branches."""

    def poison(step: int, name: str = NAME) -> None:
        def poisoned(plan: SaePlan, *rest: Any) -> Trainee:
            trainee = new_trainee(plan, *rest)
            sound = trainee.step

            def take(x: torch.Tensor, *now: float) -> torch.Tensor:
                return sound(x * math.inf if trainee.steps == step else x, *now)  # type: ignore[attr-defined]

            if plan.name == name:
                trainee.step = take  # type: ignore[assignment, method-assign]
            return trainee

        monkeypatch.setattr(course, "new_trainee", poisoned)

    return poison


def toy_plans(schedule: str = "paper") -> list[SaePlan]:
    return one_order(scratch_plans(LAYERS, toy_config(schedule=schedule, **BUDGETS[schedule])))


def train_toy(
    base: Path,
    schedule: str = "paper",
    plans: Sequence[SaePlan] | None = None,
    model: ToyModel | None = None,
    phase: str = "scratch",
    **changes: Any,
) -> list[dict[str, Any]]:
    config = toy_config(schedule=schedule, **BUDGETS[schedule] | changes)
    plans = toy_plans(schedule) if plans is None else plans
    return train(plans, getattr(config, phase), model or ToyModel(), toy_rows(), config, toy_folders(base, phase),
                 resume_seconds=0.0)  # fmt: skip


def rows_of(log: list[dict[str, Any]], name: str = NAME) -> list[dict[str, Any]]:
    return [row for row in log if f"{row['arm']} L{row['sae_layer']} seed {row['seed']}" == name]


def others_of(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith(PLACE)}


def states(base: Path, tokens: int) -> dict[str, bytes]:
    """What a resume point holds of each SAE, by its name."""
    point = base / "resume_points" / "scratch" / str(tokens)
    _, _, plans = json.loads(read_json(point / "progress.json")["fingerprint"])
    names = [SaePlan.called(plan["arm"], plan["sae_layer"], plan["seed"]) for plan in plans]
    return {
        f"{names[int(name.partition('.')[0])]} {name.partition('.')[2]}": value.numpy().tobytes()
        for name, value in load_file(point / STATE).items()
    }


def newest(base: Path) -> int:
    """Tokens of the last resume point, 0 where there is none."""
    points = (base / "resume_points" / "scratch").glob("*/progress.json")
    return max((int(path.parent.name) for path in points), default=0)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(("schedule", "step", "sound"), CASES)
def test_the_others_end_as_without_it_and_its_rows_say_from_which_step(
    tmp_path: Path, poison: Any, schedule: str, step: int, sound: list[int], device: str
) -> None:
    whole = train_toy(tmp_path / "whole", schedule, model=ToyModel(device))
    plans = [plan for plan in toy_plans(schedule) if plan.name != NAME]
    without = train_toy(tmp_path / "without", schedule, plans, ToyModel(device))
    poison(step)
    with pytest.warns(UserWarning, match=rf"gradient of {NAME} is not finite at step {step}. Stopped, .* \(5\) go on"):
        log = train_toy(tmp_path / "with", schedule, model=ToyModel(device))

    assert [row for row in log if row not in rows_of(log)] == without
    assert all("diverged_at_step" not in row for row in without)
    files, expected = files_below(tmp_path / "with" / "saes"), files_below(tmp_path / "whole" / "saes")
    assert others_of(files) == files_below(tmp_path / "without" / "saes")

    mine = tmp_path / "with" / "saes" / PLACE
    assert sorted(int(path.name) for path in mine.iterdir() if path.is_dir()) == sound
    kept = {name for name in expected if name.startswith(PLACE) and int(name.split("/")[3]) in sound}
    assert {name: files[name] for name in kept} == {name: expected[name] for name in kept}
    lost = [row for row in rows_of(log) if row["tokens"] not in sound]
    assert [row for row in rows_of(log) if row["tokens"] in sound] == [
        row for row in rows_of(whole) if row["tokens"] in sound
    ]
    assert all(row["diverged_at_step"] == step and math.isnan(row["value"]) for row in lost)
    assert [row | {"value": 0} for row in lost] == [
        row | {"value": 0, "diverged_at_step": step} for row in rows_of(whole) if row["tokens"] not in sound
    ]
    checkpoints = toy_config(schedule=schedule, **BUDGETS[schedule]).scratch.checkpoints
    assert {t: diverged_at(mine / str(t)) for t in checkpoints} == {
        t: None if t in sound else step for t in checkpoints
    }
    note = read_json(mine / "diverged.json")
    assert (note["arm"], note["sae_layer"], note["seed"], note["diverged_at_step"]) == ("scratch", 1, 0, step)


@pytest.mark.parametrize("device", ["cpu", CUDA])
@pytest.mark.parametrize(("schedule", "step"), [("paper", 1), ("paper", 3), ("wsd", 11)])
@pytest.mark.parametrize("passes", [1, 2, 3])
def test_killed_and_resumed_it_is_the_same(
    tmp_path: Path, poison: Any, schedule: str, step: int, passes: int, device: str
) -> None:
    plans = [plan for plan in toy_plans(schedule) if plan.name != NAME]
    for base, chosen in (("without", plans), ("cut", toy_plans(schedule)), ("through", toy_plans(schedule))):
        poison(step)
        model = ToyModel(device) if base == "through" else StopsAfter(passes, device)
        try:
            whole = train_toy(tmp_path / base, schedule, chosen, model)
        except KeyboardInterrupt:
            continue
    tokens = newest(tmp_path / "cut")
    assert tokens == newest(tmp_path / "without")
    assert tokens == 64 * passes or device == "cuda"  # there the model reads ahead of the training
    if tokens:
        found = states(tmp_path / "cut", tokens)
        sound = {name: value for name, value in found.items() if not name.startswith(NAME)}
        assert sound == states(tmp_path / "without", tokens)
        done = tokens // (8 if schedule == "wsd" else 32)  # steps
        assert (f"{NAME} diverged_at_step" in found) == (step < done)
    assert str(train_toy(tmp_path / "cut", schedule, model=ToyModel(device))) == str(whole)
    for place in ("saes", "resume_points"):
        assert files_below(tmp_path / "cut" / place) == files_below(tmp_path / "through" / place)
    assert str(train_toy(tmp_path / "cut", schedule)) == str(whole)  # read from the finished phase


def test_transfers_of_a_source_that_diverged_are_not_trained(tmp_path: Path, poison: Any) -> None:
    poison(3)
    for base in ("with", "without"):
        train_toy(tmp_path / base)
    plans = one_order(transfer_plans(LAYERS, toy_config()))
    mine = [plan for plan in plans if (plan.source_layer, plan.seed) == (1, 0)]
    assert [plan.name for plan in mine] == ["forward L2 seed 0", "backward L0 seed 0"]
    with pytest.warns(UserWarning, match="forward L2 seed 0 is not trained: its source, scratch L1, diverged at"):
        log = train_toy(tmp_path / "with", plans=plans, phase="transfer")
    others = train_toy(tmp_path / "without", plans=[plan for plan in plans if plan not in mine], phase="transfer")
    lost = [row for row in log if row.get("diverged_at_step") is not None]
    assert [row for row in log if row not in lost] == others
    assert {(row["arm"], row["sae_layer"], row["source_layer"], row["diverged_at_step"]) for row in lost} == {
        ("forward", 2, 1, 0), ("backward", 0, 1, 0)}  # fmt: skip
    assert {row["tokens"] for row in lost} == {64, 128}
    folder = tmp_path / "with" / "saes" / "forward" / "L2" / "seed0"
    assert [path.name for path in folder.iterdir()] == ["diverged.json"]
    note = read_json(folder / "diverged.json")
    assert (note["source_arm"], note["source_layer"], note["source_diverged_at_step"]) == ("scratch", 1, 3)
    assert [diverged_at(folder / str(tokens)) for tokens in (0, 64)] == [0, 0]
    assert str(train_toy(tmp_path / "with", plans=plans, phase="transfer")) == str(log)
    found = files_below(tmp_path / "with" / "saes")
    for name, content in files_below(tmp_path / "without" / "saes").items():
        assert found[name] == content, name


def test_a_rate_that_is_too_high_diverges_by_itself(tmp_path: Path) -> None:
    plans = [replace(plan, learning_rate=1e30) if plan.name == NAME else plan for plan in toy_plans()]
    with pytest.warns(UserWarning, match=f"{NAME} is not finite at step 1"):
        log = train_toy(tmp_path, plans=plans)
    assert {row["diverged_at_step"] for row in rows_of(log)} == {1}


def test_what_is_kept_has_a_finite_loss(tmp_path: Path) -> None:
    """The only step of a chunk is sound, the weights that it leaves are finite, and good for nothing."""
    plans = [replace(plan, learning_rate=1e30) if plan.name == NAME else plan for plan in toy_plans()]
    with pytest.warns(UserWarning, match=f"{NAME} is not finite at step 0"):
        train_toy(tmp_path, plans=plans, batch_tokens=64)
    assert sorted(path.name for path in (tmp_path / "saes" / PLACE).iterdir()) == ["0", "diverged.json"]


def test_all_diverged_is_an_error_with_step_and_last_good_resume_point(tmp_path: Path, poison: Any) -> None:
    plans = [plan for plan in toy_plans() if plan.name == NAME]
    poison(5)
    with pytest.raises(DivergedError, match=f"{NAME} is not finite at step 5; last good resume point: .*128. No SAE is "
                       r"left: lower the learning rate \(0.01\) or lambda \(0.1\)") as caught:  # fmt: skip
        train_toy(tmp_path, plans=plans)
    assert isinstance(caught.value, FloatingPointError)
    assert [(row["tokens"], row.get("diverged_at_step")) for row in caught.value.log[::4]] == [
        (64, None), (128, None), (256, 5)]  # fmt: skip
    with pytest.raises(DivergedError, match="at step 5"):
        train_toy(tmp_path, plans=plans)


def test_trained_anew_the_note_is_gone(tmp_path: Path, poison: Any) -> None:
    poison(3)
    train_toy(tmp_path)
    for path in sorted((tmp_path / "resume_points").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    poison(99)
    train_toy(tmp_path)
    assert diverged_at(tmp_path / "saes" / PLACE / "256") is None
    assert not (tmp_path / "saes" / PLACE / "diverged.json").exists()


def without_newest_point(base: Path) -> None:
    """As if the process had been killed just before it wrote its newest resume point."""
    shutil.rmtree(base / "resume_points" / "scratch" / "128")


def test_gone_on_from_before_its_step_to_a_sound_end_the_note_is_gone(tmp_path: Path, poison: Any) -> None:
    """As on another device, which rounds otherwise."""
    whole = train_toy(tmp_path / "whole")
    poison(3)
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path / "cut", model=StopsAfter(2))
    assert diverged_at(tmp_path / "cut" / "saes" / PLACE / "256") == 3
    without_newest_point(tmp_path / "cut")
    poison(99)
    assert train_toy(tmp_path / "cut") == whole
    assert files_below(tmp_path / "cut" / "saes") == files_below(tmp_path / "whole" / "saes")


def test_a_lost_note_is_written_again_where_training_goes_on(tmp_path: Path, poison: Any) -> None:
    poison(3)
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path, model=StopsAfter(2))
    note = tmp_path / "saes" / PLACE / "diverged.json"
    content = note.read_bytes()
    note.unlink()
    train_toy(tmp_path)
    assert note.read_bytes() == content


def test_what_a_killed_process_kept_of_an_sae_after_its_step_is_gone(tmp_path: Path, poison: Any) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path / "cut", model=StopsAfter(2))
    assert (tmp_path / "cut" / "saes" / PLACE / "128" / "cfg.json").is_file()
    without_newest_point(tmp_path / "cut")
    poison(3)
    assert str(train_toy(tmp_path / "cut")) == str(train_toy(tmp_path / "through"))
    assert files_below(tmp_path / "cut" / "saes") == files_below(tmp_path / "through" / "saes")
    assert not (tmp_path / "cut" / "saes" / PLACE / "128").exists()


def test_a_damaged_note_is_named(tmp_path: Path) -> None:
    (tmp_path / "diverged.json").write_text("{}", encoding="utf-8")
    with pytest.raises(DamagedFileError, match="diverged.json .*; it says from which step an SAE diverged; delete it"):
        diverged_at(tmp_path / "64")


@pytest.mark.parametrize("place", ["scratch/L1/seed0", "scratch/L1/seed1", "scratch/L2/seed0", "control/L1/seed0"])
def test_a_note_of_another_sae_is_refused(tmp_path: Path, place: str) -> None:
    note_divergence(tmp_path / "scratch/L1/seed0", {}, step=3, from_tokens=96)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / "scratch/L1/seed0/diverged.json").rename(tmp_path / place / "diverged.json")
    if place == "scratch/L1/seed0":
        assert [diverged_at(tmp_path / place / tokens) for tokens in ("64", "96")] == [None, 3]
        return
    with pytest.raises(DamagedFileError, match=f"{place}/diverged.json .* of another place"):
        diverged_at(tmp_path / place / "96")


def test_a_note_with_a_changed_number_is_refused(tmp_path: Path) -> None:
    note_divergence(tmp_path, {}, step=3, from_tokens=96)
    note = tmp_path / "diverged.json"
    note.write_text(note.read_text().replace('"from_tokens": 96', '"from_tokens": 97'))
    with pytest.raises(DamagedFileError, match="diverged.json .* of another content"):
        diverged_at(tmp_path / "64")


class Faulty(ToyModel):
    """A layer whose residual stream is multiplied from a pass on."""

    def __init__(self, factor: float, layer: int = 1, sound_passes: int = 0) -> None:
        super().__init__()
        self.factor, self.layer, self.sound_passes = factor, layer, sound_passes

    def residual_streams(self, tokens: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
        streams = super().residual_streams(tokens, layers)
        self.sound_passes -= 1
        if self.sound_passes < 0:
            streams[list(layers).index(self.layer)] *= self.factor
        return streams


@pytest.mark.parametrize("factor", [0.0, math.nan, math.inf, 1e30])
def test_streams_that_nobody_can_learn_from_are_refused_by_name_before_anything_is_written(
    tmp_path: Path, factor: float
) -> None:
    said = "the residual stream of layer 1 of the language model toy is " + (
        "0 at all of 32 tokens" if factor == 0 else "NaN, infinite or longer than 1e[+]16 at 32 of 32 tokens, and no "
        "learning rate mends that")  # fmt: skip
    with pytest.raises(ValueError, match=said):
        train_toy(tmp_path, model=Faulty(factor))
    assert not list(tmp_path.rglob("*"))
    with pytest.raises(ValueError, match=said.replace("32", "64")):  # four rows of 16
        check_streams(Faulty(factor), toy_rows(), LAYERS, toy_config())


def test_sound_streams_are_let_through_and_what_is_skipped_may_be_anything() -> None:
    class Sink(ToyModel):
        def residual_streams(self, tokens: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
            streams = super().residual_streams(tokens, layers)
            streams[:, :, 0] = math.inf
            return streams

    check_streams(ToyModel(), toy_rows(), LAYERS, toy_config())
    check_streams(Sink(), toy_rows(), LAYERS, toy_config(skip_first=1))
    with pytest.raises(ValueError, match="at 4 of 64 tokens"):
        check_streams(Sink(), toy_rows(), LAYERS, toy_config())


def test_streams_that_fail_later_are_not_blamed_on_the_learning_rate(tmp_path: Path) -> None:
    with pytest.raises(FloatingPointError, match="step 4: the residual stream of layer 1 of the language model toy is "
                       "NaN.* at 64 of 64 tokens.*; last good resume point: .*128") as caught:  # fmt: skip
        train_toy(tmp_path, model=Faulty(math.nan, sound_passes=2))
    assert "lower" not in str(caught.value).lower()
    assert not list(tmp_path.rglob("diverged.json"))


def test_a_lambda_that_leaves_no_feature_active_is_said(tmp_path: Path) -> None:
    """At the last of 64 steps; the log has the mean over those whose learning rate falls."""
    plans = [replace(plan, learning_rate=0.1) for plan in toy_plans("wsd") if plan.name == NAME]
    longer = TrainingPhase(checkpoints=(0, 512), learning_rate=0.1)
    changes: dict[str, Any] = {"l1_coefficient": 1e3, "scratch": longer, "transfer": longer}
    with pytest.warns(UserWarning, match=rf"no feature is active .* {NAME} \(lambda 1000\).*lower l1_coefficient"):
        log = train_toy(tmp_path, "wsd", plans, **changes)
    assert max(row["value"] for row in log if row["metric"] == "l0") < 1
