"""Features in and out of a stream."""

import pytest
import torch

from saelib.interpret.circuits.examples import read_pairs
from saelib.interpret.circuits.splice import joined, split
from tests.helpers.linear_models import identity_sae, linear_model
from tests.helpers.prompt_pairs import pairs_of
from tests.helpers.small_models import close
from tests.helpers.small_saes import small_sae
from tests.helpers.spliced import spliced_difference

STREAM = torch.randn(4, 5, 6, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("skipped", [0, 2])
def test_a_stream_is_what_its_features_write_and_what_they_leave(skipped):
    sae = small_sae().requires_grad_(False)
    features, error = split(sae, STREAM, skipped)
    assert features.shape == (4, 5 - skipped, 20)
    assert close(joined(sae, STREAM, features, error), STREAM)
    reconstructed = joined(sae, STREAM, features, None)
    assert close(reconstructed[:, skipped:], sae(STREAM[:, skipped:]))
    assert torch.equal(reconstructed[:, :skipped], STREAM[:, :skipped])


def test_neither_part_leads_back_to_the_stream():
    features, error = split(small_sae(), STREAM.clone().requires_grad_())
    assert not features.requires_grad and not error.requires_grad


def test_a_splice_by_hand():
    """Token 1 is (3, 1, -2): features 3 and 1, error -2. Logits are sums over both positions."""
    model, sae = linear_model([[1.0, 0.0, 0.0], [3.0, 1.0, -2.0]]), identity_sae(3)
    one = read_pairs(model, pairs_of(([0, 1], [0, 0], 0, 2)), [0])[0]
    assert one.difference.tolist() == [6]  # 1 + 3 - (0 - 2)
    assert spliced_difference(model, sae, one, lambda features: features).tolist() == [6]
    assert spliced_difference(model, sae, one, lambda features: 2 * features).tolist() == [10]  # 2 + 6 + 2
    assert spliced_difference(model, sae, one, torch.zeros_like).tolist() == [2]  # what the error does alone
    assert spliced_difference(model, sae, one, lambda features: features, error=False).tolist() == [4]


def test_unchanged_features_leave_the_model_as_it_is(model, sae, train):
    unchanged = spliced_difference(model, sae, train, lambda features: features)
    assert unchanged.tolist() == pytest.approx(train.difference.tolist(), abs=1e-4)
    other = spliced_difference(model, sae, train, torch.zeros_like)
    assert not torch.allclose(other, train.difference, atol=1e-3)
