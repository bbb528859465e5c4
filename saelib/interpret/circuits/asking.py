"""Prompts of a run's language model, read at each layer when they are first wanted, and what SAEs make of them.

In: an `Interpretation`. Out: rows for the tables of `study`. Prompts begin as the rows do that the SAEs learned from;
where those begin with text alone, what stands between two documents is put first. A layer is kept in memory until the
next one is asked for.
"""

from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from saelib.interpret.circuits.attribution import attribute, fact_scores
from saelib.interpret.circuits.examples import Examples, read_facts, read_pairs, stream_gradients
from saelib.interpret.circuits.facts import Questions, questions_for
from saelib.interpret.circuits.faithfulness import CurvePoint, circuit_curves
from saelib.interpret.circuits.patching import compared_places, exact_effects
from saelib.interpret.circuits.tasks.accuracy import Accuracy, task_accuracy
from saelib.interpret.circuits.tasks.library import make_prompts
from saelib.interpret.circuits.tasks.prompts import Prompts, TaskError, check_length
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.subjects import Subject
from saelib.language.corpus.beginning import row_beginning
from saelib.language.tokenizing import document_separator

if TYPE_CHECKING:
    from torch import Tensor

BLOCKS = 16  # of the prompts that scores are of, for intervals: single prompts would make large tables
KEYS = ("arm", "sae_layer", "act_layer", "seed", "tokens")


class Asker:
    """Prompts of the attribution, read at each layer when it is first wanted."""

    def __init__(self, interpretation: Interpretation) -> None:
        self.interpretation = interpretation
        self.read = lru_cache(maxsize=1)(self._read)  # parts come layer after layer

    @cached_property
    def questions(self) -> Questions:
        """Facts, or text; as many as the config says."""
        config, experiment = self.interpretation.config, self.interpretation.experiment
        beginning = rows_beginning(self.interpretation)
        held_out, skipped = experiment.corpus.held_out, self.interpretation.skipped
        return questions_for(experiment.model, beginning, held_out, config.facts, config.seed, skipped)

    def _read(self, layer: int) -> "tuple[Examples, Tensor]":
        asked, model = self.questions, self.interpretation.model
        answers = asked.right.tolist(), asked.wrong.tolist()
        examples = read_facts(model, asked.prompts, *answers, [layer], self.interpretation.skipped)[layer]
        return examples, stream_gradients(model, examples)

    def scores(self, subject: Subject) -> pd.DataFrame:
        """A row for each prompt."""
        examples, gradient = self.read(subject.act_layer)
        sae = self.interpretation.sae(subject)
        scores = fact_scores(self.interpretation.model, sae, examples, gradient)
        asked = {"kind": self.questions.kind, "wanted": self.interpretation.config.facts, "tried": self.questions.tried}
        return pd.DataFrame(_keys(subject) | {"prompt": np.arange(len(scores))} | asked | {"score": scores})


