"""Chunks of activations are pure functions of seed and number."""

import torch

from saelib.sae.activations import batches, chunk_activations, chunk_order
from tests.helpers.small_world import ToyModel, toy_config, toy_rows

LAYERS = [0, 1, 2]


def test_a_chunk_is_a_pure_function_of_seed_and_number() -> None:
    config, model = toy_config(), ToyModel()
    late = chunk_activations(model, toy_rows(), 3, config, LAYERS)
    chunk_activations(model, toy_rows(), 0, config, LAYERS)
    assert torch.equal(late, chunk_activations(model, toy_rows(), 3, config, LAYERS))
    assert torch.equal(late[1:2], chunk_activations(model, toy_rows(), 3, config, [1]))
    assert torch.equal(chunk_order(0, 3, 64), chunk_order(0, 3, 64))
    assert not torch.equal(chunk_order(0, 3, 64), chunk_order(0, 4, 64))
    assert sorted(chunk_order(1, 2, 64).tolist()) == list(range(64))


def test_a_chunk_holds_its_rows_in_reading_order() -> None:
    config, model = toy_config(), ToyModel()
    tokens = torch.from_numpy(toy_rows().take(config.chunk_rows, config.chunk_rows)).long()
    expected = model.residual_streams(tokens, LAYERS).flatten(1, 2)
    assert torch.equal(chunk_activations(model, toy_rows(), 1, config, LAYERS), expected)


def test_batches_hold_the_same_tokens_of_all_layers_each_once() -> None:
    activations = torch.arange(64.0).repeat(2, 1).unsqueeze(-1) + torch.tensor([0.0, 100.0]).view(2, 1, 1)
    order = chunk_order(0, 0, 64)
    given = list(batches(activations, order, 16))
    assert [batch.shape for batch in given] == [(2, 16, 1)] * 4
    assert torch.equal(torch.cat([batch[0, :, 0] for batch in given]), order.float())
    assert all(torch.equal(batch[1], batch[0] + 100) for batch in given)
