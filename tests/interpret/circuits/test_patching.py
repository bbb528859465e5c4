"""Attribution against exact patching: the same where nothing is curved, alike on a real model."""

from functools import partial

import numpy as np
import pytest
import torch

from saelib.interpret.circuits.attribution import attribute
from saelib.interpret.circuits.examples import read_pairs, stream_gradients
from saelib.interpret.circuits.patching import agreement, compared_places, exact_effects
from saelib.interpret.circuits.splice import split
from saelib.language.loading import load_language_model
from tests.helpers.linear_models import linear_model
from tests.helpers.prompt_pairs import pairs_of, random_pairs
from tests.helpers.small_saes import small_sae
from tests.helpers.spliced import spliced_difference

TEXT = " Return the sum of the values along the given axis, or a new array of the same shape as the input."


def compared(model, sae, train, count=40):
    effects = attribute(model, sae, train, stream_gradients(model, train)).effects
    places = compared_places(effects, count, seed=0)
    attributed = effects[places[:, 0], places[:, 1]].numpy()
    return attributed, exact_effects(model, sae, train, places, batch_rows=7)


def test_in_a_linear_model_attribution_is_exact():
    generator = torch.Generator().manual_seed(0)
    table = torch.randn(20, 6, generator=generator).tolist()
    model = linear_model(table, unembedding=torch.randn(20, 6, generator=generator))
    train = read_pairs(model, random_pairs(20), [0])[0]
    attributed, exact = compared(model, small_sae(6, 20), train)
    found = agreement(attributed, exact)
    assert found.places == 20  # only one position differs
    assert found.relative_error < 0.05
    assert attributed.tolist() == pytest.approx(exact.tolist(), abs=1e-5)
    assert found.spearman == pytest.approx(1)


def test_on_a_real_model_the_ranks_agree():
    """The embedded model on a sentence of its own kind, one word of it exchanged."""
    model = load_language_model("embedded", device="cpu")
    tokens = model.tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    random = np.random.default_rng(0)
    pairs = []
    for start in range(6):
        clean = tokens[start : start + 12]
        patch = [*clean]
        patch[3] = int(random.choice(tokens))
        pairs.append((clean, patch, tokens[start + 12], int(random.choice(tokens))))
    train = read_pairs(model, pairs_of(*pairs), [2])[2]
    scale = train.stream.norm(dim=-1).mean() / model.d_model**0.5
    sae = small_sae(model.d_model, 256).requires_grad_(False).fold_scale(float(scale))
    found = agreement(*compared(model, sae, train, count=60))
    assert found.places == 60
    assert found.spearman > 0.9


def put_in(changed: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
    return changed


def test_exact_effects_equal_one_run_for_each_feature(model, sae, train):
    places = torch.tensor([[1, 3], [1, 10], [4, 3], [0, 0], [5, 23]])
    clean, patched = (split(sae, stream, 1).features for stream in (train.stream, train.patched()))
    expected = []
    for position, feature in places.tolist():
        changed = clean.clone()
        changed[:, position, feature] = patched[:, position, feature]
        after = spliced_difference(model, sae, train, partial(put_in, changed))
        expected.append(float((train.difference - after).detach().mean()))
    found = exact_effects(model, sae, train, places, batch_rows=3)
    assert found.tolist() == pytest.approx(expected, abs=1e-5)
    assert np.abs(found).max() > 1e-3
    assert found[3] == 0  # before the changed token


def test_half_of_the_places_are_the_largest_and_none_is_without_effect():
    effects = torch.zeros(3, 10)
    effects[1, :8] = torch.tensor([1.0, -9.0, 2.0, 3.0, -4.0, 5.0, 6.0, 7.0])
    places = compared_places(effects, 5, seed=0)
    assert places[:3].tolist() == [[1, 1], [1, 7], [1, 6]]
    assert len({tuple(place) for place in places.tolist()}) == 5
    assert all(effects[position, feature] for position, feature in places.tolist())
    assert torch.equal(places, compared_places(effects, 5, seed=0))
    assert len(compared_places(effects, 100, seed=0)) == 8
    assert compared_places(torch.zeros(2, 2), 4, seed=0).shape == (0, 2)


def test_agreement_by_hand():
    """Ranks 1 2 3 against 1 3 2: rho = 1 - 6 (0 + 1 + 1) / (3 x 8) = 0.5; errors 0, 2, 1 of sizes 1, 5, 3."""
    found = agreement(np.array([1.0, 3.0, 4.0]), np.array([1.0, 5.0, 3.0]))
    assert list(found) == pytest.approx([0.5, 3 / 9, 3])


def test_without_any_effect_there_is_no_agreement_to_state(model, sae, train):
    nothing = exact_effects(model, sae, train, torch.tensor([[0, 1], [0, 2]]))
    assert nothing.tolist() == [0, 0]
    for exact in (nothing, nothing[:0]):
        found = agreement(exact, exact)
        assert np.isnan(found.spearman) and np.isnan(found.relative_error) and found.places == len(exact)
