"""Who trains from whom: the plans of the two phases.

In: layers, and a config with its replicates and arms. Out: `SaePlan`s. Direction, start and distance are data: forward
takes a layer before, backward a layer after, in the list of layers; the source is a finished scratch SAE of the same
replicate, never another transfer, or for all of them one SAE from elsewhere.
"""

from collections.abc import Sequence
from itertools import product

from saelib.sae.training.plan import OWN_SOURCE, SaePlan
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.directions import DIRECTIONS, Arm
from saelib.transfer.released_config import PUBLISHED
from saelib.transfer.source import OwnSource


def scratch_plans(layers: Sequence[int], config: ExperimentConfig) -> list[SaePlan]:
    """One SAE from a random start for each layer and replicate."""
    return _from_scratch("scratch", layers, config, config.scratch.learning_rate)


def transfer_plans(layers: Sequence[int], config: ExperimentConfig, source: OwnSource | None = None) -> list[SaePlan]:
    """Every transfer, and by the schedule "paper" the control: the same random starts, for as many tokens.

    No control was released by the paper's authors.

    Args:
        source: what all transfers start from; None takes the scratch SAEs.
    """
    arms = [Arm(*parts) for parts in product(DIRECTIONS, config.starts, config.distances)]
    transfers = [plan for arm in arms for plan in _of_arm(arm, layers, config, source)]
    if config.schedule == "wsd" or config.saes == PUBLISHED:
        return transfers
    return transfers + _from_scratch("control", layers, config, config.control_learning_rate)


def _of_arm(arm: Arm, layers: Sequence[int], config: ExperimentConfig, source: OwnSource | None) -> list[SaePlan]:
    return [
        SaePlan(
            arm=arm.name,
            sae_layer=layer,
            seed=seed,
            data_seed=data_seed,
            learning_rate=config.transfer.learning_rate,
            start=arm.start,
            source_arm="scratch" if source is None else OWN_SOURCE,
            source_layer=source_layer,
            source_tokens=config.scratch.tokens if source is None else source.tokens,
        )
        for layer, source_layer in _pairs(arm, layers, source)
        for seed, data_seed in config.replicates
    ]


def _pairs(arm: Arm, layers: Sequence[int], source: OwnSource | None) -> list[tuple[int, int]]:
    """The layers of an arm's transfers and of their sources; one source is before or after a layer, at any distance."""
    if source is not None:
        return [(layer, source.layer) for layer in layers if (source.layer - layer) * arm.offset > 0]
    places = ((layer, place + arm.offset) for place, layer in enumerate(layers))
    return [(layer, layers[place]) for layer, place in places if 0 <= place < len(layers)]


def _from_scratch(arm: str, layers: Sequence[int], config: ExperimentConfig, learning_rate: float) -> list[SaePlan]:
    return [
        SaePlan(arm, layer, seed, data_seed, learning_rate) for layer in layers for seed, data_seed in config.replicates
    ]
