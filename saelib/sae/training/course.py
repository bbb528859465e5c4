"""The way of one SAE through a phase: a trunk, and by the schedule "wsd" a branch for each checkpoint.

In: a trainee, and batch after batch. Out: the SAE at each checkpoint with what its steps measured. A branch is a copy
of the trunk, optimiser and all, made where its learning rate begins to fall; it takes its steps on the trunk's batches.
"""

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingConfig, TrainingPhase
from saelib.sae.training.plan import SaePlan
from saelib.sae.training.schedule import branch_ends, decay_steps, schedule
from saelib.sae.training.trainee import METRICS, Trainee, new_trainee


class Kept(NamedTuple):
    """An SAE at a checkpoint, and the means of `METRICS` over the steps that led to it."""

    tokens: int
    sae: SparseAutoencoder
    means: dict[str, float]


class Measured(NamedTuple):
    """`METRICS` and the gradient's norm before clipping, of some steps."""

    steps: list[int]
    values: Float[Tensor, "steps 5"]


class Strand:
    """A trainee on its way to one end, and sums of what its steps measured, from `counted_from` on."""

    def __init__(self, trainee: Trainee, end: int, counted_from: int = 0) -> None:
        self.trainee, self.end, self.counted_from = trainee, end, counted_from
        self.sums, self.summed_steps = torch.zeros(len(METRICS), dtype=torch.float64), 0
        self._measured: list[Float[Tensor, 5]] = []
        self._steps: list[int] = []

    def step(self, batch: Float[Tensor, "tokens d_model"], step: int, steps: int, config: TrainingConfig) -> None:
        """One step, at what the schedule gives; what it measured stays on the device."""
        now = schedule(step, steps, config, self.end, self.trainee.plan.l1_coefficient)
        self._measured.append(self.trainee.step(batch, *now, config.gradient_clip))
        self._steps.append(step)

    def read(self) -> Measured:
        """What the steps since the last call measured, on the host; added to the sums."""
        if not self._measured:
            return Measured([], torch.zeros(0, len(METRICS) + 1))
        measured = Measured(self._steps, torch.stack(self._measured).cpu())
        self._measured, self._steps = [], []
        counted = torch.tensor(measured.steps) >= self.counted_from
        self.sums += measured.values[counted, : len(METRICS)].double().sum(0)
        self.summed_steps += int(counted.sum())
        return measured

    def close(self) -> dict[str, float]:
        """Means over the steps summed so far, empty where there are none; the sums begin anew."""
        totals = zip(METRICS, self.sums.tolist(), strict=True)
        means = {metric: total / self.summed_steps for metric, total in totals if self.summed_steps}
        self.sums.zero_()
        self.summed_steps = 0
        return means


class Course:
    """The trunk and the branches of one SAE.

    Attributes:
        stopped: to be set where training shall end with the step that it is at.
    """

    def __init__(self, plan: SaePlan, sae: SparseAutoencoder, phase: TrainingPhase, config: TrainingConfig) -> None:
        """At token 0, with a new optimiser; `restore` takes over an older state."""
        self.plan, self.config, self.stopped = plan, config, False
        self.steps = phase.tokens // config.batch_tokens
        self._ends, self._checkpoints = branch_ends(phase, config), phase.checkpoints
        # With branches the log is about decays, of the trunk too; without, about the stretch since the last checkpoint.
        counted_from = self.steps - decay_steps(self.steps, config) if config.schedule == "wsd" else 0
        self.trunk = Strand(new_trainee(plan, sae, config), self.steps, counted_from)
        self.branches: list[Strand] = []

    @property
    def strands(self) -> list[Strand]:
        """The trunk and what has left it."""
        return [self.trunk, *self.branches]

    def train(self, activations: Float[Tensor, "tokens d_model"], first_step: int) -> None:
        """All steps of a chunk, those of branches beside those of the trunk."""
        for step, batch in enumerate(activations.split(self.config.batch_tokens), start=first_step):
            if self.stopped:
                return
            self.branches += [self._branch(end) for end in self._ends if step == end - decay_steps(end, self.config)]
            for strand in self.strands:
                if step < strand.end:
                    strand.step(batch, step, self.steps, self.config)

    def _branch(self, end: int) -> Strand:
        trunk = self.trunk.trainee
        strand = Strand(new_trainee(self.plan, copy.deepcopy(trunk.sae), self.config), end)
        strand.trainee.restore(trunk.state())
        return strand

    def keep(self, tokens: int) -> Iterator[Kept]:
        """What is finished after so many tokens, at the end of a chunk; branches that are finished are let go."""
        done = tokens // self.config.batch_tokens
        for branch in [branch for branch in self.branches if branch.end <= done]:
            yield Kept(branch.end * self.config.batch_tokens, branch.trainee.sae, branch.close())
        self.branches = [branch for branch in self.branches if branch.end > done]
        if done == self.steps or (self.config.schedule == "paper" and tokens in self._checkpoints):
            yield Kept(tokens, self.trunk.trainee.sae, self.trunk.close())

    def state(self) -> dict[str, Tensor]:
        """Of all strands: "<end>.<name>", with sums."""
        state: dict[str, Tensor] = {}
        for strand in self.strands:
            mine = strand.trainee.state() | {"sums": strand.sums, "summed_steps": torch.tensor(strand.summed_steps)}
            state |= {f"{strand.end}.{name}": value for name, value in mine.items()}
        return state

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        under_way = {int(name.partition(".")[0]) for name in state}
        self.branches = [self._branch(end) for end in self._ends if end in under_way]
        for strand in self.strands:
            mine = {name.partition(".")[2]: state[name] for name in state if name.startswith(f"{strand.end}.")}
            strand.sums, strand.summed_steps = mine.pop("sums"), int(mine.pop("summed_steps"))
            strand.trainee.restore(mine)
