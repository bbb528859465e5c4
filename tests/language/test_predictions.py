"""What the notebook of the language model shows of its predictions."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.predictions import greedy_continuation, loss_by_position, next_token_table, unigram_loss
from saelib.language.reference import plain_loss

ROWS = np.random.default_rng(0).integers(1, 320, (3, 24), dtype=np.int32)


@pytest.fixture(scope="module")
def model(random_model_folder: Path) -> LanguageModel:
    return load_language_model(str(random_model_folder), "cpu")


def test_loss_by_position_is_the_bridges_loss_whatever_the_batch(model: LanguageModel) -> None:
    one, all_rows = (loss_by_position(model, ROWS, batch_rows) for batch_rows in (1, 3))
    assert one.shape == (23,)
    assert np.allclose(one, all_rows, atol=1e-6)
    assert all_rows.mean() == pytest.approx(plain_loss(model, ROWS), abs=1e-5)


def test_unigram_loss_by_hand() -> None:
    train, held_out = np.array([[0, 0, 1, 2]]), np.array([[3, 0, 1]])  # counts, each raised by 1: 3, 2, 2, 1
    assert unigram_loss(train, held_out, 4) == pytest.approx(-(math.log(3 / 8) + math.log(2 / 8)) / 2)


def test_next_tokens_are_those_of_the_softmax(model: LanguageModel) -> None:
    table = next_token_table(model, ROWS[0], [4, 9], count=2)
    probabilities = model.logits(torch.from_numpy(ROWS[:1]).long())[0].softmax(-1)
    for position in (4, 9):
        best = int(probabilities[position].argmax())
        wanted = f"{model.tokenizer.decode([best])!r} {float(probabilities[position, best]):.0%}"
        assert table.loc[position, "1."] == wanted
        assert table.loc[position, "came"] == repr(model.tokenizer.decode([int(ROWS[0, position + 1])]))


def test_greedy_continuation_takes_the_likeliest_each_time(model: LanguageModel) -> None:
    tokens = ROWS[0, :5].tolist()
    for _ in range(3):
        tokens.append(int(model.logits(torch.tensor([tokens]))[0, -1].argmax()))
    assert greedy_continuation(model, ROWS[0, :5], 3) == model.tokenizer.decode(tokens[5:])
