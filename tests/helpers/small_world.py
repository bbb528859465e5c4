"""A language model, rows and a config small enough that a whole training phase takes a moment."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from saelib.language.corpus.rows import ShuffledRows
from saelib.language.model import LanguageModel
from saelib.sae.config import TrainingPhase
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.presets import PRESETS


class ToyModel(LanguageModel):
    """Three layers that add a fixed function of the token and its neighbour to the stream: cheap, and not linear."""

    thread_safe = True

    def __init__(self, device: str = "cpu") -> None:
        self.n_layers, self.d_model, self.name, self.device = 3, 16, "toy", torch.device(device)
        generator = torch.Generator().manual_seed(7)
        self.table = torch.randn(50, self.d_model, generator=generator).to(device)
        self.mixing = torch.randn(self.n_layers, self.d_model, self.d_model, generator=generator).to(device)

    def residual_streams(self, tokens: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
        stream, streams = self.table[tokens], []
        for layer in range(self.n_layers):
            stream = stream + torch.tanh(stream @ self.mixing[layer]) + stream.roll(1, 1) / 4
            streams.append(stream)
        return torch.stack([streams[layer] for layer in layers])


class StopsAfter(ToyModel):
    """Raises at a given pass, as a machine that goes down would."""

    def __init__(self, passes: int, device: str = "cpu") -> None:
        super().__init__(device)
        self.left = passes

    def residual_streams(self, tokens: torch.Tensor, layers: Sequence[int]) -> torch.Tensor:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().residual_streams(tokens, layers)


def toy_config(**changes: Any) -> ExperimentConfig:
    """Four chunks of 64 tokens, 8 steps, checkpoints at 0, 64, 128 and 256 tokens."""
    base = PRESETS["smoke"].replace(
        schedule="paper",
        starts=("copy",),
        context_length=16,
        chunk_rows=4,
        batch_tokens=32,
        l1_coefficient=0.1,
        scratch=TrainingPhase(checkpoints=(0, 64, 128, 256), learning_rate=1e-2),
        transfer=TrainingPhase(checkpoints=(0, 64, 128), learning_rate=1e-2),
    )
    return base.replace(**changes)


def toy_rows(rows: int = 12, context: int = 16) -> ShuffledRows:
    return ShuffledRows(np.random.default_rng(3).integers(0, 50, (rows, context)).astype(np.int32), seed=0)


def one_order(plans: Sequence[SaePlan]) -> list[SaePlan]:
    """The plans of several replicates on one order of the data, so that one stream trains them all."""
    return [replace(plan, data_seed=0) for plan in plans]


def toy_folders(base: Path, phase: str = "scratch") -> PhaseFolders:
    return PhaseFolders(base / "saes", base / "resume_points" / phase)


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file and its bytes; wall times, which no two runs share, are left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timing.jsonl"
    }
