"""Angular distances and norms against vectors whose angles are known, and against loops over tokens."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from saelib.language.residuals import (
    advice_on_first_positions,
    angular_distance,
    norms_by_position,
    positions_to_skip,
    residual_geometry,
)


class FixedStreams:
    """Stands in for a language model: its residual stream is a table look-up, one table for each layer."""

    device = torch.device("cpu")

    def __init__(self, tables: Tensor) -> None:
        self.tables = tables

    def residual_streams(self, tokens: Tensor, layers: list[int]) -> Tensor:
        return self.tables[list(layers)][:, tokens]


@pytest.mark.parametrize(("degrees", "wanted"), [(0, 0.0), (45, 0.5), (90, 1.0), (180, 2.0)])
def test_angles_by_hand(degrees: float, wanted: float) -> None:
    turned = torch.tensor([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))], dtype=torch.float64)
    distance = angular_distance(torch.tensor([3.0, 0.0], dtype=torch.float64), 7 * turned)
    assert distance.item() == pytest.approx(wanted, abs=1e-7)


def test_means_over_tokens_equal_a_loop_whatever_the_batch() -> None:
    tables = torch.randn(3, 20, 5, generator=torch.Generator().manual_seed(0))
    rows = np.random.default_rng(0).integers(0, 20, (6, 7), dtype=np.int32)
    found = [residual_geometry(FixedStreams(tables), rows, range(3), batch_rows) for batch_rows in (1, 4, 6)]  # type: ignore[arg-type]
    for geometry in found:
        for i in range(3):
            vectors = [tables[i, token].double().numpy() for token in rows.ravel()]
            assert geometry.norms[i] == pytest.approx(np.mean([np.linalg.norm(vector) for vector in vectors]))
            for j in range(3):
                others = [tables[j, token].double().numpy() for token in rows.ravel()]
                angles = [math.acos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))
                          for a, b in zip(vectors, others, strict=True)]  # fmt: skip
                assert geometry.angular_distance[i, j] == pytest.approx(2 / math.pi * np.mean(angles), abs=1e-6)
        assert (np.diag(geometry.angular_distance) == 0).all()


def test_a_layers_size_does_not_matter() -> None:
    table = torch.randn(1, 9, 4, generator=torch.Generator().manual_seed(0))
    geometry = residual_geometry(FixedStreams(torch.cat([table, 5 * table, -table])), np.arange(9)[None], range(3), 1)  # type: ignore[arg-type]
    assert geometry.norms[1] == pytest.approx(5 * geometry.norms[0])
    assert geometry.angular_distance[0] == pytest.approx([0, 0, 2], abs=1e-3)  # arccos is steep at 1


def test_norms_by_position_are_those_of_a_loop_and_outliers_at_the_start_are_to_be_skipped() -> None:
    norms = np.ones((2, 8))
    assert positions_to_skip(norms) == 0
    norms[1, :2] = 11
    norms[0, 5] = 50  # in the middle: no position to skip
    assert positions_to_skip(norms) == 2
    assert "`skip_first=2` is recommended" in advice_on_first_positions(norms, [3, 4], 0)
    assert "11.0 times** the median (layer 4)" in advice_on_first_positions(norms, [3, 4], 2)
    table = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    rows = np.arange(9).reshape(3, 3)
    found = norms_by_position(FixedStreams(table), rows, range(2), 2)  # type: ignore[arg-type]
    for layer in range(2):
        for position in range(3):
            lengths = [sum(x * x for x in table[layer, row[position]].tolist()) ** 0.5 for row in rows]
            assert found[layer, position] == pytest.approx(sum(lengths) / 3, rel=1e-6)
    skipped = residual_geometry(FixedStreams(table), rows, range(2), 2, skip_first=1)  # type: ignore[arg-type]
    assert skipped.norms == pytest.approx(found[:, 1:].mean(axis=1))
