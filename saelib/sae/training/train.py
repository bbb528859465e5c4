"""Train any number of SAEs from one stream of activations, resumably.

In: plans (which layer, which start, which learning rate), a language model and training rows. Out: SAE folders on a
grid of token counts, a log of training metrics, and wall times. On a CPU each SAE trains on one thread, its branches
with it. An SAE's outcome does not depend on who trains beside it, on the number of threads, nor on how often the run
was killed: all tested bit for bit.
"""

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict
from itertools import repeat
from typing import TYPE_CHECKING, Any, NoReturn

from jaxtyping import Float
from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.language.precision import matrix_products
from saelib.run.identity import INPUTS, check_inputs
from saelib.run.progress import progress
from saelib.run.resume import KEPT, ResumePoint, newest_resume_point, save_resume_point
from saelib.run.threads import one_thread_each
from saelib.run.timing import write_interval
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.folder import save_sae
from saelib.sae.training.course import Course, Kept
from saelib.sae.training.harvest import harvesting
from saelib.sae.training.plan import PhaseFolders, SaePlan, start_sae
from saelib.sae.training.resume_writer import ResumeWriter

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
    origin: Mapping[str, str | bool] | None = None,
    resume_seconds: float = RESUME_SECONDS,
    rows_per_pass: int | None = None,
    inputs: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Train all plans on the same batches, or finish a run that was interrupted.

    Weights go to `folders.sae(arm, layer, seed, tokens)` at every token count of `phase.checkpoints`; what is kept
    there `config.schedule` says (see `course`).

    Args:
        plans: which SAEs, from which start; all with the same order of the data.
        phase: how long, how fast, and at which token counts weights are kept.
        model: whose residual streams they learn.
        rows: the text; the chunk number alone decides which rows are read.
        config: sizes and rates that all of them share.
        folders: where SAEs and resume points lie.
        origin: what SAELens keeps beside an SAE's config about model and text: `model_name`, `dataset_path`,
            `prepend_bos`.
        resume_seconds: between resume points.
        rows_per_pass: rows that the language model reads at once; what suits the device if not given.
        inputs: content of model and text by a name; kept beside each SAE, and a resume point of others is refused.

    Returns:
        One row for each SAE, checkpoint and metric: the metric's mean over the interval that ends at `tokens`; by the
        schedule "wsd" over the decay that ends there.

    Raises:
        FloatingPointError: a loss or gradient is not finite; names the step, the SAE and the last good resume point.
        ValueError: the resume point was made by other plans, another config or another version; or plans differ in
            their order of the data.
        FileExistsError: the resume point was made from other inputs.
    """
    data_seed = _one_order(plans)
    fingerprint = json.dumps([config.sha256(), phase.as_dict(), [_described(plan) for plan in plans]], sort_keys=True)
    # PyTorch's setting for products is the process's: each thread must find it, and leave it, as all the others do.
    with matrix_products("float32", model.device), one_thread_each() as pool, ResumeWriter() as writer:
        courses = [Course(plan, start_sae(plan, model, config, folders), phase, config) for plan in plans]
        state = _PhaseState(courses, phase, model, config, folders, fingerprint, origin or {}, writer, inputs or {})
        if resume_point := newest_resume_point(folders.resume):
            state.restore(resume_point)
        else:
            state.keep_starts()
        layers = sorted({plan.sae_layer for plan in plans})
        harvester = harvesting(model, rows, phase, config, data_seed, layers, pool, rows_per_pass)
        saved, done, size = time.monotonic(), state.tokens * len(plans), phase.tokens * len(plans)
        with progress(folders.resume.name, size, done, "SAE-token") as advance:
            while state.tokens < phase.tokens:
                state.train_chunk(harvester.take(state.tokens // config.chunk_tokens), layers, pool)
                state.keep_weights()
                if state.tokens == phase.tokens or time.monotonic() - saved >= resume_seconds:
                    state.save()
                    saved = time.monotonic()
                advance(config.chunk_tokens * len(plans))
    return state.log


def _one_order(plans: Sequence[SaePlan]) -> int:
    """The order of the data that all plans have."""
    seeds = {plan.data_seed for plan in plans}
    if len(seeds) != 1:
        raise ValueError(f"data_seed={sorted(seeds)}: what trains side by side reads one stream; call `train` for each")
    return seeds.pop()


def _described(plan: SaePlan) -> dict[str, Any]:
    """A plan as resume points know it: one without a lambda of its own, as before plans had any."""
    return {name: value for name, value in asdict(plan).items() if name != "l1_coefficient" or value is not None}


def _skipped(positions: int) -> dict[str, Any]:
    """Positions that were left out, as metadata: by our name, and as SAELens slices a row."""
    return {"skip_first": positions, "seqpos_slice": [positions, None]} if positions else {}


class _PhaseState:
    """The state of a phase between chunks: courses, counters and the log."""

    def __init__(
        self,
        courses: list[Course],
        phase: TrainingPhase,
        model: "LanguageModel",
        config: TrainingConfig,
        folders: PhaseFolders,
        fingerprint: str,
        origin: Mapping[str, str | bool],
        writer: ResumeWriter,
        inputs: Mapping[str, str],
    ) -> None:
        self.courses, self.phase, self.model, self.config = courses, phase, model, config
        self.folders, self.fingerprint, self.origin, self.writer = folders, fingerprint, origin, writer
        self.inputs = dict(inputs)
        self.tokens = self.sae_tokens = 0
        self.log: list[dict[str, Any]] = []
        self.saved_tokens, self.clock = 0, time.perf_counter()

    def train_chunk(
        self, activations: Float[Tensor, "layers tokens d_model"], layers: Sequence[int], pool: Executor
    ) -> None:
        """All steps of one chunk; what they measured is read once, at its end."""
        streams = [activations[layers.index(course.plan.sae_layer)] for course in self.courses]
        if self.model.device.type == "cpu":
            self._side_by_side(pool, streams)
        else:  # one after the other, each filling the device
            for course, stream in zip(self.courses, streams, strict=True):
                course.train(stream, self.step)
        self._read()
        self.tokens += self.config.chunk_tokens

    @property
    def step(self) -> int:
        """The next one, counted from 0."""
        return self.tokens // self.config.batch_tokens

    def _side_by_side(self, pool: Executor, streams: list[Float[Tensor, "tokens d_model"]]) -> None:
        """Every SAE's steps of a chunk; after Ctrl-C or an error each thread ends with the step that it is at."""
        try:
            list(pool.map(Course.train, self.courses, streams, repeat(self.step)))
        except BaseException:
            for course in self.courses:
                course.stopped = True
            raise

    def _read(self) -> None:
        """What the chunk's steps measured; a value that is not finite ends the training, the first one by its name."""
        bad: list[tuple[int, SaePlan]] = []
        for course in self.courses:
            for strand in course.strands:
                measured = strand.read()
                self.sae_tokens += len(measured.steps) * self.config.batch_tokens
                bad += [(measured.steps[i], course.plan) for i in (~measured.values.isfinite()).any(1).nonzero()]
        if bad:
            self._refuse(*min(bad, key=lambda found: found[0]))

    def _refuse(self, step: int, plan: SaePlan) -> NoReturn:
        self.writer.wait()
        last_good = newest_resume_point(self.folders.resume)
        raise FloatingPointError(
            f"loss or gradient of {plan.name} is not finite at step {step}; "
            f"last good resume point: {last_good.folder if last_good else 'none'}. Lower its learning rate "
            f"({plan.learning_rate:g}) and start a new run"
        )

    def keep_starts(self) -> None:
        """Write every SAE's folder at token 0."""
        for course in self.courses:
            self._write(course.plan, Kept(0, course.trunk.trainee.sae, {}))

    def keep_weights(self) -> None:
        """Write the folders of all SAEs that are at a checkpoint, and their lines of the log."""
        for course in self.courses:
            for kept in course.keep(self.tokens):
                self._write(course.plan, kept)

    def _write(self, plan: SaePlan, kept: Kept) -> None:
        coefficient = self.config.l1_coefficient if plan.l1_coefficient is None else plan.l1_coefficient
        save_sae(
            kept.sae,
            self.folders.sae(plan.arm, plan.sae_layer, plan.seed, kept.tokens),
            metadata={
                **self.origin,
                "hook_name": f"blocks.{plan.sae_layer}.hook_resid_post",
                "context_size": self.config.context_length,
                **_skipped(self.config.skip_first),
            },
            lineage=asdict(plan)
            | {"l1_coefficient": coefficient, "tokens": kept.tokens}
            | {"config_sha256": self.config.sha256(), INPUTS: self.inputs},
        )
        keys = ("arm", "start", "source_layer", "sae_layer", "seed", "data_seed")
        row = {key: getattr(plan, key) for key in keys} | {"act_layer": plan.sae_layer, "tokens": kept.tokens}
        row |= {"l1_coefficient": coefficient}
        self.log += [row | {"metric": metric, "value": value} for metric, value in kept.means.items()]

    def save(self) -> None:
        """Make a resume point, and note the wall time since the last one; a finished phase needs no weights in it."""
        tokens, finished, folder = self.tokens, self.tokens == self.phase.tokens, self.folders.resume
        tensors = {
            f"{i}.{name}": value
            for i, course in enumerate([] if finished else self.courses)
            for name, value in course.state().items()
        }
        values = {"tokens": tokens, "log": list(self.log), "fingerprint": self.fingerprint}
        values |= {INPUTS: self.inputs}
        now = time.perf_counter()
        line = {"phase": folder.name, "device": str(self.model.device), "seconds": now - self.clock}
        line |= {"saes": len(self.courses), "from_tokens": self.saved_tokens, "to_tokens": tokens}
        line |= {"sae_tokens": self.sae_tokens}
        self.clock, self.saved_tokens, self.sae_tokens = now, tokens, 0

        def write(copies: dict[str, Tensor]) -> None:
            save_resume_point(folder, tokens, copies, progress=values, kept=1 if finished else KEPT)
            write_interval(folder, line)  # once the point is there: what is lost is trained again, and timed again

        self.writer.save(tensors, write)

    def restore(self, resume_point: ResumePoint) -> None:
        """Go on from a resume point."""
        if resume_point.progress["fingerprint"] != self.fingerprint:
            raise ValueError(
                f"{resume_point.folder} was made with another config, other SAEs or an older saelib; "
                f"choose another run name"
            )
        check_inputs(f"{resume_point.folder} was", resume_point.progress.get(INPUTS, {}), self.inputs)
        finished = resume_point.progress["tokens"] == self.phase.tokens
        for i, course in enumerate([] if finished else self.courses):
            mine = {key: value for key, value in resume_point.tensors.items() if key.startswith(f"{i}.")}
            course.restore({key.partition(".")[2]: value for key, value in mine.items()})
        self.tokens = self.saved_tokens = resume_point.progress["tokens"]
        self.log = resume_point.progress["log"]
