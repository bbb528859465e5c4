"""The way of one SAE through a phase: a trunk, and by the schedule "wsd" a branch for each checkpoint.

In: a trainee, and batch after batch. Out: the SAE at each checkpoint with what its steps measured. A branch is a copy
of the trunk, optimiser and all, made where its learning rate begins to fall; it takes its steps on the trunk's batches.
An SAE whose trunk or branch meets a number that is not finite is stopped as a whole, at that step: what it had finished
by then is sound, and nothing after it is kept.
"""

import copy
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.training.divergence import STEP
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.schedule import branch_ends, decay_steps, schedule
from saelib.sae.training.trainee import METRICS, Trainee, new_trainee

TRIED_TOKENS = 16  # of a batch, on which what is kept is tried: one would show numbers too large for float32


class Kept(NamedTuple):
    """An SAE at a checkpoint, and the means of `METRICS` over the steps that led to it."""

    tokens: int
    sae: SparseAutoencoder | None
    """None where it has diverged by then."""
    means: dict[str, float]


class Measured(NamedTuple):
    """What some steps of a strand measured."""

    steps: int
    diverged_at_step: int | None
    """The first step whose loss or gradient is not finite, or after which what is kept gives no finite loss."""


class Strand:
    """A trainee on its way to one end, and sums of what its steps measured, from `counted_from` on.

    Attributes:
        active: features of a token in the last step that was read; NaN before.
    """

    def __init__(self, trainee: Trainee, end: int, counted_from: int = 0) -> None:
        self.trainee, self.end, self.counted_from, self.active = trainee, end, counted_from, math.nan
        self.sums, self.summed_steps = torch.zeros(len(METRICS), dtype=torch.float64), 0
        self._measured: list[Float[Tensor, 5]] = []
        self._steps: list[int] = []
        self._tried: list[tuple[int, Float[Tensor, ""]]] = []

    def step(self, batch: Float[Tensor, "tokens d_model"], step: int, steps: int, config: TrainingConfig) -> None:
        """One step, at what the schedule gives; what it measured stays on the device."""
        now = schedule(step, steps, config, self.end, self.trainee.plan.step_penalty(config))
        self._measured.append(self.trainee.step(batch, *now, config.gradient_clip))
        self._steps.append(step)

    @torch.no_grad()
    def try_out(self, batch: Float[Tensor, "tokens d_model"], step: int) -> None:
        """Have the SAE that a step leaves reconstruct a few tokens: a checkpoint shall have a finite loss."""
        x, sae = batch[:TRIED_TOKENS], self.trainee.sae
        features = sae.encode(x)
        self._tried.append((step, (sae.decode(features) - x).square().sum() + sae.l1(features).sum()))

    def read(self) -> Measured:
        """What the steps since the last call measured, on the host; added to the sums."""
        if not self._measured:
            return Measured(0, None)
        steps, values = torch.tensor(self._steps), torch.stack(self._measured).cpu()
        wrong = [step for step, loss in self._tried if not loss.isfinite()]
        wrong += steps[~values.isfinite().all(1)].tolist()
        counted = steps >= self.counted_from
        self.sums += values[counted, : len(METRICS)].double().sum(0)
        self.summed_steps += int(counted.sum())
        self.active = float(values[-1, METRICS.index("l0")])
        self._measured, self._steps, self._tried = [], [], []
        return Measured(len(steps), min(wrong, default=None))

    def close(self) -> dict[str, float]:
        """Means over the steps summed so far, empty where there are none; the sums begin anew."""
        totals = zip(METRICS, self.sums.tolist(), strict=True)
        means = {metric: total / self.summed_steps for metric, total in totals if self.summed_steps}
        self.sums.zero_()
        self.summed_steps = 0
        return means


