"""Nearest decoder rows, by hand and beside numpy."""

import numpy as np
import pytest
import torch

from saelib.interpret.features import neighbours as module
from saelib.interpret.features.neighbours import nearest_rows, neighbours, unit_rows


def test_a_case_by_hand() -> None:
    # Row 0 points along x, row 1 at 45 degrees to it (cosine 0.7071), row 2 against it, row 3 is 0: cosine 0 with all.
    decoder = torch.tensor([[2.0, 0.0], [1.0, 1.0], [-3.0, 0.0], [0.0, 0.0]])
    found = neighbours(decoder, 3)
    assert found.indices[0].tolist() == [1, 3, 2]
    assert found.cosines[0].tolist() == pytest.approx([0.5**0.5, 0.0, -1.0])
    assert nearest_rows(torch.tensor([[-1.0, 0.1]]), decoder).indices.tolist() == [[2]]


@pytest.mark.parametrize("width", [5, 768])
def test_rows_of_length_1_are_torchs_to_the_bit(width: int) -> None:
    rows = torch.randn(50, width, dtype=torch.float64, requires_grad=True)
    found = unit_rows(torch.cat([rows, torch.zeros(1, width)]))
    assert found.dtype == torch.float32 and not found.requires_grad
    assert found.equal(torch.nn.functional.normalize(torch.cat([rows.detach(), torch.zeros(1, width)]).float(), dim=1))
    assert not found[-1].any()


def test_they_are_numpys_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = torch.randn(23, 6), torch.randn(31, 6)
    monkeypatch.setattr(module, "COSINES_AT_ONCE", 5 * 31)
    unit = [(rows / rows.norm(dim=1, keepdim=True)).double().numpy() for rows in (first, second)]
    among = unit[0] @ unit[1].T
    found = nearest_rows(first, second, 4)
    assert found.indices.tolist() == np.argsort(-among, axis=1)[:, :4].tolist()
    assert np.allclose(found.cosines, -np.sort(-among, axis=1)[:, :4], atol=1e-6)
    own = unit[1] @ unit[1].T
    np.fill_diagonal(own, -np.inf)
    assert neighbours(second, 4).indices.tolist() == np.argsort(-own, axis=1)[:, :4].tolist()


def test_a_small_decoder_has_fewer() -> None:
    assert neighbours(torch.eye(3), 9).indices.shape == (3, 2)
    assert nearest_rows(torch.eye(3), torch.eye(3)[:2], 9).indices.shape == (3, 2)


def test_rows_of_dead_features_are_nobodys_match() -> None:
    # (1, 0) is nearest to row 0, which is dead; of rows 1 and 2 row 2 is nearer (cosine 0.8).
    among = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]])
    one = torch.tensor([[1.0, 0.0]])
    found = nearest_rows(one, among, 3, np.array([False, True, True]))
    assert found.indices.tolist() == [[2, 1]]
    assert found.cosines[0].tolist() == pytest.approx([0.8, 0.6])
    assert nearest_rows(one, among, alive=np.zeros(3, bool)).indices.tolist() == [[0]]  # none is better than another
