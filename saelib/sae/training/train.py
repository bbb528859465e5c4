"""Train any number of SAEs from one stream of activations, resumably.

In: plans (which layer, which start, which learning rate), a language model and training rows. Out: SAE folders on a
grid of token counts, a log of training metrics, and wall times. On a CPU each SAE trains on one thread, its branches
with it. An SAE's outcome does not depend on who trains beside it, nor on who diverges there, on the number of threads,
nor on how often the run was killed: all tested bit for bit.
"""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from saelib.language.corpus.rows import TokenRows
from saelib.language.precision import matrix_products
from saelib.run.identity import INPUTS, check_inputs
from saelib.run.progress import progress
from saelib.run.reading import naming_damage
from saelib.run.resume import KEPT, Interval, ResumePoint, newest_resume_point, save_resume_point, settle
from saelib.run.threads import one_thread_each
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.training.courses import Courses
from saelib.sae.training.fingerprint import changes, deciding, fingerprint
from saelib.sae.training.harvest import harvesting
from saelib.sae.training.keeping import Keeper
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.resume_writer import ResumeWriter

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

RESUME_SECONDS = 120.0  # between resume points; what they hold does not depend on when they are made
FINGERPRINT, CONFIG = "fingerprint", "config"  # in a resume point's progress


def train(
    plans: Sequence[SaePlan],
    phase: TrainingPhase,
    model: "LanguageModel",
    rows: TokenRows,
    config: TrainingConfig,
    folders: PhaseFolders,
    origin: Mapping[str, str | bool | int] | None = None,
    resume_seconds: float = RESUME_SECONDS,
    rows_per_pass: int | None = None,
    inputs: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Train all plans on the same batches, or finish a run that was interrupted.

    Weights go to `folders.sae(arm, layer, seed, tokens)` at every token count of `phase.checkpoints`; what is kept
    there `config.schedule` says (see `course`). An SAE that diverges is stopped alone: it has no folder from then on,
    but a note `diverged.json` beside those that it has; a transfer whose source diverged is not trained.

    Args:
        plans: which SAEs, from which start; all with the same order of the data.
        phase: how long, how fast, and at which token counts weights are kept.
        model: whose residual streams they learn.
        rows: the text; the chunk number alone decides which rows are read.
        config: sizes and rates that all of them share.
        folders: where SAEs and resume points lie.
        origin: what SAELens keeps beside an SAE's config about model and text: `model_name`, `dataset_path`,
            `prepend_bos`; and `sink_token` and `sink_token_id` where every row begins with one.
        resume_seconds: between resume points.
        rows_per_pass: rows that the language model reads at once; what suits the device if not given.
        inputs: content of model and text by a name; kept beside each SAE, and a resume point of others is refused.

    Returns:
        One row for each SAE, checkpoint and metric: the metric's mean over the interval that ends at `tokens`; by the
        schedule "wsd" over the decay that ends there. Where an SAE has diverged by then the value is NaN, and the row
        has one entry more, `diverged_at_step`: the step, counted from 0, whose loss, gradient or outcome was not
        finite, or 0 where its source diverged.

    Raises:
        DivergedError: no SAE is left; a FloatingPointError that names the first, its step and the last good resume
            point.
        FloatingPointError: activations are not finite; names the step, the model and its layer.
        ValueError: the resume point was made by other plans or another config, which the message names; plans differ in
            their order of the data; checkpoints do not fit the config; or the first activations are not finite, or 0.
        FileExistsError: the resume point was made from other inputs.
    """
    data_seed = _one_order(plans)
    config.check_phases(phase=phase)
    # PyTorch's setting for products is the process's: each thread must find it, and leave it, as all the others do.
    with matrix_products("float32", model.device), one_thread_each() as pool, ResumeWriter() as writer:
        keeper = Keeper(folders, config, origin or {}, inputs or {})
        training = _Resumable(plans, phase, model, config, keeper, writer)
        courses = training.courses
        harvester = harvesting(model, rows, phase, config, data_seed, courses.layers, pool, rows_per_pass)
        saved, done, size = time.monotonic(), courses.tokens * len(plans), phase.tokens * len(plans)
        with progress(folders.resume.name, size, done, "SAE-token") as advance:
            for chunk in range(courses.tokens // config.chunk_tokens, phase.tokens // config.chunk_tokens):
                courses.train_chunk(harvester.take(chunk), pool)
                if courses.tokens == phase.tokens or time.monotonic() - saved >= resume_seconds:
                    training.save()
                    saved = time.monotonic()
                advance(config.chunk_tokens * len(plans))
        courses.warn_of_dead()
    return keeper.rows


def _one_order(plans: Sequence[SaePlan]) -> int:
    """The order of the data that all plans have."""
    seeds = {plan.data_seed for plan in plans}
    if len(seeds) != 1:
        raise ValueError(f"data_seed={sorted(seeds)}: what trains side by side reads one stream; call `train` for each")
    return seeds.pop()


class _Resumable:
    """The courses of a phase, and resume points of them."""

    def __init__(
        self,
        plans: Sequence[SaePlan],
        phase: TrainingPhase,
        model: "LanguageModel",
        config: TrainingConfig,
        keeper: Keeper,
        writer: ResumeWriter,
    ) -> None:
        """At token 0, or where the newest resume point goes on."""
        self.phase, self.device, self.config, self.keeper, self.writer = phase, model.device, config, keeper, writer
        self.folder = keeper.folders.resume
        self.fingerprint = fingerprint(plans, phase, config)
        self.intervals: list[Interval] = []
        if found := newest_resume_point(self.folder):
            self._check_same(found)
        self.courses = Courses(plans, phase, model, config, keeper, self.last_good)
        if found:
            self._take_over(found)
        self.saved_tokens, self.clock = self.courses.tokens, time.perf_counter()

    def last_good(self) -> str:
        """The resume point from which training could go on, for messages."""
        self.writer.wait()
        found = newest_resume_point(self.folder)
        return f"last good resume point: {found.folder if found else 'none'}"

    def save(self) -> None:
        """Make a resume point, and note the wall time since the last one; a finished phase needs no weights in it."""
        tokens, folder, kept = self.courses.tokens, self.folder, self._kept
        values = {"tokens": tokens, "log": list(self.keeper.log), FINGERPRINT: self.fingerprint}
        values |= {CONFIG: deciding(self.config), INPUTS: self.keeper.inputs}
        self._note_time(tokens)
        intervals = list(self.intervals)  # in the point: what a kill takes is trained again, and timed again

        def write(copies: dict[str, Tensor]) -> None:
            save_resume_point(folder, tokens, copies, values, kept=kept, intervals=intervals)

        self.writer.save({} if self._is_finished else self.courses.state(), write)

    @property
    def _is_finished(self) -> bool:
        return self.courses.tokens == self.phase.tokens

    @property
    def _kept(self) -> int:
        """Resume points that are kept, with the newest; a finished phase needs no second one."""
        return 1 if self._is_finished else KEPT

    def _note_time(self, tokens: int) -> None:
        now = time.perf_counter()
        line = {"phase": self.folder.name, "device": str(self.device), "seconds": now - self.clock}
        line |= {"saes": len(self.courses.each), "from_tokens": self.saved_tokens, "to_tokens": tokens}
        self.intervals.append(line | {"sae_tokens": self.courses.sae_tokens})
        self.clock, self.saved_tokens, self.courses.sae_tokens = now, tokens, 0

    @property
    def _anew(self) -> str:
        return f"to train anew, delete the folder {self.folder}, or name another run"

    def _check_same(self, found: ResumePoint) -> None:
        """See that a resume point is of this training.

        Raises:
            ValueError: it is of another one; the message says what changed.
            FileExistsError: it was made from other inputs.
            DamagedFileError: it is not what `save` writes.
        """
        with naming_damage(found.folder, "no resume point of a training", self._anew):
            was, fields = str(found.progress[FINGERPRINT]), dict(found.progress.get(CONFIG, {}))
            inputs = dict(found.progress.get(INPUTS, {}))
        if changed := changes(was, self.fingerprint, fields, deciding(self.config)):
            raise ValueError(
                f"{found.folder} was made with another config, other SAEs or an older saelib ({changed}): give the old "
                f"values to go on with it; {self._anew}"
            )
        check_inputs(f"{found.folder} was", inputs, self.keeper.inputs)

    def _take_over(self, found: ResumePoint) -> None:
        """Go on from a resume point.

        Raises:
            DamagedFileError: it is not what `save` writes.
        """
        with naming_damage(found.folder, "no resume point of a training", self._anew):
            self.courses.restore(int(found.progress["tokens"]), found.tensors)
            self.keeper.log, self.intervals = [dict(row) for row in found.progress["log"]], found.intervals
        for course in self.courses.each if not self._is_finished else []:
            self.keeper.go_on(course)
        settle(found.folder, self.intervals, self._kept)
