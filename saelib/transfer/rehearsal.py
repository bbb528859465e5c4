"""Rehearse a run before it is paid for: `python -m saelib.transfer.rehearsal --preset pythia-160m`, or `make rehearse`.

In: a preset, for its own model or another one on this machine. Out: what the run would take on this device, printed:
memory, disk, tokens per second, hours, downloads. Both phases are trained for a few chunks by `train` itself, at true
shapes, with random weights and random rows: no hub is needed. What the run does beside them is counted, and taken at
the same speeds. SAEs at their start are denser than later on, so that sparse steps on a CPU are slower here.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import torch
from jaxtyping import Int32

from saelib.language.corpus.rows import TokenRows
from saelib.language.device import choose_device
from saelib.language.model import LanguageModel
from saelib.language.precision import Precision
from saelib.language.shapes import ModelShape, RandomRows, random_language_model, shape_of
from saelib.run.files import TEMPORARY, cache_folder
from saelib.sae.evaluation import evaluate
from saelib.sae.folder import load_sae
from saelib.sae.training.memory_plan import MemoryPlan
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.train import train
from saelib.transfer import rehearsal_text
from saelib.transfer.config import AUTO_SINK, NO_SINK, ExperimentConfig
from saelib.transfer.experiment import Experiment
from saelib.transfer.model_fit import check_context, chosen_layers
from saelib.transfer.passes import divided, planned_memory
from saelib.transfer.plans import scratch_plans, transfer_plans
from saelib.transfer.presets import PRESETS
from saelib.transfer.rehearsal_text import RehearsedPhase
from saelib.transfer.work_beside import work_beside

WARM_UP = 2  # chunks: kernels are made in the first, and the second may be harvested beside it
CHUNKS = WARM_UP + 2  # of each phase
CPU_CHUNK_FLOPS = 2.5e12  # a larger chunk is cut on a CPU: at 100 to 200 GFLOP/s it would be waited for too long


class TimedRows:
    """Rows that note when they are asked for, which `train` does once for each chunk."""

    def __init__(self, rows: TokenRows) -> None:
        self.rows, self.moments = rows, list[float]()

    def take(self, start: int, count: int) -> Int32[np.ndarray, "count context"]:
        """As `TokenRows.take`."""
        self.moments.append(time.perf_counter())
        return self.rows.take(start, count)

    def seconds(self) -> float:
        """From one chunk to the next, `WARM_UP` left out."""
        warm = self.moments[WARM_UP:]
        return (warm[-1] - warm[0]) / (len(warm) - 1)


def shorter(
    config: ExperimentConfig, shape: ModelShape, saes: int, device: torch.device, rows: int | None, chunks: int
) -> ExperimentConfig:
    """The same experiment, a few chunks long; on a CPU chunks and batches are cut where they are too much work.

    Args:
        saes: of the larger phase.
        rows: of a chunk; None takes the preset's on a GPU, and as many as `CPU_CHUNK_FLOPS` allow on a CPU.
        chunks: of each phase.
    """
    if rows is None and device.type != "cpu":
        rows = config.chunk_rows
    if rows is None:
        sae_numbers = 2 * shape.d_model**2 * config.expansion_factor
        row_flops = config.context_length * (5 * 2 * sae_numbers * saes + 2 * shape.parameters)
        rows = min(config.chunk_rows, max(1, int(CPU_CHUNK_FLOPS / row_flops)))
    batch_tokens = min(config.batch_tokens, rows * config.context_length)
    rows -= rows * config.context_length % batch_tokens // config.context_length  # whole batches
    tokens = {"checkpoints": (0, max(chunks, CHUNKS) * rows * config.context_length)}
    return config.replace(
        chunk_rows=rows,
        batch_tokens=batch_tokens,
        scratch=tokens,
        transfer=tokens,
        target_l0=None,
        trial_tokens=None,
        activation_scale="none",
        depth_source=None,
    )


def as_measured(config: ExperimentConfig) -> ExperimentConfig:
    """With a position skipped where a sink token is to be found: random weights have no sink, rows cost as much."""
    if config.sink_token != AUTO_SINK:
        return config
    return config.replace(sink_token=NO_SINK, skip_first=max(1, config.skip_first))


def rehearse(
    config: ExperimentConfig, shape: ModelShape, folder: Path, rows: int | None = None, chunks: int = CHUNKS
) -> Iterator[str]:
    """Go through the run in `folder`; yields the report, part by part, as soon as it is known.

    Args:
        rows: of a chunk; what `shorter` takes if not given.
        chunks: of each phase, at least `CHUNKS`.

    Raises:
        ValueError: layers, distances or rows do not fit the model.
        MemoryError: not even one SAE fits; nothing of the phase was trained.
    """
    config = as_measured(config)
    check_context(config, config.language_model, shape.context)
    layers, device = chosen_layers(config, config.language_model, shape.layers), choose_device(config.device)
    short = shorter(config, shape, len(transfer_plans(layers, config)), device, rows, chunks)
    yield rehearsal_text.beginning(config, short, device)
    model = random_language_model(shape, str(device))
    run, phases = Experiment(config), {}
    run.model = model
    for name, plans in (("scratch", scratch_plans(layers, short)), ("transfer", transfer_plans(layers, short))):
        plan = planned_memory(config, model, plans, getattr(config, name))
        yield f"\nMemory of phase {name}, planned for the run itself:\n{plan}"
        phases[name] = _phase(name, plans, plan, model, RandomRows(shape, config.context_length), short, folder)
        yield rehearsal_text.measured(phases[name], device)
    seconds = _scoring_seconds(scratch_plans(layers, short), model, shape, short, folder)
    beside = work_beside(run)
    yield rehearsal_text.hours(config, layers, phases, seconds, beside)
    yield rehearsal_text.disk(config, phases, beside) + "\n" + rehearsal_text.downloads(config, shape)


def _phase(name: str, plans: list[SaePlan], plan: MemoryPlan, model: LanguageModel, rows: RandomRows,
           config: ExperimentConfig, folder: Path) -> RehearsedPhase:  # fmt: skip
    """Train one phase, in the groups that fit; where an SAE starts costs nothing here, so that all are copies."""
    phase = config.scratch if name == "scratch" else config.transfer
    seconds = 0.0
    for number, group in enumerate(divided(plans, plan.saes_per_pass, plan.rows_per_pass).groups):
        timed, folders = TimedRows(rows), PhaseFolders(folder / "saes", folder / "resume" / f"{name}-{number}")
        copies = [one if one.source_arm is None else replace(one, start="copy") for one in group]
        train(copies, phase, model, timed, config, folders, rows_per_pass=min(plan.rows_per_pass, config.chunk_rows))
        seconds += timed.seconds()
    sae = size_on_disk(_sae_folder(plans[0], phase.tokens, folder))
    resume = plan.sae_weights + plan.adam_moments  # the one on disk by now is that of a finished phase, without them
    return RehearsedPhase(name, len(plans), seconds, config.chunk_tokens, sae, resume)


def _sae_folder(plan: SaePlan, tokens: int, folder: Path) -> Path:
    return PhaseFolders(folder / "saes", folder).sae(plan.arm, plan.sae_layer, plan.seed, tokens)


def size_on_disk(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _scoring_seconds(
    plans: list[SaePlan], model: LanguageModel, shape: ModelShape, config: ExperimentConfig, folder: Path
) -> float:
    """Seconds in which one SAE is scored on one row, of SAEs at the first, the middle and the last layer.

    At most: a run shares the clean pass and the two constant splices among more SAEs and more rows.
    """
    chosen = [plans[0], plans[len(plans) // 2], plans[-1]]
    saes = [(load_sae(_sae_folder(plan, config.scratch.tokens, folder), model.device), plan.sae_layer)
            for plan in chosen]  # fmt: skip
    batch = config.evaluation_batch_rows
    held_out = RandomRows(shape, config.context_length, seed=1).take(0, batch)
    for _ in range(2 if model.device.type == "cuda" else 1):  # the first one makes kernels
        start = time.perf_counter()
        evaluate(saes, model, held_out, batch, config.precision, config.skipped)  # on the host: none is under way
        seconds = time.perf_counter() - start
    return seconds / len(saes) / batch


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--preset", default="pythia-160m", choices=list(PRESETS))
    parser.add_argument("--language-model", help="a folder or a GGUF file in place of the preset's model")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=get_args(Precision), help="the preset's if not given")
    parser.add_argument("--chunks", type=int, default=CHUNKS, help="of each phase")
    parser.add_argument("--chunk-rows", type=int, help="the preset's, or fewer on a CPU, if not given")
    options = parser.parse_args(arguments)
    if options.chunk_rows is not None and options.chunk_rows < 1:
        parser.error(f"--chunk-rows {options.chunk_rows}: a chunk has a row at least")
    try:
        config = PRESETS[options.preset].replace(device=options.device)
        config = config.replace(language_model=options.language_model or config.language_model)
        choose_device(config.device)
        shape = shape_of(config.language_model)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    if options.precision:
        config = config.replace(precision=options.precision)
    cache_folder().mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".rehearsal-", suffix=TEMPORARY) as folder:
        try:
            for part in rehearse(config, shape, Path(folder), options.chunk_rows, options.chunks):
                print(part, flush=True)
        except (MemoryError, ValueError) as error:
            raise SystemExit(f"this run does not fit: {error}") from error


if __name__ == "__main__":
    main()
