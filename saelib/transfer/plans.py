"""Who trains from whom: the plans of the two phases.

In: layers, seeds and learning rates. Out: `SaePlan`s. Direction is data: forward takes the layer before, backward
the layer after, in the list of layers; the source is always a finished scratch SAE, never another transfer.
"""

from collections.abc import Sequence

from saelib.sae.training.plan import SaePlan
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.directions import DIRECTIONS


def scratch_plans(layers: Sequence[int], config: ExperimentConfig) -> list[SaePlan]:
    """One SAE from a random start for each layer and seed."""
    return _from_scratch("scratch", layers, config, config.scratch.learning_rate)


def transfer_plans(layers: Sequence[int], config: ExperimentConfig) -> list[SaePlan]:
    """Every forward and backward transfer, and the equal-token control: the same random starts on the same batches."""
    transfers = [
        SaePlan(
            arm=arm,
            sae_layer=layer,
            seed=seed,
            learning_rate=config.transfer.learning_rate,
            source_arm="scratch",
            source_layer=layers[position + offset],
            source_tokens=config.scratch.tokens,
        )
        for arm, offset in DIRECTIONS.items()
        for position, layer in enumerate(layers)
        for seed in config.seeds
        if 0 <= position + offset < len(layers)
    ]
    return transfers + _from_scratch("control", layers, config, config.control_learning_rate)


def _from_scratch(arm: str, layers: Sequence[int], config: ExperimentConfig, learning_rate: float) -> list[SaePlan]:
    return [SaePlan(arm, layer, seed, learning_rate) for layer in layers for seed in config.seeds]
