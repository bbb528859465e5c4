"""Scores of circuits, whatever made them: by hand, by a plain loop, and where there is none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from saelib.interpret.circuits.attribution import attribute
from saelib.interpret.circuits.circuit import Circuit
from saelib.interpret.circuits.examples import Examples, read_pairs, stream_gradients
from saelib.interpret.circuits.faithfulness import Evaluated, circuit_curves, evaluate_circuits, features_of_share
from saelib.interpret.circuits.splice import split
from tests.helpers.linear_models import identity_sae, linear_model
from tests.helpers.prompt_pairs import pairs_of

TABLE = [[0.0, 0.0, 1.0], [3.0, 1.0, 0.0], [0.0, 2.0, 0.0], [1.0, 0.0, -5.0]]
SIZES = {"shares": (0.1, 0.3), "completeness_shares": (0.05, 0.2)}


def by_hand() -> tuple:
    """A model whose logit 0 - logit 1 is a sum over positions; feature 0 supports the answer, feature 1 opposes it.

    Of the test prompt the features are (0, 0, 1) and (3, 1, 0). Their means over the training prompts, whose last
    tokens are 1 and 3, are (0, 0, 1) and (2, 0.5, 0).
    """
    model = linear_model(TABLE)
    train = read_pairs(model, pairs_of(([0, 1], [0, 2], 0, 1), ([0, 3], [0, 2], 0, 1)), [0])[0]
    test = read_pairs(model, pairs_of(([0, 1], [0, 2], 0, 1)), [0])[0]
    means = attribute(model, identity_sae(3), train, stream_gradients(model, train)).means
    supports = Circuit(torch.tensor([[False, False, False], [True, False, False]]))
    return model, test, means, supports


def test_a_circuit_by_hand():
    """m(M) = 3 - 1 = 2 and m(0) = 2 - 0.5 = 1.5.

    With feature 0 alone m = 3 - 0.5 = 2.5, so (2.5 - 1.5) / 0.5 = 2: it leaves out what opposes. Without it alone
    m = 2 - 1 = 1, so (1 - 1.5) / 0.5 = -1.
    """
    model, test, means, supports = by_hand()
    circuits = {"faithfulness": supports, "completeness": supports.complement(), "all": Circuit.full(2, 3)}
    found = evaluate_circuits(model, identity_sae(3), test, circuits | {"none": Circuit.empty(2, 3)}, means)
    assert {name: one.score for name, one in found.items()} == {
        "faithfulness": 2, "completeness": -1, "all": 1, "none": 0
    }  # fmt: skip
    one = found["faithfulness"]
    assert (one.circuit.tolist(), one.empty.tolist(), one.model.tolist()) == ([2.5], [1.5], [2])
    assert one.reason == "" and one.standard_error == 0  # one prompt says nothing of others


def test_ablation_by_the_patched_prompt_by_hand():
    """Patched features are (0, 2, 0): m(0) = -2. With feature 0 alone 3 - 2 = 1: 3 / 4. Without it alone -1: 1 / 4."""
    model, test, _, supports = by_hand()
    circuits = {"faithfulness": supports, "completeness": supports.complement()}
    found = evaluate_circuits(model, identity_sae(3), test, circuits, means=None)
    assert [one.score for one in found.values()] == [0.75, 0.25]


def test_the_error_term_is_part_of_a_circuit_or_not():
    """Token 3 is (1, 0, -5), of which no feature writes the -5: logit 2 has it from the error term alone."""
    model, _, means, _ = by_hand()
    test = read_pairs(model, pairs_of(([0, 3], [0, 2], 0, 2)), [0])[0]
    kept = Circuit.full(2, 3).kept
    found = evaluate_circuits(
        model, identity_sae(3), test, {"with": Circuit(kept), "without": Circuit(kept, error=False)}, means
    )
    assert found["with"].circuit.tolist() == test.difference.tolist() == [5]  # 1 - (1 - 5)
    assert found["without"].circuit.tolist() == [0]  # 1 - 1


def test_where_ablation_changes_nothing_there_is_no_score():
    model, test, _, supports = by_hand()
    own = split(identity_sae(3), test.stream).features[0]
    one = evaluate_circuits(model, identity_sae(3), test, {0: supports}, own)[0]
    assert np.isnan(one.score) and np.isnan(one.standard_error)
    assert one.reason.startswith("ablating every feature moves the logit difference by 0 ")


def test_a_difference_within_its_own_noise_gives_no_score():
    """Of ±1 around 0.1 over 100 prompts the standard error is 0.1: too near to 0 to divide by."""
    noise = np.tile([1.1, -0.9], 50)
    assert "0.1 ± 0.1" in Evaluated(noise, np.zeros(100), noise).reason
    assert Evaluated(noise + 1, np.zeros(100), noise + 1).score == 1


def test_its_standard_error_is_that_of_a_bootstrap():
    random = np.random.default_rng(0)
    model = 2 + random.standard_normal(300)
    one = Evaluated(0.7 * model + 0.5 * random.standard_normal(300), np.zeros(300), model)
    drawn = random.integers(0, 300, (2000, 300))
    scores = one.circuit[drawn].mean(1) / model[drawn].mean(1)
    assert one.standard_error == pytest.approx(scores.std(), rel=0.1)


def test_a_circuit_of_another_shape_is_refused():
    model, test, means, supports = by_hand()
    with pytest.raises(ValueError, match=r"circuit small: \(1, 3\) positions and features, but .* have \(2, 3\)"):
        evaluate_circuits(model, identity_sae(3), test, {"small": Circuit(supports.kept[:1])}, means)


@pytest.mark.parametrize("by_means", [True, False])
def test_scores_equal_a_loop_over_prompts_and_positions(model, sae, train, others, by_means):
    found = attribute(model, sae, train, stream_gradients(model, train))
    circuit = Circuit.top(found.effects, 5)
    one = evaluate_circuits(model, sae, others, {0: circuit}, found.means if by_means else None, batch_rows=3)[0]
    for row in range(len(others)):
        streams = {"circuit": others.stream[row].clone(), "empty": others.stream[row].clone()}
        for position in range(others.skipped, others.stream.shape[1]):
            clean = sae.encode(others.stream[row, position])
            place = position - others.skipped
            ablated = found.means[place] if by_means else sae.encode(others.patched()[row, position])
            for name, kept in (("circuit", circuit.kept[place]), ("empty", torch.zeros(sae.d_sae))):
                features = torch.stack([clean[i] if kept[i] else ablated[i] for i in range(sae.d_sae)])
                streams[name][position] += (features - clean) @ sae.W_dec
        for name, stream in streams.items():
            logits = model.logits_from(stream[None], others.layer, others.tokens[row : row + 1])[0, -1]
            difference = float(logits[others.answer[row]] - logits[others.other[row]])
            assert getattr(one, name)[row] == pytest.approx(difference, abs=1e-4)


def curves(model, sae, train: Examples, others: Examples, **changes) -> dict:
    found = circuit_curves(model, sae, train, stream_gradients(model, train), others, **(SIZES | changes))
    return {point[:4]: point.evaluated.circuit.tolist() for point in found}


def test_curves_are_the_scores_of_circuits_of_each_size(model, sae, train, others):
    """Of 24 features: shares 0.1, 0.3 are 2 and 7; 0.05 and 0.2 are 1 and 5."""
    found = curves(model, sae, train, others, seed=4)
    assert {key[3] for key in found if key[0] == "faithfulness"} == {2, 7}
    assert {key[3] for key in found if key[0] == "completeness"} == {1, 5}
    assert len(found) == 2 * 2 * 3
    effects, means, active = attribute(model, sae, train, stream_gradients(model, train))
    circuits = {
        ("faithfulness", "attribution", 0.3, 7): Circuit.top(effects, 7),
        ("completeness", "attribution", 0.2, 5): Circuit.top(effects, 5).complement(),
        ("faithfulness", "random", 0.1, 2): Circuit.random(active, 2, seed=4),
        ("completeness", "top_activation", 0.05, 1): Circuit.top(means, 1).complement(),
    }
    for key, one in evaluate_circuits(model, sae, others, circuits, means).items():
        assert found[key] == pytest.approx(one.circuit.tolist(), abs=1e-5)


@pytest.mark.parametrize("changes", [{"signed": False}, {"summed": True}, {"ablation": "patch"}, {"steps": 4}], ids=str)
def test_every_option_changes_the_curves(model, sae, train, others, changes):
    plain, other = curves(model, sae, train, others), curves(model, sae, train, others, **changes)
    assert plain.keys() == other.keys()
    assert plain != other


def test_a_larger_circuit_is_the_more_faithful_up_to_the_whole_model(model, sae, train):
    """On random prompts the patch may help either answer; the one that it harms is taken for the right one."""
    empty = evaluate_circuits(model, sae, train, {0: Circuit.full(6, sae.d_sae)}, None)[0].empty
    swapped = train.difference < torch.from_numpy(empty)
    answer, other = (torch.where(swapped, *each) for each in ((train.other, train.answer), (train.answer, train.other)))
    pairs = replace(
        train, answer=answer, other=other, difference=torch.where(swapped, -train.difference, train.difference)
    )
    found = circuit_curves(
        model, sae, pairs, stream_gradients(model, pairs), pairs, shares=(0.1, 0.5, 1.0), completeness_shares=(1.0,),
        signed=False, ablation="patch", baselines=("random",),
    )  # fmt: skip
    score = {(point.measure, point.choice, point.share): point.evaluated.score for point in found}
    for choice in ("attribution", "random"):
        assert score["faithfulness", choice, 1.0] == pytest.approx(1, abs=1e-3)
        assert score["completeness", choice, 1.0] == pytest.approx(0, abs=1e-3)
    far = [abs(score["faithfulness", choice, 0.5] - 1) for choice in ("attribution", "random")]
    assert far[0] < far[1]


def test_models_that_run_with_hooks_have_circuits_too(hooked, sae, pairs):
    train = read_pairs(hooked, pairs, [1], 1)[1]
    found = curves(hooked, sae, train, train)
    assert found == curves(hooked, sae, train, train)
    assert curves(hooked, sae, train, train, batch_rows=3) == {
        key: pytest.approx(values, abs=1e-4) for key, values in found.items()
    }


@pytest.mark.parametrize(("share", "k"), [(0.02, 123), (0.04, 246), (0.08, 492), (0.0007, 4), (0.00001, 1)])
def test_sizes_as_in_the_paper(share, k):
    assert features_of_share(share, 6144) == k