class Course:
    """The trunk and the branches of one SAE, which train on its residual streams divided by `plan.scale`.

    What leaves it, SAEs and measures, is of the streams themselves.

    Attributes:
        start: the SAE at token 0, as its folder shall have it; to be let go before the first step.
        stopped: to be set where training shall end with the step that it is at.
        diverged_at_step: where the SAE was stopped; 0 too where it has nothing to start from; None while all is well.
        strands: the trunk and what has left it, as far as they are under way.
    """

    def __init__(
        self, plan: SaePlan, sae: SparseAutoencoder | None, phase: TrainingPhase, config: TrainingConfig
    ) -> None:
        """At token 0, with a new optimiser; `restore` takes over an older state.

        Args:
            sae: the start; None where the SAE that it would have started from has diverged.
        """
        self.plan, self.config, self.stopped = plan, config, False
        self.steps = phase.tokens // config.batch_tokens
        self._ends, self._checkpoints = branch_ends(phase, config), phase.checkpoints[1:]
        self.has_start, self.diverged_at_step = sae is not None, None if sae is not None else 0
        self.start, self._scale = sae, plan.scale(config)
        # With branches the log is about decays, of the trunk too; without, about the stretch since the last checkpoint.
        counted_from = self.steps - decay_steps(self.steps, config) if config.schedule == "wsd" else 0
        trained = None if sae is None else new_trainee(plan, sae.unfold_scale(self._scale), config)
        self.strands = [] if trained is None else [Strand(trained, self.steps, counted_from)]

    @property
    def trunk(self) -> Strand:
        """What all branches leave; not there any more once the SAE has diverged."""
        return self.strands[0]

    @property
    def from_tokens(self) -> int:
        """From how many tokens on an SAE that diverged is not kept: its start is, where it had one."""
        assert self.diverged_at_step is not None
        return self.diverged_at_step * self.config.batch_tokens + int(self.has_start)

    def train(self, activations: Float[Tensor, "tokens d_model"], first_step: int) -> None:
        """All steps of a chunk, those of branches beside those of the trunk."""
        if self.diverged_at_step is not None:
            return
        for step, batch in enumerate(activations.split(self.config.batch_tokens), start=first_step):
            if self.stopped:
                return
            self.strands += [self._branch(end) for end in self._ends if step == end - decay_steps(end, self.config)]
            batch = batch if self._scale == 1 else batch / self._scale
            for strand in self.strands:
                if step < strand.end:
                    strand.step(batch, step, self.steps, self.config)
                    if self._is_kept(strand, step + 1):
                        strand.try_out(batch, step)

    def _is_kept(self, strand: Strand, done: int) -> bool:
        """Whether the log and the SAEs have a strand as it is after so many steps."""
        at_checkpoint = self.config.schedule == "paper" and done * self.config.batch_tokens in self._checkpoints
        return done == strand.end or at_checkpoint

    def _branch(self, end: int) -> Strand:
        trunk = self.trunk.trainee
        strand = Strand(new_trainee(self.plan, copy.deepcopy(trunk.sae), self.config), end)
        strand.trainee.restore(trunk.state())
        return strand

    def read(self) -> int:
        """Take in what the steps since the last call measured, of all strands; returns how many steps that were.

        The first that is not finite ends the course: strands that were to go on from there are let go.
        """
        measured = [strand.read() for strand in self.strands]
        wrong = [each.diverged_at_step for each in measured if each.diverged_at_step is not None]
        if wrong:
            self.diverged_at_step = min(wrong)
            self.strands = [strand for strand in self.strands if strand.end <= self.diverged_at_step]
        return sum(each.steps for each in measured)

    def keep(self, before: int, tokens: int) -> Iterator[Kept]:
        """What is finished between two numbers of tokens, the second the end of a chunk; branches are let go then."""
        done = tokens // self.config.batch_tokens
        for checkpoint in self._checkpoints:
            if before < checkpoint <= tokens:
                yield self._diverged(checkpoint) if self._is_lost(checkpoint) else self._kept(checkpoint)
        self.strands = [strand for strand in self.strands if strand.end > done or strand.end == self.steps]

    def _is_lost(self, checkpoint: int) -> bool:
        return self.diverged_at_step is not None and checkpoint >= self.from_tokens

    def _diverged(self, checkpoint: int) -> Kept:
        return Kept(checkpoint, None, dict.fromkeys(METRICS, math.nan))

    def _kept(self, checkpoint: int) -> Kept:
        ends = {strand.end: strand for strand in self.strands}
        strand = ends.get(checkpoint // self.config.batch_tokens) or self.trunk
        return Kept(checkpoint, strand.trainee.sae.fold_scale(self._scale), self._in_model_units(strand.close()))

    def _in_model_units(self, means: dict[str, float]) -> dict[str, float]:
        """Of the streams themselves: squares are `scale` squared times as large, L1 `scale` times."""
        factors = {"loss": self._scale**2, "mse": self._scale**2, "l1": self._scale, "l0": 1}
        return {metric: mean * factors[metric] for metric, mean in means.items()}

    def state(self) -> dict[str, Tensor]:
        """Of all strands: "<end>.<name>", with sums; the step alone of an SAE that has diverged."""
        if self.diverged_at_step is not None:
            return {STEP: torch.tensor(self.diverged_at_step)}
        state: dict[str, Tensor] = {}
        for strand in self.strands:
            mine = strand.trainee.state() | {"sums": strand.sums, "summed_steps": torch.tensor(strand.summed_steps)}
            state |= {f"{strand.end}.{name}": value for name, value in mine.items()}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave.

        Raises:
            ValueError: it is not of this course; names what is missing, too much, or of another shape.
        """
        if STEP in state:
            self.diverged_at_step, self.strands = int(state[STEP]), []
            return
        under_way = {name.partition(".")[0] for name in state}
        self.strands += [self._branch(end) for end in self._ends if str(end) in under_way]
        _check_fits(state, self.state(), self.plan.name)
        for strand in self.strands:
            mine = {name.partition(".")[2]: state[name] for name in state if name.startswith(f"{strand.end}.")}
            strand.sums, strand.summed_steps = mine.pop("sums"), int(mine.pop("summed_steps"))
            strand.trainee.restore(mine)


def _check_fits(state: dict[str, Tensor], wanted: dict[str, Tensor], name: str) -> None:
    if wrong := sorted(state.keys() ^ wanted.keys()):
        raise ValueError(f"the state of {name} lacks, or has beside its own, {', '.join(wrong)}")
    for key, value in wanted.items():
        if state[key].shape != value.shape:
            raise ValueError(f"the state of {name} has {key} of {list(state[key].shape)}, not {list(value.shape)}")
