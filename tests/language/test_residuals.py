"""Angular distances and norms against vectors whose angles are known, and against loops over tokens."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from saelib.language.residuals import (
    advice_on_first_positions,
    angular_distance,
    behind_the_sink,
    has_sink,
    norms_by_position,
    norms_of_rows,
    norms_of_token,
    positions_behind_the_sink,
    positions_to_skip,
    residual_geometry,
    warning_of_token,
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


@pytest.mark.parametrize(
    ("norms", "is_sink"),
    [
        ([[10.1, 1, 1, 1], [1, 1, 1, 1]], True),  # at one layer
        ([[9.9, 1, 1, 1], [1, 1, 1, 1]], False),
        ([[1, 50, 1, 1]], False),  # elsewhere
        ([[12, 1]], True),  # the median is that of the other positions
        ([[12]], False),
        ([[0, 0, 0]], False),
    ],
)
def test_a_sink_is_a_first_position_over_ten_times_the_median_of_the_others(
    norms: list[list[float]], is_sink: bool
) -> None:
    assert has_sink(np.array(norms, float)) is is_sink


def test_norms_of_a_token_are_those_of_a_loop_and_an_outlier_is_warned_of() -> None:
    table = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    table[1, 7] *= 1000
    rows = np.array([[7, 1, 2], [3, 7, 4], [5, 6, 8], [7, 7, 0]])
    token, median = norms_of_token(FixedStreams(table), rows, range(2), 2, 7, skip_first=1)  # type: ignore[arg-type]
    for layer in range(2):
        lengths = [float(torch.linalg.vector_norm(vector)) for vector in table[layer]]
        assert token[layer] == pytest.approx(lengths[7], rel=1e-6)
        assert median[layer] == pytest.approx(np.median([lengths[4], lengths[0]]), rel=1e-6)
    said = warning_of_token((token, median), [3, 4], "<end>")
    assert f"`<end>` has **{token[1] / median[1]:.0f} times** the median norm (layer 4)" in said
    assert warning_of_token((token[:1], median[:1]), [3], "<end>") == ""
    nowhere = norms_of_token(FixedStreams(table), rows[2:3], range(2), 2, 7)  # type: ignore[arg-type]
    assert warning_of_token(nowhere, [3, 4], "<end>") == ""


def rows_behind_a_sink() -> np.ndarray:
    """Two layers, four rows, eight positions: the sink's is long in each, the next one in two rows of one layer."""
    norms = np.ones((2, 4, 8))
    norms[:, :, 0] = 99
    norms[1, 2:, 1] = 30, 12
    norms[1, 0, 3] = 4
    return norms


def test_what_is_left_behind_a_sink_token_is_said_of_single_vectors() -> None:
    norms = rows_behind_a_sink()
    assert norms.mean(axis=1)[1, 1] == 11  # of which a mean over some rows more would show nothing
    assert positions_behind_the_sink(norms) == 2
    said = behind_the_sink(norms, [3, 4], "<s>", 1)
    assert "the first 1 position(s) left out, the longest of all residual vectors of 4 rows" in said
    assert "is **30.0 times** the median (layer 4, position 2 of the row)" in said
    assert "**2 of 4** rows have outliers of up to 30 times: `skip_first=2` leaves them out; this run leaves 1" in said
    said = behind_the_sink(norms, [3, 4], "<s>", 2)
    assert "is **4.0 times** the median (layer 4, position 4 of the row)" in said
    assert said.endswith("`skip_first=2` leaves them out; as this run has it.")
    norms[1, 2:, 1] = 1
    assert positions_behind_the_sink(norms) == 1
    assert behind_the_sink(norms, [3, 4], "<s>", 1).endswith("(layer 4, position 4 of the row).")


def test_what_is_an_outlier_is_measured_against_the_positions_behind_the_first() -> None:
    norms = np.array([[11.0, 1, 1], [1, 1, 1]])
    assert has_sink(norms) and positions_to_skip(norms) == 1
    norms = np.array([[30.0, 2.0]])  # the median of both is 16, that of what is behind the first 2
    assert has_sink(norms) and positions_to_skip(norms) == 1


def test_norms_of_rows_are_those_of_a_loop() -> None:
    table = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    rows = np.arange(9).reshape(3, 3)
    found = norms_of_rows(FixedStreams(table), rows, range(2), 2)  # type: ignore[arg-type]
    for layer in range(2):
        for place, token in enumerate(rows.flat):
            length = sum(x * x for x in table[layer, token].tolist()) ** 0.5
            assert found[layer].flat[place] == pytest.approx(length, rel=1e-6)


def test_norms_by_position_are_those_of_a_loop_and_outliers_at_the_start_are_to_be_skipped() -> None:
    norms = np.ones((2, 8))
    assert positions_to_skip(norms) == 0
    norms[1, :2] = 11
    norms[0, 5] = 50  # in the middle: no position to skip
    assert positions_to_skip(norms) == 2
    advice = advice_on_first_positions(norms, [3, 4], 0)
    assert '`sink_token="auto"` with `skip_first=2` is recommended; this run leaves 0 out; a new `run`' in advice
    assert "11.0 times** the median (layer 4)" in advice_on_first_positions(norms, [3, 4], 2)
    assert advice_on_first_positions(norms, [3, 4], 2, "<s>").endswith("is recommended; as this run has it.")
    assert advice_on_first_positions(norms, [3, 4], 2).endswith("positions out, with the text that is there.")
    assert advice_on_first_positions(np.ones((2, 8)), [3, 4], 0).endswith("(layer 3). No position need be skipped.")
    table = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(0))
    rows = np.arange(9).reshape(3, 3)
    found = norms_by_position(FixedStreams(table), rows, range(2), 2)  # type: ignore[arg-type]
    for layer in range(2):
        for position in range(3):
            lengths = [sum(x * x for x in table[layer, row[position]].tolist()) ** 0.5 for row in rows]
            assert found[layer, position] == pytest.approx(sum(lengths) / 3, rel=1e-6)
    skipped = residual_geometry(FixedStreams(table), rows, range(2), 2, skip_first=1)  # type: ignore[arg-type]
    assert skipped.norms == pytest.approx(found[:, 1:].mean(axis=1))
