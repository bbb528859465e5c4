"""Train any number of SAEs from one stream of activations, resumably.

In: plans (which layer, which start, which learning rate), a language model and training rows. Out: SAE folders on a
grid of token counts, a log of training metrics, and wall times. An SAE's outcome does not depend on who trains
beside it, nor on how often the run was killed: both are tested bit for bit.
"""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from saelib.language.corpus.load import TokenRows
from saelib.run.progress import progress
from saelib.run.resume import Checkpoint, load_checkpoint, save_checkpoint
from saelib.sae.activations import batches, chunk_activations, chunk_order
from saelib.sae.folder import save_sae
from saelib.sae.training.trainee import METRICS, PhaseFolders, SaePlan, Trainee, start_sae
from saelib.transfer.config import ExperimentConfig, TrainingPhase

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

RESUME_SECONDS = 120.0  # between resume points; what they hold does not depend on when they are made


def train(
    plans: Sequence[SaePlan],
    phase: TrainingPhase,
    model: "LanguageModel",
    rows: TokenRows,
    config: ExperimentConfig,
    folders: PhaseFolders,
    resume_seconds: float = RESUME_SECONDS,
) -> list[dict[str, Any]]:
    """Train all plans on the same batches, or finish a run that was interrupted.

    Weights go to `folders.sae(arm, layer, seed, tokens)` at every token count of `phase.checkpoints`.

    Returns:
        One row for each SAE, checkpoint and metric: the metric's mean over the interval that ends at `tokens`.

    Raises:
        FloatingPointError: a loss or gradient is not finite; names the step, the SAE and the last good checkpoint.
        ValueError: the resume point was made by other plans or another config.
    """
    fingerprint = json.dumps([config.sha256(), asdict(phase), [asdict(plan) for plan in plans]], sort_keys=True)
    checkpoint = load_checkpoint(folders.resume)
    trainees = [Trainee(plan, start_sae(plan, model, config, folders), config) for plan in plans]
    run = _Run(trainees, phase, model, config, folders, fingerprint)
    if checkpoint:
        run.restore(checkpoint)
    else:
        run.keep_weights()
    layers = sorted({plan.sae_layer for plan in plans})
    saved = time.monotonic()
    with progress(folders.resume.name, phase.tokens * len(plans), run.tokens * len(plans), "SAE-token") as advance:
        while run.tokens < phase.tokens:
            chunk = run.tokens // config.chunk_tokens
            activations = chunk_activations(model, rows, chunk, config, layers)
            run.train_chunk(activations, chunk_order(config.seed, chunk, config.chunk_tokens), layers)
            if run.tokens in phase.checkpoints:
                run.keep_weights()
            if run.tokens == phase.tokens or time.monotonic() - saved >= resume_seconds:
                run.save()
                saved = time.monotonic()
            advance(config.chunk_tokens * len(plans))
    return run.log


class _Run:
    """The state of a phase between chunks: trainees, counters, sums and the log."""

    def __init__(
        self,
        trainees: list[Trainee],
        phase: TrainingPhase,
        model: "LanguageModel",
        config: ExperimentConfig,
        folders: PhaseFolders,
        fingerprint: str,
    ) -> None:
        self.trainees, self.phase, self.model, self.config = trainees, phase, model, config
        self.folders, self.fingerprint = folders, fingerprint
        self.tokens = 0
        self.log: list[dict[str, Any]] = []
        self.sums = torch.zeros(len(trainees), len(METRICS), dtype=torch.float64)
        self.summed_steps = 0
        self.saved_tokens, self.clock = 0, time.perf_counter()

    def train_chunk(self, activations: Tensor, order: Tensor, layers: list[int]) -> None:
        """All steps of one chunk; what they measured is read once, at its end."""
        first_step = self.tokens // self.config.batch_tokens
        measured = []
        with _matmul_precision(self.config.matmul_precision):
            for step, batch in enumerate(batches(activations, order, self.config.batch_tokens), start=first_step):
                l1_coefficient, rate_factor = self.schedule(step)
                for trainee in self.trainees:
                    x = batch[layers.index(trainee.plan.sae_layer)]
                    measured.append(trainee.step(x, l1_coefficient, rate_factor, self.config.gradient_clip))
        steps = torch.stack(measured).unflatten(0, (-1, len(self.trainees))).cpu()
        self._refuse_non_finite(steps, first_step)
        self.sums += steps[:, :, : len(METRICS)].double().sum(0)
        self.summed_steps += len(steps)
        self.tokens += self.config.chunk_tokens

    def schedule(self, step: int) -> tuple[float, float]:
        """lambda and the factor of the learning rate at a step, counted from 0 (as SAELens 3.14 has them)."""
        steps = self.phase.tokens // self.config.batch_tokens
        warm_up = int(self.config.l1_warm_up_share * steps)
        decay = int(self.config.learning_rate_decay_share * steps)
        rising = min(1.0, step / warm_up) if warm_up else 1.0
        falling = min(1.0, (steps - step) / decay) if decay else 1.0
        return self.config.l1_coefficient * rising, falling

    def _refuse_non_finite(self, steps: Tensor, first_step: int) -> None:
        bad = (~steps.isfinite()).any(2).nonzero()
        if len(bad):
            step, index = bad[0].tolist()
            last_good = load_checkpoint(self.folders.resume)
            raise FloatingPointError(
                f"loss or gradient of {self.trainees[index].plan.name} is not finite at step {first_step + step}; "
                f"last good checkpoint: {last_good.folder if last_good else 'none'}. Lower its learning rate "
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
                    "model_name": self.config.language_model,
                    "hook_name": f"blocks.{plan.sae_layer}.hook_resid_post",
                    "context_size": self.config.context_length,
                    "dataset_path": self.config.corpus,
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
        save_checkpoint(self.folders.resume, self.tokens, tensors, values | {"summed_steps": self.summed_steps})
        now = time.perf_counter()
        line = {"phase": self.folders.resume.name, "device": str(self.model.device), "seconds": now - self.clock}
        line |= {"saes": len(self.trainees), "from_tokens": self.saved_tokens, "to_tokens": self.tokens}
        with (self.folders.resume / "timing.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self.clock, self.saved_tokens = now, self.tokens

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a resume point."""
        if checkpoint.progress["fingerprint"] != self.fingerprint:
            raise ValueError(f"{checkpoint.folder} was made with another config or other SAEs; choose another run name")
        for i, trainee in enumerate(self.trainees):
            prefix = f"{i}."
            trainee.restore(
                {key.removeprefix(prefix): value for key, value in checkpoint.tensors.items() if key.startswith(prefix)}
            )
        self.sums = checkpoint.tensors["sums"]
        self.tokens = self.saved_tokens = checkpoint.progress["tokens"]
        self.summed_steps, self.log = checkpoint.progress["summed_steps"], checkpoint.progress["log"]


@contextmanager
def _matmul_precision(precision: str) -> Iterator[None]:
    """PyTorch's setting for float32 matrix products, for a while."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
