"""Who starts from whom: forward from the layer before, backward from the layer after, in the list of layers."""

from saelib.sae.training.plan import SaePlan
from saelib.transfer.config import resolve_config
from saelib.transfer.directions import DIRECTIONS
from saelib.transfer.plans import scratch_plans, transfer_plans

LAYERS = (0, 2, 5)
CONFIG = resolve_config(preset="smoke", seed=3, control_learning_rate=7e-3, transfer={"learning_rate": 5e-3})


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
    moved = [plan for plan in plans if plan.arm in DIRECTIONS]
    assert {plan.learning_rate for plan in moved} == {5e-3}
    assert {plan.source_tokens for plan in moved} == {CONFIG.scratch.tokens}


def test_the_control_starts_as_scratch_did() -> None:
    plans = [plan for plan in transfer_plans(LAYERS, CONFIG) if plan.arm == "control"]
    assert moves(plans, "control") == moves(scratch_plans(LAYERS, CONFIG), "scratch")
    assert {(plan.learning_rate, plan.source_tokens) for plan in plans} == {(7e-3, 0)}


def test_one_layer_has_no_neighbour() -> None:
    assert {plan.arm for plan in transfer_plans((1,), CONFIG)} == {"control"}


def test_directions_are_the_papers() -> None:
    """Forward transfer: layer i starts from layer i - 1."""
    assert DIRECTIONS == {"forward": -1, "backward": 1}
