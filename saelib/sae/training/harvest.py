"""The next chunk's activations while this chunk is trained on.

In: how to plan a chunk. Out: chunk after chunk, the same ones as by plain calls. On a CPU the pool that trains fills
the next chunk too; on CUDA a second stream does.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.run.memory import halving
from saelib.sae.activations import Chunk, default_rows_per_pass, plan_chunk
from saelib.sae.config import TrainingConfig, TrainingPhase

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

Activations = Float[Tensor, "layers tokens d_model"]


class Harvester(Protocol):
    """Gives chunk after chunk; two of them are in memory at a time."""

    def take(self, chunk: int) -> Activations:
        """A chunk's activations, whole; the filling of the next one is under way when this returns."""
        ...


class PooledHarvester:
    """Fills chunks on the threads of a pool, part by part.

    Args:
        plan: a chunk and the calls that fill it, by its number.
        chunks: number of the chunk after the last.
    """

    def __init__(self, plan: Callable[[int], Chunk], pool: Executor, chunks: int) -> None:
        self.plan, self.pool, self.chunks = plan, pool, chunks
        self._next: tuple[int, Activations, list[Future[object]]] | None = None

    def take(self, chunk: int) -> Activations:
        """See `Harvester`; what a call raised is raised here, when its chunk is asked for."""
        if self._next is None or self._next[0] != chunk:
            self._next = self._start(chunk)
        _, activations, filling = self._next
        for part in filling:
            part.result()
        self._next = self._start(chunk + 1) if chunk + 1 < self.chunks else None
        return activations

    def _start(self, chunk: int) -> tuple[int, Activations, list[Future[object]]]:
        planned = self.plan(chunk)
        return chunk, planned.activations, [self.pool.submit(fill) for fill in planned.fills]


class StreamHarvester:
    """Fills chunks on a second CUDA stream.

    `fill` must wait for nothing on the device, or the steps of this chunk start only when the next one is there: bring
    tokens by `activations.to_device`.

    Args:
        fill: makes the activations of a chunk, by its number.
        device: where they are made.
        chunks: number of the chunk after the last.
    """

    def __init__(self, fill: Callable[[int], Activations], device: torch.device, chunks: int) -> None:
        self.fill, self.chunks = fill, chunks
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._next: tuple[int, Activations, torch.cuda.Event] | None = None

    def take(self, chunk: int) -> Activations:
        """See `Harvester`; for use on the current stream. On a device without streams the chunk is filled here."""
        if self._stream is None:
            return self.fill(chunk)
        if self._next is None or self._next[0] != chunk:
            self._next = self._start(chunk, self._stream)
        _, activations, filled = self._next
        current = torch.cuda.current_stream(activations.device)
        current.wait_event(filled)
        activations.record_stream(current)  # its memory is free for others only when this stream is done with it
        self._next = self._start(chunk + 1, self._stream) if chunk + 1 < self.chunks else None
        return activations

    def _start(self, chunk: int, stream: torch.cuda.Stream) -> tuple[int, Activations, torch.cuda.Event]:
        stream.wait_stream(torch.cuda.current_stream(stream.device))  # what was set up there before, weights first
        with torch.cuda.stream(stream):
            activations = self.fill(chunk)
            filled = torch.cuda.Event()
            filled.record(stream)
        return chunk, activations, filled


def harvesting(
    model: "LanguageModel",
    rows: TokenRows,
    phase: TrainingPhase,
    config: TrainingConfig,
    data_seed: int,
    layers: Sequence[int],
    pool: Executor,
    rows_per_pass: int | None = None,
) -> Harvester:
    """The harvester that suits the model's device.

    Args:
        data_seed: of the order within chunks.
        pool: fills chunks where the device is the CPU.
        rows_per_pass: rows that the language model reads at once, fewer where a GPU runs out of memory.
    """
    chunks, at_once = phase.tokens // config.chunk_tokens, rows_per_pass or default_rows_per_pass(model.device, config)
    if model.device.type == "cpu":

        def plan(chunk: int) -> Chunk:
            planned = plan_chunk(model, rows, chunk, config, data_seed, layers, at_once)
            return planned if model.thread_safe else planned.in_one_piece()

        return PooledHarvester(plan, pool, chunks)

    def fill(chunk: int) -> Activations:
        nonlocal at_once
        activations, at_once = halving(
            at_once, lambda fewer: plan_chunk(model, rows, chunk, config, data_seed, layers, fewer).filled()
        )
        return activations

    return StreamHarvester(fill, model.device, chunks)
