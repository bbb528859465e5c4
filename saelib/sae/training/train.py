"""Train any number of SAEs from one stream of activations, resumably.

In: plans (which layer, which start, which learning rate), a language model and training rows. Out: SAE folders on a
grid of token counts, a log of training metrics, and wall times. An SAE's outcome does not depend on who trains
beside it, nor on how often the run was killed: both are tested bit for bit.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.run.progress import progress
from saelib.run.resume import ResumePoint, newest_resume_point, save_resume_point
from saelib.run.timing import write_interval
from saelib.sae.activations import batches, chunk_activations, chunk_order
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.folder import save_sae
from saelib.sae.training.plan import PhaseFolders, SaePlan, start_sae
from saelib.sae.training.schedule import schedule
from saelib.sae.training.trainee import METRICS, Trainee

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

RESUME_SECONDS = 120.0  # between resume points; what they hold does not depend on when they are made


def train(
    plans: Sequence[SaePlan],
    phase: TrainingPhase,
    model: "LanguageModel",
    rows: TokenRows,
    config: TrainingConfig,
    folders: PhaseFolders,
    origin: Mapping[str, str] | None = None,
    resume_seconds: float = RESUME_SECONDS,
) -> list[dict[str, Any]]:
    """Train all plans on the same batches, or finish a run that was interrupted.

    Weights go to `folders.sae(arm, layer, seed, tokens)` at every token count of `phase.checkpoints`.

    Args:
        plans: which SAEs, from which start.
        phase: how long, how fast, and at which token counts weights are kept.
        model: whose residual streams they learn.
        rows: the text; the chunk number alone decides which rows are read.
        config: sizes and rates that all of them share.
        folders: where SAEs and resume points lie.
        origin: what SAELens keeps beside an SAE's config about model and text: `model_name`, `dataset_path`.
        resume_seconds: between resume points.

    Returns:
        One row for each SAE, checkpoint and metric: the metric's mean over the interval that ends at `tokens`.

    Raises:
        FloatingPointError: a loss or gradient is not finite; names the step, the SAE and the last good resume point.
        ValueError: the resume point was made by other plans or another config.
    """
    fingerprint = json.dumps([config.sha256(), phase.as_dict(), [asdict(plan) for plan in plans]], sort_keys=True)
    trainees = [Trainee(plan, start_sae(plan, model, config, folders), config) for plan in plans]
    state = _PhaseState(trainees, phase, model, config, folders, fingerprint, origin or {})
    if resume_point := newest_resume_point(folders.resume):
        state.restore(resume_point)
    else:
        state.keep_weights()
    layers = sorted({plan.sae_layer for plan in plans})
    saved = time.monotonic()
    with progress(folders.resume.name, phase.tokens * len(plans), state.tokens * len(plans), "SAE-token") as advance:
        while state.tokens < phase.tokens:
            chunk = state.tokens // config.chunk_tokens
            activations = chunk_activations(model, rows, chunk, config, layers)
            state.train_chunk(activations, chunk_order(config.seed, chunk, config.chunk_tokens), layers)
            if state.tokens in phase.checkpoints:
                state.keep_weights()
            if state.tokens == phase.tokens or time.monotonic() - saved >= resume_seconds:
                state.save()
                saved = time.monotonic()
            advance(config.chunk_tokens * len(plans))
    return state.log


class _PhaseState:
    """The state of a phase between chunks: trainees, counters, sums and the log."""

    def __init__(
        self,
        trainees: list[Trainee],
        phase: TrainingPhase,
        model: "LanguageModel",
        config: TrainingConfig,
        folders: PhaseFolders,
        fingerprint: str,
        origin: Mapping[str, str],
    ) -> None:
        self.trainees, self.phase, self.model, self.config = trainees, phase, model, config
        self.folders, self.fingerprint, self.origin = folders, fingerprint, origin
        self.tokens = 0
        self.log: list[dict[str, Any]] = []
        self.sums = torch.zeros(len(trainees), len(METRICS), dtype=torch.float64)
        self.summed_steps = 0
        self.saved_tokens, self.clock = 0, time.perf_counter()

    def train_chunk(self, activations: Tensor, order: Tensor, layers: list[int]) -> None:
        """All steps of one chunk; what they measured is read once, at its end."""
        first_step, steps = (tokens // self.config.batch_tokens for tokens in (self.tokens, self.phase.tokens))
        measured = []
        with _matmul_precision(self.config.matmul_precision):
            for step, batch in enumerate(batches(activations, order, self.config.batch_tokens), start=first_step):
                l1_coefficient, rate_factor = schedule(step, steps, self.config)
                for trainee in self.trainees:
                    x = batch[layers.index(trainee.plan.sae_layer)]
                    measured.append(trainee.step(x, l1_coefficient, rate_factor, self.config.gradient_clip))
        values = torch.stack(measured).unflatten(0, (-1, len(self.trainees))).cpu()
        self._refuse_non_finite(values, first_step)
        self.sums += values[:, :, : len(METRICS)].double().sum(0)
        self.summed_steps += len(values)
        self.tokens += self.config.chunk_tokens

    def _refuse_non_finite(self, values: Tensor, first_step: int) -> None:
        bad = (~values.isfinite()).any(2).nonzero()
        if len(bad):
            step, index = bad[0].tolist()
            last_good = newest_resume_point(self.folders.resume)
            raise FloatingPointError(
                f"loss or gradient of {self.trainees[index].plan.name} is not finite at step {first_step + step}; "
                f"last good resume point: {last_good.folder if last_good else 'none'}. Lower its learning rate "
                f"({self.trainees[index].plan.learning_rate:g}) and start a new run"
            )

    def keep_weights(self) -> None:
        """Write every SAE's folder at this token count, and close the log's interval."""
        for trainee, sums in zip(self.trainees, self.sums.tolist(), strict=True):
            plan = trainee.plan
            save_sae(
                trainee.sae,
                self.folders.sae(plan.arm, plan.sae_layer, plan.seed, self.tokens),
                metadata={
                    **self.origin,
                    "hook_name": f"blocks.{plan.sae_layer}.hook_resid_post",
                    "context_size": self.config.context_length,
                },
                lineage=asdict(plan) | {"tokens": self.tokens, "config_sha256": self.config.sha256()},
            )
            for metric, total in zip(METRICS, sums, strict=True):
                if self.summed_steps:
                    row = {"arm": plan.arm, "source_layer": plan.source_layer, "sae_layer": plan.sae_layer}
                    row |= {"act_layer": plan.sae_layer, "seed": plan.seed, "tokens": self.tokens}
                    self.log.append(row | {"metric": metric, "value": total / self.summed_steps})
        self.sums.zero_()
        self.summed_steps = 0

    def save(self) -> None:
        """Make a resume point, and note the wall time since the last one."""
        tensors = {
            f"{i}.{name}": value for i, trainee in enumerate(self.trainees) for name, value in trainee.state().items()
        }
        values = {"tokens": self.tokens, "log": self.log, "fingerprint": self.fingerprint}
        tensors["sums"] = self.sums
        save_resume_point(self.folders.resume, self.tokens, tensors, values | {"summed_steps": self.summed_steps})
        now = time.perf_counter()
        line = {"phase": self.folders.resume.name, "device": str(self.model.device), "seconds": now - self.clock}
        line |= {"saes": len(self.trainees), "from_tokens": self.saved_tokens, "to_tokens": self.tokens}
        write_interval(self.folders.resume, line)
        self.clock, self.saved_tokens = now, self.tokens

    def restore(self, resume_point: ResumePoint) -> None:
        """Go on from a resume point."""
        if resume_point.progress["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{resume_point.folder} was made with another config or other SAEs; choose another run name"
            )
        for i, trainee in enumerate(self.trainees):
            prefix = f"{i}."
            trainee.restore(
                {
                    key.removeprefix(prefix): value
                    for key, value in resume_point.tensors.items()
                    if key.startswith(prefix)
                }
            )
        self.sums = resume_point.tensors["sums"]
        self.tokens = self.saved_tokens = resume_point.progress["tokens"]
        self.summed_steps, self.log = resume_point.progress["summed_steps"], resume_point.progress["log"]


@contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    """PyTorch's setting for float32 matrix products, for a while."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
