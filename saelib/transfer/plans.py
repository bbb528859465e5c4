"""Who trains from whom: the plans of the two phases.

In: layers, and a config with its replicates and arms. Out: `SaePlan`s. Direction, start and distance are data: forward
takes a layer before, backward a layer after, in the list of layers; the source is always a finished scratch SAE of the
same replicate, never another transfer.
"""

from collections.abc import Sequence
from itertools import product

from saelib.sae.training.plan import SaePlan
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.directions import DIRECTIONS, Arm


def scratch_plans(layers: Sequence[int], config: ExperimentConfig) -> list[SaePlan]:
    """One SAE from a random start for each layer and replicate."""
    return _from_scratch("scratch", layers, config, config.scratch.learning_rate)


def transfer_plans(layers: Sequence[int], config: ExperimentConfig) -> list[SaePlan]:
    """Every transfer, and by the schedule "paper" the control: the same random starts, for as many tokens."""
    arms = [Arm(*parts) for parts in product(DIRECTIONS, config.starts, config.distances)]
    transfers = [plan for arm in arms for plan in _of_arm(arm, layers, config)]
    if config.schedule == "wsd":
        return transfers
    return transfers + _from_scratch("control", layers, config, config.control_learning_rate)


def _of_arm(arm: Arm, layers: Sequence[int], config: ExperimentConfig) -> list[SaePlan]:
    return [
        SaePlan(
            arm=arm.name,
            sae_layer=layer,
            seed=seed,
            data_seed=data_seed,
            learning_rate=config.transfer.learning_rate,
            start=arm.start,
            source_arm="scratch",
            source_layer=layers[position + arm.offset],
            source_tokens=config.scratch.tokens,
        )
        for position, layer in enumerate(layers)
        for seed, data_seed in config.replicates
        if 0 <= position + arm.offset < len(layers)
    ]


def _from_scratch(arm: str, layers: Sequence[int], config: ExperimentConfig, learning_rate: float) -> list[SaePlan]:
    return [
        SaePlan(arm, layer, seed, data_seed, learning_rate) for layer in layers for seed, data_seed in config.replicates
    ]
