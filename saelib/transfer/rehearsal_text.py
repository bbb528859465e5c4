"""What a rehearsal says: each part of its report as text.

In: what `rehearsal.rehearse` measured, and the run's config. Out: sentences and small tables; nothing is computed here
but sums.
"""

import resource
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from saelib.language.corpus.load import is_data_set
from saelib.language.gguf.folder import is_gguf
from saelib.language.gguf.smollm2 import SMOLLM2
from saelib.language.loading import is_hub_name
from saelib.language.shapes import ModelShape
from saelib.run.resume import KEPT
from saelib.sae.training.memory_plan import gigabytes
from saelib.sae.training.schedule import trained_tokens
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.work_beside import Work

TOKEN_BYTES = 4  # of a stored token id; files are smaller by what compression saves
WEIGHT_BYTES = 4  # of a number in the cache that a GGUF file is turned into


@dataclass(frozen=True)
class RehearsedPhase:
    """What one phase showed."""

    name: str
    saes: int
    chunk_seconds: float
    """Of a warm chunk: harvest and steps, for all SAEs of the phase."""
    chunk_tokens: int
    sae_bytes: int
    """Of one SAE's folder on disk."""
    resume_bytes: int
    """Of one resume point on disk while the phase trains, for the SAEs that train side by side; by arithmetic."""

    @property
    def tokens_per_second(self) -> float:
        """Tokens of text; every SAE sees each of them."""
        return self.chunk_tokens / self.chunk_seconds


def beginning(config: ExperimentConfig, short: ExperimentConfig, device: torch.device) -> str:
    """What is rehearsed, and what was cut."""
    cut = [
        f"{name} cut from {getattr(config, name):,} to {getattr(short, name):,}"
        for name in ("chunk_rows", "batch_tokens")
        if getattr(config, name) != getattr(short, name)
    ]
    return (
        f"Rehearsal of {config.preset} on {device}: random weights in the shape of {config.language_model}, random "
        f"rows of {config.context_length} tokens, {short.scratch.tokens // short.chunk_tokens} chunks in each phase; "
        f"products in {config.precision}."
        + (f" So that no chunk is a long wait on this device: {', '.join(cut)}." if cut else "")
    )


def measured(phase: RehearsedPhase, device: torch.device) -> str:
    """Speed of a phase, and the memory that was held at most."""
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device)
    else:  # kilobytes on Linux, bytes on macOS
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return (
        f"Measured: {_rate(phase.tokens_per_second)} tokens/s for each of {phase.saes} SAEs "
        f"({_rate(phase.saes * phase.tokens_per_second)} SAE-tokens/s), harvest included; most memory in use so far "
        f"{gigabytes(peak)}."
    )


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"  # never 0


def hours(
    config: ExperimentConfig,
    layers: Sequence[int],
    phases: Mapping[str, RehearsedPhase],
    scoring_seconds: float,
    beside: Sequence[Work] = (),
) -> str:
    """Hours of the whole run.

    Args:
        scoring_seconds: in which one SAE is scored on one row.
        beside: what it computes beside its phases, at scratch's speed.
    """
    scorings = len(config.seeds) * len(layers) * (len(layers) - 1)  # untrained at every other layer
    scorings += phases["scratch"].saes * len(config.scratch.checkpoints)
    # Checkpoint 0 of the second phase is known: a copy is read there untrained, a control starts as scratch did.
    mapped = sum(start != "copy" for start in config.starts) / len(config.starts)
    scorings += round(phases["transfer"].saes * (len(config.transfer.checkpoints) - 1 + mapped))
    tokens = {name: trained_tokens(getattr(config, name), config) for name in phases}  # of branches too
    seconds = {name: tokens[name] / phase.tokens_per_second for name, phase in phases.items()}
    seconds["evaluation"] = scorings * config.held_out_rows * scoring_seconds
    sae_seconds = 1 / (phases["scratch"].saes * phases["scratch"].tokens_per_second)  # for one token of one SAE
    seconds |= {work.name: work.sae_tokens * sae_seconds + work.row_scores * scoring_seconds for work in beside}
    lines = [f"{name:<12}{value / 3600:>12,.2f} hours" for name, value in seconds.items()]
    lines += [f"{'in all':<12}{sum(seconds.values()) / 3600:>12,.2f} hours"]
    heading = "Projected for the whole run at these speeds (on a CPU sparser SAEs are faster; evaluation: at most):"
    return "\n".join([f"\n{heading}", *lines])


def disk(config: ExperimentConfig, phases: Mapping[str, RehearsedPhase], beside: Sequence[Work] = ()) -> str:
    """Bytes that the whole run leaves on disk, and those of the resume points meanwhile."""
    saes = sum(phase.saes * len(getattr(config, name).checkpoints) for name, phase in phases.items())
    saes += sum(work.kept_saes for work in beside)
    each, resume = phases["scratch"].sae_bytes, KEPT * max(phase.resume_bytes for phase in phases.values())
    return (
        f"Disk: {saes:,} SAE folders of {gigabytes(each)}, {gigabytes(saes * each)}; while "
        f"a phase trains also {KEPT} resume points, at most {gigabytes(resume)}."
    )


def downloads(config: ExperimentConfig, shape: ModelShape) -> str:
    """What a run fetches from a hub, from sizes known by arithmetic; and what its model takes on this machine."""
    fetched = [*_fetched_model(config, shape), *_fetched_rows(config)]
    said = f"Downloads, by arithmetic: {'; '.join(fetched)}." if fetched else "Downloads: none."
    return said + _in_the_cache(config, shape)


def _fetched_model(config: ExperimentConfig, shape: ModelShape) -> list[str]:
    if not is_hub_name(config.language_model):
        return []
    weights = f"{shape.parameters:,} weights of {shape.published_bytes} bytes"
    return [f"{config.language_model}, about {gigabytes(shape.parameters * shape.published_bytes)} ({weights})"]


def _fetched_rows(config: ExperimentConfig) -> list[str]:
    if not is_data_set(config.corpus):
        return []
    tokens = config.tokens_read(max(config.scratch.tokens, config.transfer.tokens))
    tokens += config.held_out_rows * config.context_length
    return [f"{config.corpus}, {tokens:,} tokens, at most {gigabytes(tokens * TOKEN_BYTES)} before compression"]


def _in_the_cache(config: ExperimentConfig, shape: ModelShape) -> str:
    if config.language_model != SMOLLM2 and not is_gguf(Path(config.language_model)):
        return ""
    return f" In the cache: {config.language_model} in float32, {gigabytes(shape.parameters * WEIGHT_BYTES)}."
