"""Training on divided streams: by hand, folded back, at any size of the stream, and resumed."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from saelib.run.reading import read_json
from saelib.sae.activations import plan_chunk
from saelib.sae.autoencoder import random_sae
from saelib.sae.config import TrainingConfig
from saelib.sae.folder import load_sae
from saelib.sae.training.plan import PhaseFolders, SaePlan, start_sae
from saelib.sae.training.schedule import schedule
from saelib.sae.training.train import train
from saelib.sae.training.trainee import new_trainee
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.lambdas import norm_units, rounded
from tests.helpers.small_world import StopsAfter, ToyModel, files_below, toy_config, toy_folders, toy_rows

SCALE = 5.5
LAYER = 1


class Times(ToyModel):
    """The same model, whose residual stream is so many times as large."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def residual_streams(self, tokens: torch.Tensor, layers: Any) -> torch.Tensor:
        return self.factor * super().residual_streams(tokens, layers)


def trained(
    folder: Path, config: ExperimentConfig, model: ToyModel, **of_plan: Any
) -> tuple[PhaseFolders, dict[str, float]]:
    """An SAE that was trained, and the means of the last stretch by metric."""
    plan = SaePlan("scratch", LAYER, 0, 0, 1e-2, **of_plan)
    folders = toy_folders(folder)
    log = train([plan], config.scratch, model, toy_rows(), config, folders)
    return folders, {row["metric"]: row["value"] for row in log if row["tokens"] == config.scratch.tokens}


