"""When two ways of reading count as one: in short numbers by every token that may be said, not by the mean alone."""

import pytest
import torch

from saelib.htest.engines.decoding import same

VOCABULARY = 1000


def chances(first: float = 0.0, last: float = 0.0) -> torch.Tensor:
    """Two rows of log-probabilities in which tokens 0 and 1 are likely and all others are 20 nats below.

    Args:
        first: added to token 0 of the second row.
        last: added to one unlikely token there.
    """
    values = torch.full((2, VOCABULARY), -20.7)
    values[:, :2] = -0.7
    values[1, 0] += first
    values[1, -1] += last
    return values


@pytest.mark.parametrize(
    ("dtype", "other", "alike"),
    [
        (torch.float32, chances(5e-4), True),
        (torch.float32, chances(2e-3), False),
        (torch.float32, chances(last=2e-3), False),
        (torch.bfloat16, chances(0.2), True),
        (torch.bfloat16, chances(last=-5), True),  # nobody will say it
        (torch.bfloat16, chances(1), False),  # 0.0005 nats in the mean
        (torch.float16, chances(-1), False),
        (torch.float16, chances(last=20), False),  # likely by one of the two ways
        (torch.bfloat16, chances() - 0.2, False),  # all of them, a little
        (torch.bfloat16, chances()[:1], False),
        (torch.bfloat16, chances(float("nan")), False),
    ],
)
def test_ways_are_alike_where_every_likely_token_is(dtype: torch.dtype, other: torch.Tensor, alike: bool) -> None:
    assert same(chances(), other, dtype) is alike
    assert same(other, chances(), dtype) is alike
