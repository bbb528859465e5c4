"""How well the model itself does a task, and whether that is well enough to look for its circuit.

In: a model and prompts. Out: the share of prompts on which it prefers the right answer, and how far its preference
falls in the patched prompts, both with intervals. Whoever guesses is right on one half; but where the answer of every
clean prompt is of one kind (the later year), so is whoever always names that kind, on all of them. Such a preference is
the same in the patched prompt, so it must fall there. A model that does not do a task has no circuit for it, and a
score would divide by next to nothing: such a task has none.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from saelib.interpret.circuits.tasks.prompts import Prompts
from saelib.results.intervals import CONFIDENCE, wilson

if TYPE_CHECKING:
    from saelib.language.model import LanguageModel

CHANCE = 0.5
LEAST = 0.6  # that the lower end of the interval of an accuracy must be above
LEAST_FALL = 0.0  # that the lower end of the interval of the fall must be above
BATCH_ROWS = 32  # in one forward pass; no number depends on it beyond rounding


class Accuracy(NamedTuple):
    """What a model does with the prompts of a task."""

    accuracy: float
    """Share on which the right answer has a higher logit than that of the patched prompt."""
    low: float
    high: float
    """Ends of Wilson's 95% interval."""
    prompts: int
    likeliest: float
    """Share on which no token at all has a higher logit than the right answer."""
    difference: float
    """Mean of logit(answer) - logit(patch answer) on clean prompts: m(M)."""
    patched: float
    """The same difference on patched prompts, where it should be lower."""
    fall: float
    """Mean of the first minus the second, pair by pair."""
    fall_low: float
    fall_high: float
    """Ends of its 95% interval, Student's; NaN with one prompt."""

    @property
    def scored(self) -> bool:
        """Whether the model does the task."""
        return self.low > LEAST and self.fall_low > LEAST_FALL

    @property
    def reason(self) -> str:
        """Why there is no score; empty where there is one."""
        if self.scored:
            return ""
        right = f"right on {self.accuracy:.0%} ({self.low:.0%} to {self.high:.0%})"
        if self.low <= LEAST:
            return f"near chance: {right}, chance {CHANCE:.0%}"
        fall = f"{self.fall:.2g} ({self.fall_low:.2g} to {self.fall_high:.2g})"
        return f"{right}, whatever decides the answer: in patched prompts the preference falls by {fall}"


def task_accuracy(model: "LanguageModel", prompts: Prompts) -> Accuracy:
    """How well a model does a task."""
    clean = answer_logits(model, prompts.clean, prompts.answer, prompts.patch_answer)
    patch = answer_logits(model, prompts.patch, prompts.answer, prompts.patch_answer)
    right, differences = clean.right > clean.wrong, clean.right - clean.wrong
    low, high = wilson(int(right.sum()), len(prompts))
    patched = patch.right - patch.wrong
    return Accuracy(
        float(right.mean()), low, high, len(prompts), float((clean.right >= clean.highest).mean()),
        float(differences.mean()), float(patched.mean()), *_mean_interval(differences - patched),
    )  # fmt: skip


def _mean_interval(values: Float[np.ndarray, " prompts"]) -> tuple[float, float, float]:
    """A mean and the ends of its interval."""
    from scipy import stats

    mean, count = float(values.mean()), len(values)
    if count < 2:
        return mean, np.nan, np.nan
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return mean, mean - half, mean + half


class AnswerLogits(NamedTuple):
    """Logits behind each prompt, float64."""

    right: Float[np.ndarray, " prompts"]
    wrong: Float[np.ndarray, " prompts"]
    highest: Float[np.ndarray, " prompts"]
    """Of all tokens."""


def answer_logits(
    model: "LanguageModel",
    prompts: Int[np.ndarray, "prompts context"],
    right: Int[np.ndarray, " prompts"],
    wrong: Int[np.ndarray, " prompts"],
) -> AnswerLogits:
    """Logits of two answers behind each prompt, and the highest of all."""
    asked = torch.from_numpy(np.stack([right, wrong], axis=1)).long().split(BATCH_ROWS)
    found = [_three(*batch) for batch in zip(last_logits(model, prompts), asked, strict=True)]
    return AnswerLogits(*torch.cat(found).double().numpy().T)


def _three(logits: Float[Tensor, "batch vocabulary"], asked: Int[Tensor, "batch 2"]) -> Float[Tensor, "batch 3"]:
    """What is kept of a batch: the logits of a large vocabulary, of all prompts, would fill the memory."""
    of_two = logits.gather(1, asked.to(logits.device))
    return torch.cat([of_two, logits.amax(1, keepdim=True)], dim=1).cpu()


def last_logits(
    model: "LanguageModel", prompts: Int[np.ndarray, "prompts context"]
) -> Iterator[Float[Tensor, "batch vocabulary"]]:
    """Logits behind the last token of each prompt, batch by batch."""
    end = model.n_layers - 1
    for tokens in torch.from_numpy(prompts).long().split(BATCH_ROWS):
        last = tokens[:, -1:].to(model.device)
        residual = model.residual_streams(tokens, [end])[0, :, -1:]
        yield model.logits_from(residual, end, last)[:, 0]