def by_hand(config: ExperimentConfig, scale: float, coefficient: float) -> dict[str, torch.Tensor]:
    """The weights of an SAE trained step by step on a stream that was divided before, folded in the end."""
    plan = SaePlan("scratch", LAYER, 0, 0, 1e-2)
    sae = start_sae(plan, ToyModel(), config, toy_folders(Path("nowhere")))
    trainee, steps = new_trainee(plan, sae, config), config.scratch.tokens // config.batch_tokens
    for chunk in range(config.scratch.tokens // config.chunk_tokens):
        (stream,) = plan_chunk(ToyModel(), toy_rows(), chunk, config, 0, [LAYER]).filled() / scale
        for place, batch in enumerate(stream.split(config.batch_tokens)):
            now = schedule(chunk * config.chunk_tokens // config.batch_tokens + place, steps, config, None, coefficient)
            trainee.step(batch, *now, config.gradient_clip)
    factors = {"W_enc": 1, "b_enc": scale, "W_dec": 1, "b_dec": scale}
    return {name: weight.detach() * factors[name] for name, weight in trainee.sae.named_parameters()}


@pytest.mark.parametrize("whose", ["config", "plan"])
def test_training_with_a_scale_is_training_on_the_divided_stream_to_the_bit(tmp_path: Path, whose: str) -> None:
    given: dict[str, Any] = {"activation_scale": SCALE, "l1_coefficient": 0.3}
    if whose == "config":
        folders, _ = trained(tmp_path, toy_config(**given), ToyModel())
    else:  # whose lambda is in the model's own units
        folders, _ = trained(tmp_path, toy_config(), ToyModel(), activation_scale=SCALE, l1_coefficient=0.3 * SCALE)
    folder = folders.sae("scratch", LAYER, 0, 256)
    for name, weight in by_hand(toy_config(), SCALE, 0.3 * SCALE / SCALE).items():
        assert torch.equal(load_file(folder / "sae_weights.safetensors")[name], weight), name
    lineage = read_json(folder / "lineage.json")
    assert (lineage["activation_scale"], lineage["l1_coefficient"]) == (SCALE, pytest.approx(0.3 * SCALE))


def test_the_log_is_in_the_units_of_the_stream_itself(tmp_path: Path) -> None:
    """Of a single step of one batch, so that the means are those of the start."""
    phase = {"checkpoints": [0, 64], "learning_rate": 1e-9}
    config = toy_config(batch_tokens=64, l1_coefficient=0.3, l1_warm_up_share=0.0, scratch=phase, transfer=phase)
    scaled = config.replace(activation_scale=SCALE)
    folders, found = trained(tmp_path, scaled, ToyModel())
    sae = load_sae(folders.sae("scratch", LAYER, 0, 0))
    (stream,) = plan_chunk(ToyModel(), toy_rows(), 0, config, 0, [LAYER]).filled()
    features = sae.encode(stream)
    mse, l1 = (sae.decode(features) - stream).square().sum(-1).mean(), sae.l1(features).mean()
    wanted = {"mse": mse, "l1": l1, "l0": (features > 0).float().sum(-1).mean(), "loss": mse + 0.3 * SCALE * l1}
    assert found == {name: pytest.approx(float(value), rel=1e-5) for name, value in wanted.items()}


def test_norm_scales_cure_a_stream_ten_times_as_large(tmp_path: Path) -> None:
    """Norm units of lambda alone did not: Adam moves a bias by as much as ever, and it has ten times as far to go."""
    config = toy_config(activation_scale="norm", l1_coefficient=1.0)
    rows, ends = toy_rows().take(0, 12), []
    for factor in (1.0, 10.0):
        model = Times(factor)
        scale = rounded(norm_units(model, rows, [LAYER], config)[LAYER])
        of_plan = {"activation_scale": scale, "l1_coefficient": rounded(scale)}
        folders, means = trained(tmp_path / str(factor), config, model, **of_plan)
        ends.append((load_sae(folders.sae("scratch", LAYER, 0, 256)), means))
    (small, of_small), (large, of_large) = ends
    for name, factor in (("W_enc", 1), ("W_dec", 1), ("b_enc", 10), ("b_dec", 10)):
        torch.testing.assert_close(getattr(large, name), factor * getattr(small, name), rtol=1e-3, atol=1e-4 * factor)
    assert of_large["l0"] == pytest.approx(of_small["l0"], rel=1e-3)
    assert of_large["mse"] == pytest.approx(100 * of_small["mse"], rel=1e-3)


def test_folding_and_unfolding_is_the_identity() -> None:
    sae = random_sae(16, 32, torch.Generator().manual_seed(0))
    with torch.no_grad():
        sae.b_enc.uniform_(-1, 1, generator=torch.Generator().manual_seed(1))
        sae.b_dec.uniform_(-1, 1, generator=torch.Generator().manual_seed(2))
    assert sae.fold_scale(1) is sae is sae.unfold_scale(1)
    x, before = 3 * torch.randn(64, 16, generator=torch.Generator().manual_seed(3)), copy.deepcopy(sae)
    for scale in (SCALE, 1e-3, 1e4, 2.0):
        unfolded = sae.unfold_scale(scale)
        torch.testing.assert_close(scale * unfolded(x / scale), sae(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(scale * unfolded.encode(x / scale), sae.encode(x), rtol=1e-4, atol=1e-5)
        back = unfolded.fold_scale(scale)
        for name, weight in back.named_parameters():
            roundings = 0.0 if name[0] == "W" or scale == 2 else 2.0**-23
            torch.testing.assert_close(weight, getattr(before, name), rtol=roundings, atol=0.0)
    assert all(torch.equal(weight, getattr(before, name)) for name, weight in sae.named_parameters())


@pytest.mark.parametrize("schedule_name", ["paper", "wsd"])
def test_a_copy_is_of_plain_activations_and_resuming_is_exact(tmp_path: Path, schedule_name: str) -> None:
    """Of a source trained at another scale; at token 0 it is the source to the bit."""
    changes: dict[str, Any] = {"schedule": schedule_name, "activation_scale": 3.7, "l1_warm_up_share": 0.02}
    config, plans = toy_config(**changes), []
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for base in (whole, stopped):
        trained(base, toy_config(activation_scale=SCALE), ToyModel())
    plans = [SaePlan("forward", 2, 0, 0, 1e-2, "copy", "scratch", LAYER, 256)]

    def transfer(base: Path, model: ToyModel) -> None:
        train(plans, config.transfer, model, toy_rows(), config, toy_folders(base, "transfer"), resume_seconds=0)

    transfer(whole, ToyModel())
    with pytest.raises(KeyboardInterrupt):
        transfer(stopped, StopsAfter(1))
    transfer(stopped, ToyModel())
    assert files_below(whole / "saes") == files_below(stopped / "saes")
    folders = toy_folders(whole, "transfer")
    weights = [
        load_file(folders.sae(*of, tokens) / "sae_weights.safetensors")
        for of, tokens in ((("scratch", LAYER, 0), 256), (("forward", 2, 0), 0), (("forward", 2, 0), 128))
    ]
    source, start, end = weights
    assert all(torch.equal(source[name], start[name]) for name in source)
    assert not torch.equal(start["b_enc"], end["b_enc"])


def test_another_scale_is_another_training_and_refused_by_name(tmp_path: Path) -> None:
    def begun(model: ToyModel, config: ExperimentConfig, **of_plan: Any) -> None:
        plan = SaePlan("scratch", LAYER, 0, 0, 1e-2, **of_plan)
        train([plan], config.scratch, model, toy_rows(), config, toy_folders(tmp_path), resume_seconds=0)

    with pytest.raises(KeyboardInterrupt):
        begun(StopsAfter(3), toy_config(activation_scale=SCALE))
    with pytest.raises(ValueError, match="activation_scale was 5.5, is 4.0"):
        begun(ToyModel(), toy_config(activation_scale=4))
    with pytest.raises(ValueError, match="scratch L1 seed 0: activation_scale was None, is 4.0"):
        begun(ToyModel(), toy_config(activation_scale=SCALE), activation_scale=4.0)
    begun(ToyModel(), toy_config(activation_scale=SCALE))


@pytest.mark.parametrize("value", [0, -1.0, True, "much", None, float("inf"), float("nan"), [5.5], 10**400])
def test_a_scale_that_is_none_is_refused_with_what_is_right(value: Any) -> None:
    with pytest.raises(ValueError, match="^activation_scale=.* should be 'none', 'norm' or a number above 0"):
        toy_config(activation_scale=value)


def test_who_measures_norms_is_said_where_a_plan_has_no_number() -> None:
    config = TrainingConfig(context_length=16, chunk_rows=256, activation_scale="norm")
    with pytest.raises(ValueError, match=r"scratch L1 seed 0: activation_scale='norm' is measured by an experiment"):
        SaePlan("scratch", 1, 0, 0, 1e-2).scale(config)
    assert SaePlan("scratch", 1, 0, 0, 1e-2, activation_scale=2.0).scale(config) == 2
    with pytest.raises(ValueError, match="activation_scale=0.0 should be a number above 0"):
        SaePlan("scratch", 1, 0, 0, 1e-2, activation_scale=0.0)
