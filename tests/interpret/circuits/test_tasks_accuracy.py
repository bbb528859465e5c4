"""Whether a model does a task: shares by hand, and what counts as near chance."""

import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from saelib.interpret.circuits.tasks import accuracy
from saelib.interpret.circuits.tasks.accuracy import Accuracy, answer_logits, task_accuracy
from saelib.interpret.circuits.tasks.prompts import Prompts
from saelib.language.loading import load_language_model
from saelib.results.intervals import wilson
from tests.helpers.task_words import model_of


def made_prompts(count: int) -> Prompts:
    """Clean prompts begin with 1, patched ones with 2; then comes the prompt's number."""
    numbers = np.arange(count)
    clean, patch = (np.stack([np.full(count, first), numbers], axis=1) for first in (1, 2))
    return Prompts("made", clean, patch, np.full(count, 3), np.full(count, 4))


def test_accuracy_counts_clean_prompts_on_which_the_answer_is_above_the_other_one() -> None:
    # Ten prompts; token 3 has logit 2, token 4 has 1 on the clean prompts 0 to 7 and 5 on 8 and 9: 8 of 10 are right,
    # mean difference (8 * 1 - 2 * 3) / 10 = 0.2. Token 0 has 3 on even prompts: 3 is likeliest on 1, 3, 5 and 7 alone.
    # Patched: 3 has 0 and 4 has 1.5.
    def logits(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), 6))
        clean = rows[:, 0] == 1
        found[:, 3] = np.where(clean, 2.0, 0.0)
        found[:, 4] = np.where(clean, np.where(rows[:, 1] < 8, 1.0, 5.0), 1.5)
        found[:, 0] = np.where(rows[:, 1] % 2 == 0, 3.0, -1.0)
        return found

    found = task_accuracy(model_of(logits), made_prompts(10))
    assert found.accuracy == 0.8
    assert found.prompts == 10
    assert found.likeliest == 0.4
    assert found.difference == pytest.approx(0.2)
    assert found.patched == -1.5
    # It falls by 2.5 on eight prompts and by -1.5 on two: mean 1.7, deviation sqrt((8 * 0.64 + 2 * 10.24) / 9) = 1.687;
    # Student's quantile of 9 degrees is 2.262: 2.262 * 1.687 / sqrt(10) = 1.207.
    assert found.fall == pytest.approx(1.7)
    assert (found.fall_low, found.fall_high) == pytest.approx((1.7 - 1.207, 1.7 + 1.207), abs=1e-3)
    assert (found.low, found.high) == wilson(8, 10)
    assert not found.scored  # 8 of 10: the interval reaches down to 49%


@pytest.mark.parametrize(("right", "count", "scored"), [(69, 100, False), (70, 100, True), (7, 7, True), (6, 7, False)])
def test_a_task_is_scored_where_the_interval_is_above_60_percent(right: int, count: int, scored: bool) -> None:
    # Wilson's lower end by hand, z = 1.96: of 70/100, (0.70 + 0.0192 - 1.96 sqrt(0.0021 + 0.000096)) / 1.0384 = 0.604;
    # of 69/100 0.594; of 7/7, 7 / (7 + 3.8415) = 0.646.
    found = Accuracy(right / count, *wilson(right, count), count, 0.0, 1.0, -1.0, 2.0, 1.5, 2.5)
    assert found.scored is scored
    assert (found.reason == "") is scored


def test_a_fixed_preference_is_no_ability_however_often_it_is_right() -> None:
    # "Always the later year": token 3 is above token 4 by 1 or 2 on every prompt, clean or patched.
    def logits(rows: np.ndarray) -> np.ndarray:
        found = np.zeros((len(rows), 6))
        found[:, 3] = 1 + (rows[:, 1] + rows[:, 0]) % 2
        return found

    found = task_accuracy(model_of(logits), made_prompts(512))
    assert found.accuracy == 1 and found.low > 0.6
    assert found.fall == 0
    assert not found.scored
    assert found.reason.startswith("right on 100% (99% to 100%), whatever decides the answer: in patched prompts")


@pytest.mark.parametrize(("low", "scored"), [(0.01, True), (0.0, False), (-0.1, False), (np.nan, False)])
def test_a_task_is_scored_where_the_preference_falls_by_its_interval(low: float, scored: bool) -> None:
    found = Accuracy(0.9, 0.8, 0.95, 100, 0.0, 1.0, 0.5, 0.5, low, 1.0)
    assert found.scored is scored
    assert (found.reason == "") is scored


def test_reason_names_the_numbers() -> None:
    found = Accuracy(0.541, 0.498, 0.584, 512, 0.0, 0.1, -0.1, 0.2, 0.1, 0.3)
    assert found.reason == "near chance: right on 54% (50% to 58%), chance 50%"


def test_logits_are_those_of_an_ordinary_pass() -> None:
    model = load_language_model("embedded", "cpu")
    prompts = np.random.default_rng(0).integers(0, model.vocabulary, (70, 9))
    right, wrong = np.arange(70), np.arange(70) + 100
    found = answer_logits(model, prompts, right, wrong)
    plain = model.logits(torch.from_numpy(prompts))[:, -1].double().numpy()
    np.testing.assert_allclose(found.right, plain[np.arange(70), right], atol=1e-4)
    np.testing.assert_allclose(found.wrong, plain[np.arange(70), wrong], atol=1e-4)
    np.testing.assert_allclose(found.highest, plain.max(1), atol=1e-4)


def test_logits_of_two_batches_are_in_memory_at_most_while_the_next_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three numbers of each prompt are kept, no row of the vocabulary's length."""
    sizes = [32] * 6 + [8]
    batches: list[weakref.ref[torch.Tensor]] = []

    def made(*_: object) -> Iterator[torch.Tensor]:
        for number, rows in enumerate(sizes):
            assert sum(batch() is not None for batch in batches) <= 2
            logits = torch.arange(50.0).repeat(rows, 1) + number
            batches.append(weakref.ref(logits))
            yield logits

    monkeypatch.setattr(accuracy, "last_logits", made)
    model: Any = None
    found = answer_logits(model, np.zeros((200, 5), np.int64), np.arange(200) % 50, np.full(200, 7))
    number = np.repeat(np.arange(7), sizes)
    assert (found.right == np.arange(200) % 50 + number).all()
    assert (found.wrong == 7 + number).all() and (found.highest == 49 + number).all()
    assert found.right.dtype == np.float64
