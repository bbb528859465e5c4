"""Chunks of activations are pure functions of seed and number."""

import torch

from saelib.sae.activations import chunk_order, plan_chunk
from tests.helpers.small_world import ToyModel, toy_config, toy_rows

LAYERS = [0, 1, 2]


def test_a_chunk_is_a_pure_function_of_seed_and_number() -> None:
    config, model = toy_config(), ToyModel()
    late = plan_chunk(model, toy_rows(), 3, config, 0, LAYERS).filled()
    plan_chunk(model, toy_rows(), 0, config, 0, LAYERS).filled()
    assert torch.equal(late, plan_chunk(model, toy_rows(), 3, config, 0, LAYERS).filled())
    assert torch.equal(late[1:2], plan_chunk(model, toy_rows(), 3, config, 0, [1]).filled())
    assert torch.equal(chunk_order(0, 3, 64), chunk_order(0, 3, 64))
    assert not torch.equal(chunk_order(0, 3, 64), chunk_order(0, 4, 64))
    assert sorted(chunk_order(1, 2, 64).tolist()) == list(range(64))


def test_a_chunk_holds_its_rows_tokens_in_the_chunks_order() -> None:
    config, model = toy_config(), ToyModel()
    tokens = torch.from_numpy(toy_rows().take(config.chunk_rows, config.chunk_rows)).long()
    in_reading_order = model.residual_streams(tokens, LAYERS).flatten(1, 2)
    expected = in_reading_order[:, chunk_order(0, 1, config.chunk_tokens)]
    assert torch.equal(plan_chunk(model, toy_rows(), 1, config, 0, LAYERS).filled(), expected)


def test_neither_rows_per_pass_nor_the_order_of_filling_changes_a_chunk() -> None:
    config, model = toy_config(), ToyModel()
    expected = plan_chunk(model, toy_rows(), 1, config, 0, LAYERS).filled()
    for rows_per_pass in (1, 3, 4):
        planned = plan_chunk(model, toy_rows(), 1, config, 0, LAYERS, rows_per_pass)
        for fill in reversed(planned.fills):
            fill()
        torch.testing.assert_close(planned.activations, expected)


def test_positions_that_are_skipped_are_in_no_chunk_and_all_others_are() -> None:
    config, model = toy_config(skip_first=3), ToyModel()
    rows = toy_rows().take(5, 5)  # 64 tokens to train on, 13 from each row: five rows, and the last gives 12
    kept = [(row, position) for row in range(5) for position in range(3, 16)][: config.chunk_tokens]
    streams = model.residual_streams(torch.from_numpy(rows).long(), LAYERS)
    expected = torch.stack([torch.stack([streams[layer, row, place] for row, place in kept]) for layer in LAYERS])
    for rows_per_pass in (1, 2, 5):
        filled = plan_chunk(model, toy_rows(), 1, config, 0, LAYERS, rows_per_pass).filled()
        torch.testing.assert_close(filled, expected[:, chunk_order(0, 1, 64)])
