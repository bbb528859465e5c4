"""The best contexts of a feature: those of a naive sort, whatever the batches, in memory that stays flat."""

import pytest
import torch

from saelib.interpret.features.contexts import NOWHERE, FeatureContexts, TopContexts
from tests.helpers.live_memory import live_memory


def streamed(activations: torch.Tensor, k: int, batch: int = 3, before: int = 2, after: int = 1) -> FeatureContexts:
    contexts = TopContexts(activations.shape[-1], k, before, after)
    for rows in activations.split(batch):
        contexts.add(rows)
    return contexts.result()


def naive(activations: torch.Tensor, feature: int, k: int) -> list[tuple[float, int]]:
    """(activation, position) of the k best rows by Python's own sort, which is stable."""
    rows, context, _ = activations.shape
    peaks = []
    for row in range(rows):
        values = activations[row, :, feature].tolist()
        if max(values) > 0:
            peaks.append((max(values), row * context + values.index(max(values))))
    return sorted(peaks, key=lambda peak: -peak[0])[:k]


def sparse(rows: int, context: int, features: int, levels: int = 0) -> torch.Tensor:
    """Activations most of which are 0; with a few levels only, so that many are equal."""
    activations = torch.relu(torch.randn(rows, context, features) - 1)
    return activations.mul(levels).ceil() if levels else activations


@pytest.mark.parametrize("levels", [0, 2])
@pytest.mark.parametrize("batch", [1, 4, 40])
def test_they_are_those_of_a_naive_sort(levels: int, batch: int) -> None:
    activations = sparse(40, 6, 15, levels)
    activations[:, :, 3] = 0  # one that is never active
    activations[7:, :, 4] = 0  # and one that is active in fewer rows than are kept
    found = streamed(activations, 8, batch)
    for feature in range(15):
        pairs = list(zip(found.values[feature].tolist(), found.positions[feature].tolist(), strict=True))
        assert [pair for pair in pairs if pair[1] != NOWHERE] == naive(activations, feature, 8)
    assert found.positions[3].tolist() == [NOWHERE] * 8
    assert found.values[3].tolist() == [0.0] * 8


def test_a_case_by_hand() -> None:
    # One feature, three rows of four tokens. Row 1 is strongest at its token 2 (position 6). Rows 0 and 2 tie at 3: the
    # earlier row comes first, and in row 0 the earlier of two equal tokens (position 1).
    rows = torch.tensor([[0.0, 3, 3, 0], [1, 2, 5, 4], [3, 0, 0, 0]]).unsqueeze(-1)
    found = streamed(rows, 3, before=2, after=1)
    assert found.values.tolist() == [[5, 3, 3]]
    assert found.positions.tolist() == [[6, 1, 8]]
    # Windows reach two tokens back and one on; what lies outside the row is 0.
    assert found.windows.tolist() == [[[1, 2, 5, 4], [0, 0, 3, 3], [0, 0, 3, 0]]]


def test_without_rows_there_are_no_contexts() -> None:
    found = TopContexts(2, 3, 1, 1).result()
    assert found.positions.tolist() == [[NOWHERE] * 3] * 2
    assert found.windows.shape == (2, 3, 3)


def test_other_features_are_refused() -> None:
    contexts = TopContexts(5, 3)
    with pytest.raises(ValueError, match="activations of 4 features; the contexts are those of 5"):
        contexts.add(torch.zeros(1, 2, 4))


def test_memory_is_flat_in_tokens_for_several_thousand_features() -> None:
    peaks = []
    for times in (1, 8):
        contexts = TopContexts(4096, 10)
        with live_memory() as memory:
            for seed in range(times * 4):
                generator = torch.Generator().manual_seed(seed)
                contexts.add(torch.relu(torch.randn(4, 32, 4096, generator=generator)))
                contexts.result()
        peaks.append(memory.most)
    assert peaks[1] <= 1.02 * peaks[0]
