"""The language model that ships is what its record says, and its recipe trains."""

from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from transformers import GPTNeoXForCausalLM

from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.language.embedded.train import (
    Recipe,
    batches,
    build_model,
    fit,
    held_out_loss_by_position,
    learning_rate_factor,
    next_token_loss,
)
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.predictions import loss_by_position
from saelib.run.reading import read_json

RECORD = read_json(EMBEDDED_FOLDER / "training.json")
MICRO = replace(Recipe(), vocabulary=64, width=16, layers=2, heads=2, longest_context=32, phases=((8, 30), (32, 10)),
                batch_tokens=256, warm_up_steps=5)  # fmt: skip


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_language_model("embedded", device="cpu")


def test_folder_is_small_enough_for_a_repository():
    assert sum(path.stat().st_size for path in EMBEDDED_FOLDER.iterdir()) < 10_000_000


def test_sizes(model):
    recipe = Recipe()
    assert (model.n_layers, model.d_model, model.n_ctx) == (recipe.layers, recipe.width, recipe.longest_context)
    assert (model.parameters, model.vocabulary) == (RECORD["parameters"], recipe.vocabulary)
    assert model.tokenizer.eos_token_id == 0


def test_recipe_is_the_one_that_was_run():
    assert {**asdict(Recipe()), "phases": [list(phase) for phase in Recipe().phases]} == RECORD["recipe"]


def test_it_predicts_the_prose_it_was_made_for(model):
    """Far better than its vocabulary's log (8.3 nats), and better for seeing what stands before."""
    text = "Return a new array with the same shape and type as a given array. If the array is empty, return None."
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    losses = torch.nn.functional.cross_entropy(model.logits(ids)[0, :-1], ids[0, 1:], reduction="none")
    assert losses.mean() < 4
    curve = list(RECORD["held_out_loss_by_position"].values())
    assert curve[-1] < curve[0] - 0.5


def test_tokenizer_loses_nothing(model):
    text = "Ünïcode, digits 12345 and\ttabs: naïve — 漢字."
    ids = model.tokenizer(text)["input_ids"]
    assert model.tokenizer.decode(ids) == text
    assert max(ids) < model.vocabulary
    assert len(model.tokenizer("12345")["input_ids"]) == 5


def test_schedule_rises_holds_and_falls_to_zero():
    factors = [learning_rate_factor(step, MICRO) for step in range(1, MICRO.steps + 1)]
    assert factors[0] == pytest.approx(2 / 5)
    assert max(factors) == 1
    assert factors[-1] == 0


def test_batches_follow_the_phases_and_the_seed():
    stream = np.arange(1000, dtype=np.int32) % 64
    shapes = [tuple(batch.shape) for batch in batches(stream, MICRO)]
    assert shapes == [(32, 8)] * 30 + [(8, 32)] * 10
    first, second = (list(batches(stream, MICRO)) for _ in range(2))
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))


def test_the_recipe_learns_and_repeats_itself():
    stream = np.tile(np.arange(64, dtype=np.int32), 40)  # each token tells the next one
    saved = []
    weights = []
    for _ in range(2):
        model = build_model(MICRO)
        before = next_token_loss(model, torch.from_numpy(stream[None, :32].astype(np.int64))).mean().item()
        with torch.compiler.set_stance("force_eager"):
            fit(model, stream, MICRO, "cpu", lambda step, loss: saved.append((step, loss)), save_every=1000)
        weights.append(model.state_dict())
    assert saved[0][1] < before - 1  # nats
    assert [step for step, _ in saved] == [MICRO.steps] * 2
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_held_out_loss_is_the_loss_of_the_loaded_model(random_model_folder):
    """The same measure twice: of the bare model in training, and of one that was loaded."""
    stream = np.random.default_rng(0).integers(1, 320, 200, dtype=np.int32)
    bare = GPTNeoXForCausalLM.from_pretrained(random_model_folder)
    loaded = load_language_model(str(random_model_folder), "cpu")
    by_position = loss_by_position(loaded, stream[:192].reshape(6, 32), batch_rows=6)
    assert np.allclose(held_out_loss_by_position(bare, stream, 32, 10**9).numpy(), by_position, atol=1e-5)
