"""Whether a config fits its language model, by the model's sizes alone: the weights need not be there yet.

In: a config, the model's name and sizes. Out: the layers that get SAEs, or an error that names the field.
"""

from saelib.transfer.config import ExperimentConfig


def check_context(config: ExperimentConfig, model: str, longest: int | None) -> None:
    """Refuse rows that the model cannot read.

    Args:
        longest: tokens that it reads at most; None where it sets no limit.

    Raises:
        ValueError: rows of `context_length` tokens are longer.
    """
    if longest is not None and config.context_length > longest:
        raise ValueError(f"context_length={config.context_length}: {model} reads {longest} tokens at most")


def chosen_layers(config: ExperimentConfig, model: str, n_layers: int) -> tuple[int, ...]:
    """The layers that get SAEs, of a model with so many.

    Raises:
        ValueError: the config names a layer that the model lacks, or a distance that no two of the layers have.
    """
    layers = tuple(range(n_layers)) if config.layers is None else config.layers
    if wrong := [layer for layer in layers if layer >= n_layers]:
        raise ValueError(f"layers={wrong}: {model} has layers 0 to {n_layers - 1}")
    # A single layer has no transfers at all: its scratch SAEs may be all that is wanted.
    if len(layers) > 1 and (far := [distance for distance in config.distances if distance >= len(layers)]):
        raise ValueError(
            f"distances={far}: {len(layers)} layers are {len(layers) - 1} places apart at most; "
            "leave them out, or name more layers"
        )
    named = {"depth_source": (config.depth_source,), "depth_scratch_layers": config.depth_scratch_layers,
             "depth_fine_tuning": config.depth_fine_tuning, "depth_group": config.depth_group}  # fmt: skip
    for name, those in named.items():
        if wrong := [layer for layer in those or () if layer is not None and layer >= n_layers]:
            raise ValueError(f"{name}={wrong}: {model} has layers 0 to {n_layers - 1}")
    return layers


def without_transfers(config: ExperimentConfig, layers: tuple[int, ...]) -> str:
    """What to say of a run that can train SAEs from scratch and nothing else; empty where transfers are possible."""
    if len(layers) > 1 or config.source is not None:
        return ""
    remedy = "name two" if config.layers is not None else "take a deeper model"
    return f"layers={list(layers)}: a transfer needs two layers, and this run has scratch SAEs only; {remedy} for more"
