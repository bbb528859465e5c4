"""The SAEs of a phase side by side, chunk by chunk: each on its own way, and where one diverges, the others go on.

In: plans, and the activations of chunk after chunk. Out: trained courses, and what they finish, by a `Keeper`.
"""

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from itertools import repeat
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.training.course import Course
from saelib.sae.training.divergence import DivergedError, check_learnable, unlearnable
from saelib.sae.training.harvest import Activations
from saelib.sae.training.keeping import Keeper
from saelib.sae.training.plan import SaePlan, source_diverged_at, start_sae

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel


class Courses:
    """All courses of a phase, and how far they are.

    Attributes:
        layers: whose activations they read, in their order.
        tokens: that each SAE has seen.
        sae_tokens: on which steps were taken since somebody set it to 0, those of branches too.
    """

    def __init__(
        self,
        plans: Sequence[SaePlan],
        phase: TrainingPhase,
        model: "LanguageModel",
        config: TrainingConfig,
        keeper: Keeper,
        last_good: Callable[[], str],
    ) -> None:
        """At token 0.

        Args:
            last_good: names the resume point that messages shall name.
        """
        self.phase, self.model, self.config, self.keeper, self.last_good = phase, model, config, keeper, last_good
        self.layers = sorted({layer for plan in plans for layer in plan.reads})
        self.each = [self._course(plan) for plan in plans]
        self.tokens = self.sae_tokens = 0
        self._begun = False  # in this process

    def _course(self, plan: SaePlan) -> Course:
        lost = source_diverged_at(plan, self.keeper.folders) is not None
        start = None if lost else start_sae(plan, self.model, self.config, self.keeper.folders)
        return Course(plan, start, self.phase, self.config)

    @property
    def step(self) -> int:
        """The next one, counted from 0."""
        return self.tokens // self.config.batch_tokens

    def train_chunk(self, activations: Activations, pool: Executor) -> None:
        """All steps of one chunk, and what is kept after it; what they measured is read once, at its end."""
        if not self._begun:
            self._begin(activations)
        streams = [self._stream(activations, course.plan) for course in self.each]
        if self.model.device.type == "cpu":
            self._side_by_side(pool, streams)
        else:  # one after the other, each filling the device
            for course, stream in zip(self.each, streams, strict=True):
                course.train(stream, self.step)
        self._read(streams)
        self._go_on(self.tokens + self.config.chunk_tokens)

    def _stream(self, activations: Activations, plan: SaePlan) -> Float[Tensor, "tokens d_model"]:
        """What an SAE trains on: a layer's residual vectors, or each token's of the next of several layers in turn."""
        places = [self.layers.index(layer) for layer in plan.reads]
        if len(places) == 1:
            return activations[places[0]]
        tokens = torch.arange(activations.shape[1], device=activations.device)
        return activations[torch.tensor(places).to(tokens)[tokens % len(places)], tokens]

    def _begin(self, activations: Activations) -> None:
        """Look at what the first step will read; at token 0 write every SAE's folder."""
        check_learnable(activations[:, : self.config.batch_tokens], self.layers, self.model.name, self.config)
        self._begun = True
        if self.tokens == 0:
            for course in self.each:
                self.keeper.start(course)
            self._check_sound([course for course in self.each if not course.has_start])
        for course in self.each:
            course.start = None  # its matrices are those that are trained

    def _side_by_side(self, pool: Executor, streams: list[Float[Tensor, "tokens d_model"]]) -> None:
        """Every SAE's steps of a chunk; after Ctrl-C or an error each thread ends with the step that it is at."""
        try:
            list(pool.map(Course.train, self.each, streams, repeat(self.step)))
        except BaseException:
            for course in self.each:
                course.stopped = True
            raise

    def _read(self, streams: list[Float[Tensor, "tokens d_model"]]) -> None:
        """What the chunk's steps measured; an SAE whose numbers are not finite is stopped, if it is its own fault."""
        stopped = []
        for course, stream in zip(self.each, streams, strict=True):
            was = course.diverged_at_step
            self.sae_tokens += course.read() * self.config.batch_tokens
            if course.diverged_at_step == was:
                continue
            if fault := unlearnable(stream, course.plan.sae_layer, self.model.name, self.config):
                raise FloatingPointError(f"step {course.diverged_at_step}: {fault}; {self.last_good()}")
            self.keeper.note_diverged(course)
            stopped.append(course)
        self._check_sound(stopped)

    def _check_sound(self, stopped: Sequence[Course]) -> None:
        """Say which SAEs were stopped now; go on only where one is left."""
        sound = sum(course.diverged_at_step is None for course in self.each)
        if not sound:
            raise self._all_diverged()
        if stopped:
            faults = "; ".join(map(self.keeper.fault, stopped))
            warnings.warn(f"{faults}. Stopped, and noted; the other SAEs ({sound}) go on", stacklevel=2)

    def _all_diverged(self) -> DivergedError:
        self._go_on(self.phase.tokens)  # the log says so of every checkpoint
        first = min(self.each, key=lambda course: (not course.has_start, course.diverged_at_step))
        rate, coefficient = first.plan.learning_rate, first.plan.penalty(self.config)
        return DivergedError(
            f"{self.keeper.fault(first)}; {self.last_good()}. No SAE is left: lower the learning rate ({rate:g}) or "
            f"lambda ({coefficient:g}) and start a new run",
            self.keeper.rows,
        )

    def _go_on(self, tokens: int) -> None:
        """To a number of tokens: what was finished by then is kept."""
        for course in self.each:
            self.keeper.finish(course, self.tokens, tokens)
        self.tokens = tokens

    def warn_of_dead(self) -> None:
        """Say which SAEs end without an active feature, as a lambda that is too large leaves them."""
        dead = [course.plan for course in self.each if course.strands and course.trunk.active == 0]
        if dead:
            names = ", ".join(f"{plan.name} (lambda {plan.penalty(self.config):g})" for plan in dead)
            warnings.warn(
                f"no feature is active at the end of training in {names}: lambda is too large for these residual "
                "streams; lower l1_coefficient, in a run of another name",
                stacklevel=2,
            )

    def state(self) -> dict[str, Tensor]:
        """Of all courses: "<place>.<name>"."""
        return {f"{i}.{name}": value for i, course in enumerate(self.each) for name, value in course.state().items()}

    def restore(self, tokens: int, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave after so many tokens; a finished phase needs none.

        Raises:
            ValueError: these are no tokens of this phase, or it is the state of other courses.
        """
        if not 0 < tokens <= self.phase.tokens or tokens % self.config.chunk_tokens:
            raise ValueError(f"tokens={tokens} is no end of a chunk of this phase")
        self.tokens = tokens
        for i, course in enumerate(self.each if tokens < self.phase.tokens else []):
            mine = {name: value for name, value in state.items() if name.startswith(f"{i}.")}
            course.restore({name.partition(".")[2]: value for name, value in mine.items()})
