"""Who starts from whom: forward from the layer before, backward from the layer after, in the list of layers."""

import pandas as pd

from saelib.sae.training.plan import SaePlan
from saelib.transfer.directions import DIRECTIONS, parse_arm, transfer_arms
from saelib.transfer.plans import scratch_plans, transfer_plans
from saelib.transfer.presets import resolve_config

LAYERS = (0, 2, 5)
CONFIG = resolve_config(
    preset="smoke", seed=3, data_seed=8, control_learning_rate=7e-3, transfer={"learning_rate": 5e-3}
)
PAPER = CONFIG.replace(schedule="paper", scratch={"checkpoints": (0, 4096)}, transfer={"checkpoints": (0, 2048)})


def moves(plans: list[SaePlan], arm: str) -> list[tuple[int | None, int, int]]:
    return [(plan.source_layer, plan.sae_layer, plan.seed) for plan in plans if plan.arm == arm]


def test_every_layer_and_seed_starts_from_scratch() -> None:
    plans = scratch_plans(LAYERS, CONFIG)
    assert moves(plans, "scratch") == [(None, layer, seed) for layer in LAYERS for seed in (3, 4)]
    assert {plan.learning_rate for plan in plans} == {CONFIG.scratch.learning_rate}


def test_a_transfer_comes_from_its_neighbour_in_the_list() -> None:
    plans = transfer_plans(LAYERS, CONFIG)
    assert moves(plans, "forward") == [(0, 2, 3), (0, 2, 4), (2, 5, 3), (2, 5, 4)]
    assert moves(plans, "backward") == [(2, 0, 3), (2, 0, 4), (5, 2, 3), (5, 2, 4)]
    assert {plan.learning_rate for plan in plans} == {5e-3}
    assert {plan.source_tokens for plan in plans} == {CONFIG.scratch.tokens}


def test_every_start_and_distance_is_an_arm() -> None:
    config = CONFIG.replace(starts=("copy", "procrustes"), distances=(1, 2))
    plans = transfer_plans(LAYERS, config)
    assert moves(plans, "forward_procrustes_2") == [(0, 5, 3), (0, 5, 4)]
    assert moves(plans, "backward_2") == [(5, 0, 3), (5, 0, 4)]
    assert {(plan.arm, plan.start) for plan in plans} == {
        (f"{way}{suffix}{far}", start)
        for way in DIRECTIONS
        for suffix, start in (("", "copy"), ("_procrustes", "procrustes"))
        for far in ("", "_2")
    }
    for name in {plan.arm for plan in plans}:
        arm = parse_arm(name)
        assert arm is not None and arm.name == name


def test_arms_stand_in_one_order() -> None:
    names = ["backward", "scratch", "forward_affine_2", "forward_2", "forward_affine", "forward", "control"]
    assert transfer_arms(pd.DataFrame({"arm": names})) == [
        "forward", "forward_affine", "forward_2", "forward_affine_2", "backward"]  # fmt: skip
    assert [parse_arm(name) for name in ("zero_shot", "forward_x", "forward_copy_2_3", "")] == [None] * 4


def test_a_replicate_is_the_same_pair_of_seeds_everywhere() -> None:
    plans = scratch_plans(LAYERS, CONFIG) + transfer_plans(LAYERS, CONFIG)
    assert {(plan.seed, plan.data_seed) for plan in plans} == {(3, 8), (4, 9)} == set(CONFIG.replicates)
    assert CONFIG.replace(data_seed=None).replicates == ((3, 3), (4, 4))


def test_by_the_papers_schedule_a_control_starts_as_scratch_did() -> None:
    """By the other one scratch is its own control at every budget."""
    assert "control" not in {plan.arm for plan in transfer_plans(LAYERS, CONFIG)}
    plans = [plan for plan in transfer_plans(LAYERS, PAPER) if plan.arm == "control"]
    assert moves(plans, "control") == moves(scratch_plans(LAYERS, CONFIG), "scratch")
    assert {(plan.learning_rate, plan.source_tokens) for plan in plans} == {(7e-3, 0)}


def test_one_layer_has_no_neighbour() -> None:
    assert {plan.arm for plan in transfer_plans((1,), PAPER)} == {"control"}
    assert not transfer_plans((1,), CONFIG)


def test_directions_are_the_papers() -> None:
    """Forward transfer: layer i starts from layer i - 1."""
    assert DIRECTIONS == {"forward": -1, "backward": 1}