class Finder:
    """Prompts of the tasks, read at each layer when they are first wanted, and what SAEs make of them."""

    def __init__(self, interpretation: Interpretation) -> None:
        self.interpretation, self.config = interpretation, interpretation.config
        self.read = lru_cache(maxsize=1)(self._read)

    def wanted(self, tasks: Iterable[str]) -> dict[str, tuple[str, Subject]]:
        """Parts: a task, and an SAE that reads a layer where circuits are looked for; by task, then layer."""
        lineages = self.interpretation.circuit_lineages()
        subjects = {one for lineage in lineages for one in lineage if one.act_layer == lineage.act_layer}
        order = sorted(subjects, key=lambda one: (one.act_layer, one))
        return {f"{task}-{one.part}": (task, one) for task in tasks for one in order}

    def prompts(self, task: str) -> Prompts:
        """Twice as many as the config says: for effects and means, and for the scores.

        Raises:
            TaskError: the tokenizer has none such, or the model or no SAE reads them.
        """
        model, count = self.interpretation.model, 2 * self.config.circuit_prompts
        found = make_prompts(task, model.tokenizer, count, self.config.seed, rows_beginning(self.interpretation))
        check_length(found.clean.shape[1], self.interpretation.skipped, model.n_ctx)
        return found

    def accuracy(self, task: str) -> pd.DataFrame:
        """One row: how well the model itself does a task, or why it has none."""
        try:
            found = task_accuracy(self.interpretation.model, self.prompts(task))
        except TaskError as error:
            nothing = dict.fromkeys(Accuracy._fields, np.nan) | {"prompts": 0}
            return pd.DataFrame([{"task": task, **nothing, "scored": False, "reason": str(error)}])
        return pd.DataFrame([{"task": task, **found._asdict(), "scored": found.scored, "reason": found.reason}])

    def _read(self, task: str, layer: int) -> "tuple[Examples, Tensor, Examples]":
        """Prompts for effects, their gradient, and prompts for scores, at a layer."""
        model, skipped, count = self.interpretation.model, self.interpretation.skipped, self.config.circuit_prompts
        prompts = self.prompts(task)
        train, test = (read_pairs(model, prompts.take(start, count), [layer], skipped)[layer] for start in (0, count))
        return train, stream_gradients(model, train), test

    def curves(self, task: str, subject: Subject) -> pd.DataFrame:
        """A row for each circuit of an SAE."""
        config, (train, gradient, test) = self.config, self.read(task, subject.act_layer)
        points = circuit_curves(
            self.interpretation.model, self.interpretation.sae(subject), train, gradient, test,
            shares=config.faithfulness_shares, completeness_shares=config.completeness_shares,
            ablation=config.ablation, signed=config.signed, summed=config.summed, steps=config.integrated_steps,
            baselines=config.baselines, seed=config.seed,
        )  # fmt: skip
        return pd.DataFrame([{"task": task} | _keys(subject) | _point(point) for point in points])

    def patching(self, task: str, subject: Subject) -> pd.DataFrame:
        """A row for each feature at a position: its effect as estimated, and exactly."""
        model, sae, config = self.interpretation.model, self.interpretation.sae(subject), self.config
        train, gradient, _ = self.read(task, subject.act_layer)
        effects = attribute(model, sae, train, gradient, config.integrated_steps).effects
        places = compared_places(effects, config.patching_features, config.seed)
        position, feature = places.unbind(1)
        return pd.DataFrame({
            "task": task, **_keys(subject), "position": position.numpy(), "feature": feature.numpy(),
            "estimate": effects.cpu()[position, feature].numpy(), "exact": exact_effects(model, sae, train, places),
        })  # fmt: skip


def _keys(subject: Subject) -> dict[str, Any]:
    return {name: getattr(subject, name) for name in KEYS}


def _point(point: CurvePoint) -> dict[str, Any]:
    """The columns of a circuit: its score, and what block of prompts adds how much to each mean."""
    found = point.evaluated
    blocks = {name: in_blocks(getattr(found, name)) for name in ("circuit", "empty", "model")}
    numbers = {"score": found.score, "standard_error": found.standard_error, "reason": found.reason}
    names = ("measure", "choice", "share", "k")
    return {name: getattr(point, name) for name in names} | numbers | {"prompts": len(found.model)} | blocks


def in_blocks(values: Float[np.ndarray, " prompts"], blocks: int = BLOCKS) -> Float[np.ndarray, " blocks"]:
    """What each block of prompts adds to the mean over all of them: the sum is the mean, whatever their sizes."""
    parts = np.array_split(values, min(blocks, len(values)))
    return np.array([part.sum() for part in parts], np.float32) / np.float32(len(values))


def rows_beginning(interpretation: Interpretation) -> list[int]:
    """Token ids in front of every row's text; where there are none, what stands between two documents."""
    tokenizer = interpretation.model.tokenizer
    return row_beginning(interpretation.experiment.corpus, tokenizer) or [document_separator(tokenizer)]
