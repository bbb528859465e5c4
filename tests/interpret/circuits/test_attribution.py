"""Effects of features: by hand, by a plain loop, and along a way."""

import pytest
import torch

from saelib.interpret.circuits.attribution import attribute, fact_scores
from saelib.interpret.circuits.examples import difference_at, read_facts, read_pairs, stream_gradients
from saelib.interpret.circuits.splice import joined, split
from tests.helpers.linear_models import identity_sae, linear_model
from tests.helpers.prompt_pairs import pairs_of
from tests.helpers.small_models import close
from tests.helpers.spliced import spliced_difference

TABLE = [[0.0, 0.0, 1.0], [3.0, 1.0, 0.0], [0.0, 2.0, 0.0]]


def test_effects_by_hand():
    """Where token 1 stands, feature 0 goes from 3 to 0 and feature 1 from 1 to 2; the gradient there is (-1, 1, 0).

    So their effects are 3 and 1. Each of the two pairs has it at another position, hence the halves.
    """
    model = linear_model(TABLE)
    train = read_pairs(model, pairs_of(([0, 1], [0, 2], 0, 1), ([1, 0], [2, 0], 0, 1)), [0])[0]
    found = attribute(model, identity_sae(3), train, stream_gradients(model, train))
    assert found.effects.tolist() == [[1.5, 0.5, 0], [1.5, 0.5, 0]]
    assert found.means.tolist() == [[1.5, 0.5, 0.5], [1.5, 0.5, 0.5]]
    assert found.active.all()


def test_effects_equal_a_loop_over_prompts(model, sae, train):
    gradient = stream_gradients(model, train)
    found = attribute(model, sae, train, gradient, batch_rows=4)
    sums = torch.zeros_like(found.effects)
    for row in range(len(train)):
        one = train.rows(slice(row, row + 1))
        features, error = split(sae, one.stream, one.skipped)
        patched = sae.encode(one.patched()[:, one.skipped :])
        features.requires_grad_()
        opposite = -difference_at(model, one, joined(sae, one.stream, features, error)).sum()
        sums += ((patched - features) * torch.autograd.grad(opposite, features)[0])[0].detach()
    assert found.effects.shape == (train.tokens.shape[1] - train.skipped, sae.d_sae)
    assert found.effects.flatten().tolist() == pytest.approx((sums / len(train)).flatten().tolist(), abs=1e-5)
    clean = split(sae, train.stream, train.skipped).features
    assert close(found.means, clean.mean(0))
    assert torch.equal(found.active, (clean > 0).any(0))


def test_nothing_before_the_changed_token_has_an_effect(model, sae, train):
    """Prompts differ at position 2, which is the second one that is read."""
    effects = attribute(model, sae, train, stream_gradients(model, train)).effects
    assert not effects[0].any() and effects[1].any()


def test_integrated_gradients_of_a_straight_model_are_its_gradient():
    model, sae = linear_model(TABLE), identity_sae(3)
    train = read_pairs(model, pairs_of(([0, 1], [0, 2], 0, 1)), [0])[0]
    gradient = stream_gradients(model, train)
    assert close(attribute(model, sae, train, gradient, 7).effects, attribute(model, sae, train, gradient).effects)


def test_integrated_gradients_sum_to_what_all_features_do_together(model, sae, train):
    """The completeness of integrated gradients (Sundararajan et al. 2017), up to the steps' width."""
    gradient = stream_gradients(model, train)

    def all_patched(features: torch.Tensor) -> torch.Tensor:
        return split(sae, train.patched(), train.skipped).features

    together = float((train.difference - spliced_difference(model, sae, train, all_patched)).detach().mean())
    errors = [abs(float(attribute(model, sae, train, gradient, steps).effects.sum()) - together) for steps in (1, 100)]
    assert abs(together) > 0.05 and errors[0] > 0.001
    assert errors[1] < errors[0] / 10


def test_facts_are_no_pairs(model, sae):
    facts = read_facts(model, [[1, 2, 3]], [4], [5], [1])[1]
    with pytest.raises(ValueError, match="these prompts are facts"):
        attribute(model, sae, facts, stream_gradients(model, facts))


def test_scores_of_facts_by_hand():
    """The gradient is 1 in the right coordinate, -1 in the wrong one: 3 x 1; 1 x 1; 1 x 1, of the token before."""
    model = linear_model(TABLE)
    facts = read_facts(model, [[0, 1]] * 3, [0, 1, 2], [1, 0, 1], [0])[0]
    scores = fact_scores(model, identity_sae(3), facts, stream_gradients(model, facts))
    assert scores.tolist() == [3, 1, 1]


def test_a_fact_that_every_feature_opposes_scores_below_zero():
    """However long the prompts beside it: what fills it up is no position of its own."""
    model = linear_model([[1.0, 2.0], [0.0, 0.0]], unembedding=torch.tensor([[-1.0, -1.0], [0.0, 0.0]]))
    facts = read_facts(model, [[0], [0, 0, 1]], [0, 0], [1, 1], [0])[0]
    scores = fact_scores(model, identity_sae(2), facts, stream_gradients(model, facts))
    assert scores.tolist() == [-1, 0]


def test_scores_of_facts_equal_a_loop(model, sae):
    prompts = [[5, 9, 2], [7, 1, 30, 8, 4], [3, 3]]
    facts = read_facts(model, prompts, [1, 2, 3], [4, 5, 6], [1], skipped=1)[1]
    scores = fact_scores(model, sae, facts, stream_gradients(model, facts), batch_rows=2)
    for row, prompt in enumerate(prompts):
        one = read_facts(model, [prompt], [row + 1], [row + 4], [1], skipped=1)[1]
        features, error = split(sae, one.stream, 1)
        features.requires_grad_()
        difference = difference_at(model, one, joined(sae, one.stream, features, error)).sum()
        shares = features * torch.autograd.grad(difference, features)[0]
        assert scores[row] == pytest.approx(float(shares.detach().max()), rel=1e-4)
