"""SAEs that diverge, streams that nobody can learn from, and how they are told apart.

In: residual streams; an SAE that was stopped. Out: errors that name the model where the fault is the model's; beside
the checkpoints of an SAE that was stopped `diverged.json`: its lineage, the step at which it diverged, and the number
of tokens from which on it has no checkpoints.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.language.precision import matrix_products
from saelib.run.sealed import read_sealed_json, write_sealed_json
from saelib.sae.config import TrainingConfig

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

NOTE = "diverged.json"
STEP, FROM_TOKENS = "diverged_at_step", "from_tokens"
CHECKED_ROWS = 4
LONGEST = 1e16  # of a residual vector: squares of longer ones, summed over a batch, are too large for float32
REMEDY = "it says from which step an SAE diverged; delete it, and the SAE counts as not trained yet"


class DivergedError(FloatingPointError):
    """Every SAE that was trained has diverged.

    Attributes:
        log: rows as `train` returns them, in which no SAE is sound from its step on.
    """

    def __init__(self, message: str, log: list[dict[str, Any]]) -> None:
        super().__init__(message)
        self.log = log


def note_divergence(folder: Path, lineage: Mapping[str, Any], step: int, from_tokens: int) -> None:
    """Say of an SAE that it was stopped.

    Args:
        folder: of its checkpoints.
        lineage: who it is.
        step: whose loss, gradient or weights were not finite, counted from 0.
        from_tokens: from how many tokens on it has no checkpoint.
    """
    write_sealed_json(folder / NOTE, {**lineage, STEP: step, FROM_TOKENS: from_tokens}, _whose(folder))


def diverged_at(folder: Path) -> int | None:
    """The step at which the SAE had diverged that was to be kept in a folder; None where there is one, or will be.

    Args:
        folder: as `PhaseFolders.sae` names it, by its number of tokens.

    Raises:
        DamagedFileError: the note cannot be read, is not what was written, or is another SAE's.
    """
    note = folder.parent / NOTE
    if not folder.name.isdigit() or not note.is_file():
        return None
    step, from_tokens = read_sealed_json(note, _from, _whose(folder.parent), REMEDY)
    return step if int(folder.name) >= from_tokens else None


def _from(note: Mapping[str, Any]) -> tuple[int, int]:
    return int(note[STEP]), int(note[FROM_TOKENS])


def _whose(folder: Path) -> str:
    """The SAE whose checkpoints lie in a folder, as its place tells it: arm, layer and seed."""
    return "/".join(folder.parts[-3:])


def check_streams(model: "LanguageModel", rows: TokenRows, layers: Sequence[int], config: TrainingConfig) -> None:
    """Refuse a model from whose residual streams no SAE can learn, by its first rows.

    Args:
        rows: the text, of which a few rows are read.
        layers: that get SAEs.

    Raises:
        ValueError: a stream is 0 at every token, or NaN, infinite or too long at one; names model and layer.
    """
    tokens = torch.from_numpy(rows.take(0, CHECKED_ROWS)).long().to(model.device)
    with matrix_products(config.precision, model.device):
        streams = model.residual_streams(tokens, layers)[:, :, config.skipped :]
    check_learnable(streams.flatten(1, 2).float(), layers, model.name, config)


def check_learnable(
    activations: Float[Tensor, "layers tokens d_model"], layers: Sequence[int], model_name: str, config: TrainingConfig
) -> None:
    """The same for activations that are there already.

    Raises:
        ValueError: as `check_streams`.
    """
    for layer, stream in zip(layers, activations, strict=True):
        if fault := unlearnable(stream, layer, model_name, config):
            raise ValueError(fault)
        if not stream.any():
            raise ValueError(
                f"{_stream(layer, model_name)} is 0 at all of {len(stream)} tokens, and an SAE has nothing to learn "
                "from it: see whether the model's weights are whole, or leave this layer out"
            )


def unlearnable(
    stream: Float[Tensor, "tokens d_model"], layer: int, model_name: str, config: TrainingConfig
) -> str | None:
    """What is wrong with residual vectors from which any SAE would diverge, as a sentence; None where nothing is."""
    if not (wrong := int(_too_long(stream).sum())):
        return None
    remedy = "" if config.precision == "float32" else "give precision='float32', or "
    return (
        f"{_stream(layer, model_name)} is NaN, infinite or longer than {LONGEST:g} at {wrong} of {len(stream)} tokens, "
        f"and no learning rate mends that: {remedy}see whether the model's weights are whole, or leave this layer out"
    )


def _too_long(stream: Float[Tensor, "tokens d_model"]) -> Bool[Tensor, " tokens"]:
    return ~(torch.linalg.vector_norm(stream, dim=-1) <= LONGEST)


def _stream(layer: int, model_name: str) -> str:
    return f"the residual stream of layer {layer} of the language model {model_name}"
