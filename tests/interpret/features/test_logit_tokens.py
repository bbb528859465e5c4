"""Top and bottom tokens of decoder rows, by hand and by a plain sort."""

import numpy as np
import pytest
import torch

from saelib.interpret.features import logit_tokens as module
from saelib.interpret.features.logit_tokens import logit_tokens


def test_a_case_by_hand() -> None:
    # Two directions, four tokens: row (1, 0) gives the logits of the first line, (0, -1) those of the second, negated.
    unembedding = torch.tensor([[3.0, -2.0, 0.0, 1.0], [1.0, 5.0, -4.0, -2.0]])
    found = logit_tokens(torch.tensor([[1.0, 0.0], [0.0, -1.0]]), unembedding, 2)
    assert found.top_ids.tolist() == [[0, 3], [2, 3]]
    assert found.top_logits.tolist() == [[3, 1], [4, 2]]
    assert found.bottom_ids.tolist() == [[1, 2], [1, 0]]
    assert found.bottom_logits.tolist() == [[-2, 0], [-5, -1]]


def test_they_are_those_of_a_plain_sort_however_it_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder, unembedding = torch.randn(30, 8), torch.randn(8, 50)
    monkeypatch.setattr(module, "LOGITS_AT_ONCE", 4 * 50)
    found = logit_tokens(decoder, unembedding, 10)
    order = np.argsort(decoder.double().numpy() @ unembedding.double().numpy(), axis=1)
    assert found.top_ids.tolist() == order[:, ::-1][:, :10].tolist()
    assert found.bottom_ids.tolist() == order[:, :10].tolist()


def test_more_tokens_than_there_are_is_refused() -> None:
    with pytest.raises(ValueError, match="logit_tokens=5: the vocabulary has 4 tokens"):
        logit_tokens(torch.zeros(1, 2), torch.zeros(2, 4), 5)
