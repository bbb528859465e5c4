"""Train any number of SAEs from one stream of activations, resumably.

In: plans (which layer, which start, which learning rate), a language model and training rows. Out: SAE folders on a
grid of token counts, a log of training metrics, and wall times. On a CPU each SAE trains on one thread. An SAE's
outcome does not depend on who trains beside it, on the number of threads, nor on how often the run was killed: all
tested bit for bit.
"""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.language.precision import matrix_products
from saelib.run.progress import progress
from saelib.run.resume import KEPT, ResumePoint, newest_resume_point, save_resume_point
from saelib.run.threads import one_thread_each
from saelib.run.timing import write_interval
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.folder import save_sae
from saelib.sae.training.harvest import harvesting
from saelib.sae.training.plan import PhaseFolders, SaePlan, start_sae
from saelib.sae.training.resume_writer import ResumeWriter
from saelib.sae.training.schedule import schedule
from saelib.sae.training.trainee import METRICS, Trainee, new_trainee

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
    rows_per_pass: int | None = None,
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
        rows_per_pass: rows that the language model reads at once; what suits the device if not given.

    Returns:
        One row for each SAE, checkpoint and metric: the metric's mean over the interval that ends at `tokens`.

    Raises:
        FloatingPointError: a loss or gradient is not finite; names the step, the SAE and the last good resume point.
        ValueError: the resume point was made by other plans, another config or another version.
    """
    fingerprint = json.dumps([config.sha256(), phase.as_dict(), [asdict(plan) for plan in plans]], sort_keys=True)
    trainees = [new_trainee(plan, start_sae(plan, model, config, folders), config) for plan in plans]
    # PyTorch's setting for products is the process's: each thread must find it, and leave it, as all the others do.
    with matrix_products("float32", model.device), one_thread_each() as pool, ResumeWriter() as writer:
        state = _PhaseState(trainees, phase, model, config, folders, fingerprint, origin or {}, writer)
        if resume_point := newest_resume_point(folders.resume):
            state.restore(resume_point)
        else:
            state.keep_weights()
        layers = sorted({plan.sae_layer for plan in plans})
        harvester = harvesting(model, rows, phase, config, layers, pool, rows_per_pass)
        saved, done, size = time.monotonic(), state.tokens * len(plans), phase.tokens * len(plans)
        with progress(folders.resume.name, size, done, "SAE-token") as advance:
            while state.tokens < phase.tokens:
                state.train_chunk(harvester.take(state.tokens // config.chunk_tokens), layers, pool)
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
        writer: ResumeWriter,
    ) -> None:
        self.trainees, self.phase, self.model, self.config = trainees, phase, model, config
        self.folders, self.fingerprint, self.origin, self.writer = folders, fingerprint, origin, writer
        self.tokens, self.stopped = 0, False
        self.log: list[dict[str, Any]] = []
        self.sums = torch.zeros(len(trainees), len(METRICS), dtype=torch.float64)
        self.summed_steps = 0
        self.saved_tokens, self.clock = 0, time.perf_counter()

    def train_chunk(
        self, activations: Float[Tensor, "layers tokens d_model"], layers: Sequence[int], pool: Executor
    ) -> None:
        """All steps of one chunk; what they measured is read once, at its end."""
        streams = [activations[layers.index(trainee.plan.sae_layer)] for trainee in self.trainees]
        if self.model.device.type == "cpu":
            values = torch.stack(self._side_by_side(pool, streams))
        else:  # one after the other, each filling the device
            with matrix_products(self.config.precision, self.model.device):
                values = torch.stack(list(map(self._steps, self.trainees, streams))).cpu()
        self._refuse_non_finite(values)
        self.sums += values[:, :, : len(METRICS)].double().sum(1)
        self.summed_steps += values.shape[1]
        self.tokens += self.config.chunk_tokens

    def _side_by_side(
        self, pool: Executor, streams: list[Float[Tensor, "tokens d_model"]]
    ) -> list[Float[Tensor, "steps 5"]]:
        """Every SAE's steps of a chunk; after Ctrl-C or an error each thread ends with the step that it is at."""
        try:
            return list(pool.map(self._steps, self.trainees, streams))
        except BaseException:
            self.stopped = True
            raise

    def _steps(self, trainee: Trainee, activations: Float[Tensor, "tokens d_model"]) -> Float[Tensor, "steps 5"]:
        """One SAE's steps of a chunk."""
        first_step, steps = (tokens // self.config.batch_tokens for tokens in (self.tokens, self.phase.tokens))
        return torch.stack(
            [
                trainee.step(batch, *schedule(step, steps, self.config), self.config.gradient_clip)
                for step, batch in enumerate(activations.split(self.config.batch_tokens), start=first_step)
                if not self.stopped
            ]
        )

    def _refuse_non_finite(self, values: Float[Tensor, "saes steps 5"]) -> None:
        bad = (~values.isfinite()).any(2).T.nonzero()
        if len(bad):
            step, index = bad[0].tolist()
            self.writer.wait()
            last_good = newest_resume_point(self.folders.resume)
            raise FloatingPointError(
                f"loss or gradient of {self.trainees[index].plan.name} is not finite at step "
                f"{self.tokens // self.config.batch_tokens + step}; "
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
        """Make a resume point, and note the wall time since the last one; a finished phase needs no weights in it."""
        finished = self.tokens == self.phase.tokens
        tensors = {"sums": self.sums}
        for i, trainee in enumerate([] if finished else self.trainees):
            tensors |= {f"{i}.{name}": value for name, value in trainee.state().items()}
        values = {"tokens": self.tokens, "log": list(self.log), "fingerprint": self.fingerprint}
        values |= {"summed_steps": self.summed_steps}
        kept = 1 if finished else KEPT
        self.writer.save(
            tensors, partial(save_resume_point, self.folders.resume, self.tokens, progress=values, kept=kept)
        )
        now = time.perf_counter()
        line = {"phase": self.folders.resume.name, "device": str(self.model.device), "seconds": now - self.clock}
        line |= {"saes": len(self.trainees), "from_tokens": self.saved_tokens, "to_tokens": self.tokens}
        write_interval(self.folders.resume, line)
        self.clock, self.saved_tokens = now, self.tokens

    def restore(self, resume_point: ResumePoint) -> None:
        """Go on from a resume point."""
        if resume_point.progress["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{resume_point.folder} was made with another config, other SAEs or an older saelib; "
                f"choose another run name"
            )
        finished = resume_point.progress["tokens"] == self.phase.tokens
        for i, trainee in enumerate([] if finished else self.trainees):
            mine = {key: value for key, value in resume_point.tensors.items() if key.startswith(f"{i}.")}
            trainee.restore({key.partition(".")[2]: value for key, value in mine.items()})
        self.sums = resume_point.tensors["sums"]
        self.tokens = self.saved_tokens = resume_point.progress["tokens"]
        self.summed_steps, self.log = resume_point.progress["summed_steps"], resume_point.progress["log"]
