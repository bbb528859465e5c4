"""Opening an experiment writes nothing; a trained SAE is had by name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from saelib.sae.folder import load_sae
from saelib.sae.training.plan import start_sae
from saelib.transfer.experiment import Experiment, open_experiment
from saelib.transfer.stages import train_phase
from tests.transfer.conftest import OpenSmall


def test_opening_writes_nothing(empty_runs: Path, open_small: OpenSmall) -> None:
    experiment = open_small(run="x")
    assert experiment.layers == (0, 1, 2)
    assert len(experiment.plans("transfer")) == 16
    assert repr(experiment)
    with pytest.raises(ValueError, match="l1_coefficent"):
        open_small(run="x", l1_coefficent=1.0)
    assert not empty_runs.exists()


def test_an_absent_layer_is_named(empty_runs: Path, open_small: OpenSmall) -> None:
    with pytest.raises(ValueError, match=r"layers=\[7\].*has layers 0 to 2"):
        _ = open_small(layers=[0, 7]).layers


def test_a_distance_that_no_two_layers_have_is_refused_before_anything_is_written(
    empty_runs: Path, open_small: OpenSmall
) -> None:
    """Not only where all are: a table without one of the arms that were asked for would be found at the very end."""
    for layers, distances, far in (
        (None, [1, 3], r"\[3\]: 3 layers are 2 "),
        ([0, 2], [1, 2], r"\[2\]: 2 layers are 1 "),
    ):
        with pytest.raises(ValueError, match=f"distances={far}places apart at most"):
            train_phase(open_small(layers=layers, distances=distances), "scratch")
    assert not (empty_runs / "small").exists()
    assert open_small(layers=[1], distances=[1]).layers == (1,), "scratch SAEs alone may be wanted"


def test_all_layers_are_those_of_the_model(empty_runs: Path, open_small: OpenSmall) -> None:
    assert open_small(layers=None).layers == (0, 1, 2)


@pytest.mark.parametrize(
    ("arm", "layer", "asked", "found"),
    [
        ("scratch", 2, {}, "scratch/L2/seed0/2048"),
        ("scratch", 0, {"tokens": 0}, "scratch/L0/seed0/0"),
        ("forward", 1, {"seed": 1}, "forward/L1/seed1/2048"),
        ("backward", 0, {"seed": 0, "tokens": 0}, "backward/L0/seed0/0"),
        ("forward_affine", 2, {"seed": 1, "tokens": 2048}, "forward_affine/L2/seed1/2048"),
    ],
)
def test_a_trained_sae_is_had_by_name(run: Experiment, arm: str, layer: int, asked: dict[str, Any], found: str) -> None:
    sae, kept = run.sae(arm, layer, **asked), load_sae(run.folder / "saes" / found)
    for name, weight in kept.named_parameters():
        assert torch.equal(sae.get_parameter(name), weight)
    assert not any(weight.requires_grad for weight in sae.parameters())
    place = Path(found)
    assert sae.lineage["arm"] == arm
    assert sae.lineage["sae_layer"] == layer
    assert f"seed{sae.lineage['seed']}" == place.parts[2]
    assert sae.lineage["tokens"] == int(place.name)
    assert sae.lineage["config_sha256"] == run.config.sha256()


def test_an_sae_says_where_it_comes_from(run: Experiment) -> None:
    assert repr(run.sae("forward", 1, seed=1)) == (
        "SparseAutoencoder(d_model=32, d_sae=64, architecture=standard, arm=forward, source_layer=0, sae_layer=1, "
        "seed=1, tokens=2048)"
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"arm": "zero_shot", "layer": 1},
         "arm='zero_shot': this run has arm scratch, forward, forward_affine, backward, backward_affine"),
        ({"arm": "forward", "layer": 0}, "layer=0: the SAEs of the arm forward have layer 1, 2"),
        ({"arm": "backward", "layer": 2}, "layer=2: the SAEs of the arm backward have layer 0, 1"),
        ({"arm": "scratch", "layer": 3}, "layer=3: the SAEs of the arm scratch have layer 0, 1, 2"),
        ({"arm": "scratch", "layer": 1, "seed": 2}, "seed=2: the SAEs of the arm scratch have seed 0, 1"),
        ({"arm": "scratch", "layer": 1, "tokens": 5},
         "tokens=5: the SAEs of the arm scratch have tokens 0, 1024, 2048"),
        ({"arm": "forward", "layer": 1, "tokens": 512},
         "tokens=512: the SAEs of the arm forward have tokens 0, 1024, 2048"),
    ],
)  # fmt: skip
def test_an_sae_that_is_not_planned_is_refused_with_what_there_is(
    run: Experiment, asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError) as refused:
        run.sae(**asked)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("arm", "phase"), [("scratch", "scratch"), ("forward", "transfer"), ("forward_affine", "transfer")]
)
def test_an_sae_that_is_not_trained_yet_is_told_how_to_be(
    empty_runs: Path, open_small: OpenSmall, arm: str, phase: str
) -> None:
    with pytest.raises(FileNotFoundError) as absent:
        open_small(run="x").sae(arm, 1)
    assert f"saes/{arm}/L1/seed0/" in str(absent.value)
    assert f"train_phase(experiment, {phase!r})" in str(absent.value)
    assert not (empty_runs / "x").exists()


def test_a_transfer_still_starts_trainable(run: Experiment) -> None:
    plan = next(plan for plan in run.plans("transfer") if plan.arm == "forward")
    start = start_sae(plan, run.model, run.config, run.phase_folders("transfer"))
    source = run.sae("scratch", 0)
    assert all(weight.requires_grad for weight in start.parameters())
    for name, weight in source.named_parameters():
        assert torch.equal(start.get_parameter(name), weight)


def test_an_experiment_says_what_it_is(empty_runs: Path, open_small: OpenSmall) -> None:
    experiment = open_small(run="x", layers=[0, 2])
    shown = repr(experiment)
    assert shown.startswith("Experiment('x', preset smoke, language model ")
    assert shown.endswith(f"corpus {experiment.config.corpus}, layers 0, 2, 2 replicates)")
    assert "layers" in repr(open_experiment()) and "all layers" in repr(open_experiment())


def test_captions_say_what_is_to_be_known_of_the_weights(empty_runs: Path) -> None:
    assert open_experiment(preset="smoke").caveat == ""
    told = "smollm2: 4-bit weights (Q4_1), instruction-tuned"
    assert open_experiment(preset="smoke", run="other", language_model="smollm2").caveat == told
    assert not empty_runs.exists()
