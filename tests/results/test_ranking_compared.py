"""Differences of AUROC and the AUROC at a fixed number: by hand, beside other implementations, and where the truth is
known."""

import itertools

import numpy as np
import pytest
from scipy.stats import mannwhitneyu, norm

from saelib.results.ranking import auroc
from saelib.results.ranking_compared import Kinds, auroc_difference, auroc_held_fixed, auroc_held_near


def kinds(random: np.random.Generator, shift: float, items: int = 100, spread: float = 1.0) -> Kinds:
    return random.normal(shift, spread, items), random.normal(0, 1, items)


def naive_delong(first: Kinds, second: Kinds) -> float:
    """Variance of the difference on the same items, by the definition: loops over pairs."""

    def above(a: float, b: float) -> float:
        return float(a > b) + 0.5 * float(a == b)

    rows = [[np.mean([above(a, b) for b in one[1]]) for a in one[0]] for one in (first, second)]
    columns = [[np.mean([above(a, b) for a in one[0]]) for b in one[1]] for one in (first, second)]
    parts = [np.subtract(one, two) for one, two in (rows, columns)]
    return sum(float(np.var(part, ddof=1)) / len(part) for part in parts)


def test_the_difference_is_that_of_the_two_aurocs() -> None:
    first, second = (np.array([1.0, 3]), np.array([0.0, 2])), (np.array([5.0, 6]), np.array([1.0, 2]))
    found = auroc_difference(first, second)
    assert found.mean == pytest.approx(1 - 0.75)
    assert found.low < 0 < found.mean < found.high


def test_the_same_margins_twice_do_not_differ() -> None:
    same = kinds(np.random.default_rng(0), 1.0)
    paired, apart = auroc_difference(same, same, same_items=True), auroc_difference(same, same)
    assert (paired.mean, paired.p, apart.mean, apart.p) == (0, 1, 0, 1)
    assert paired.high - paired.low < 0.04 < 0.15 < apart.high - apart.low


def test_the_other_way_round_it_is_the_same_with_the_other_sign() -> None:
    random = np.random.default_rng(1)
    first, second = kinds(random, 1.0), kinds(random, 0.3)
    there, back = auroc_difference(first, second), auroc_difference(second, first)
    assert (back.mean, back.low, back.high, back.p) == pytest.approx((-there.mean, -there.high, -there.low, there.p))


@pytest.mark.parametrize("same_items", [True, False])
def test_p_and_interval_never_part(same_items: bool) -> None:
    random = np.random.default_rng(2)
    for shift in np.linspace(0, 1, 21):
        first = kinds(random, 0.5, 40)
        second = first[0] + random.normal(shift, 1, 40), first[1] + random.normal(0, 1, 40)
        found = auroc_difference(first, second, same_items)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


def test_on_the_same_items_it_is_about_delongs_test() -> None:
    random = np.random.default_rng(3)
    first = kinds(random, 0.8, 150)
    second = first[0] + random.normal(0.2, 0.5, 150), first[1] + random.normal(0, 0.5, 150)
    found = auroc_difference(first, second, same_items=True)
    error = naive_delong(first, second) ** 0.5
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert found.p == pytest.approx(2 * norm.sf(abs(found.mean) / error), rel=0.15)
    assert auroc_difference(first, second).high > found.high, "the correlation is what makes it narrow"


def test_perfect_against_hopeless_has_a_width_and_a_p() -> None:
    low, high = np.arange(20.0), np.arange(20.0) + 50
    found = auroc_difference((low, high), (high, low))
    assert found.mean == found.high == 1 and 0.5 < found.low < 1
    assert 0 < found.p < 1e-6


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_where_nothing_differs_one_in_twenty_is_called_different(spread: float) -> None:
    random = np.random.default_rng(4)
    rejected = [auroc_difference(kinds(random, 0, 40, spread), kinds(random, 0, 40)).p < 0.05 for _ in range(400)]
    assert 0.02 < np.mean(rejected) < 0.08


def test_pairs_that_are_alike_are_counted_by_hand() -> None:
    positive, of_positive = np.array([3.0, 1.0, 9.0]), np.array([0, 0, 1])
    negative, of_negative = np.array([2.0, 1.0, 8.0, 7.0]), np.array([0, 0, 2, 1])
    found = auroc_held_fixed(positive, negative, of_positive, of_negative)
    # 3 > 2, 3 > 1, 1 < 2, 1 = 1 at number 0; 9 > 7 at number 1
    assert found.mean == pytest.approx((1 + 1 + 0 + 0.5 + 1) / 5)
    assert found.pairs == pytest.approx(5 / 12)
    assert 0 < found.low < found.mean < found.high < 1


def test_one_stratum_is_the_plain_auroc_and_the_plain_test() -> None:
    positive, negative = kinds(np.random.default_rng(5), 0.4, 80)
    found = auroc_held_fixed(positive, negative, np.zeros(80), np.zeros(80))
    plain = auroc(positive, negative)
    assert found[:3] == pytest.approx(plain[:3], abs=0.01)
    test = mannwhitneyu(positive, negative, method="asymptotic", use_continuity=False)
    assert found.p == pytest.approx(test.pvalue)


def test_p_is_that_of_dealing_the_labels_anew_inside_the_strata() -> None:
    random = np.random.default_rng(6)
    margins, strata = random.integers(0, 6, 40).astype(float), np.repeat([0, 1, 2, 3], 10)
    is_positive = np.tile([True, False], 20)
    margins += is_positive

    def pairs_in_order(labels: np.ndarray) -> float:
        return sum((a > b) + 0.5 * (a == b) for number in range(4)
                   for a, b in itertools.product(margins[(strata == number) & labels],
                                                 margins[(strata == number) & ~labels]))  # fmt: skip

    def dealt() -> np.ndarray:
        return np.concatenate([random.permutation(is_positive[strata == number]) for number in range(4)])

    # 4 strata of 5 and 5: 50 pairs on average; two-sided
    observed = abs(pairs_in_order(is_positive) - 50)
    share = np.mean([abs(pairs_in_order(dealt()) - 50) >= observed for _ in range(2000)])
    found = auroc_held_fixed(margins[is_positive], margins[~is_positive], strata[is_positive], strata[~is_positive])
    assert found.p == pytest.approx(share, abs=0.02) and 0.001 < found.p < 0.2


def made_up(
    random: np.random.Generator, by_number: float, by_label: float, items: int = 200
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Items whose number says much of their label, and margins that follow the number, the label, or both."""
    is_positive = np.arange(items) % 2 == 0
    number = random.binomial(6, np.where(is_positive, 0.65, 0.35))
    margin = by_number * number + by_label * is_positive + random.normal(0, 1, items)
    return margin[is_positive], margin[~is_positive], number[is_positive], number[~is_positive]


def test_a_margin_that_follows_the_number_alone_has_nothing_left() -> None:
    random = np.random.default_rng(7)
    drawn = [made_up(random, by_number=2.0, by_label=0.0) for _ in range(300)]
    found = [auroc_held_fixed(*one) for one in drawn]
    assert np.mean([auroc(one[0], one[1]).mean for one in drawn]) > 0.8
    assert np.mean([one.mean for one in found]) == pytest.approx(0.5, abs=0.01)
    assert 0.02 < np.mean([one.p < 0.05 for one in found]) < 0.08
    assert 0.92 < np.mean([one.low <= 0.5 <= one.high for one in found]) < 0.99


def test_a_margin_that_knows_nothing_of_the_number_keeps_all() -> None:
    random = np.random.default_rng(8)
    drawn = [made_up(random, by_number=0.0, by_label=1.0) for _ in range(300)]
    truth = norm.cdf(1 / 2**0.5)
    found = [auroc_held_fixed(*one) for one in drawn]
    assert np.mean([one.mean for one in found]) == pytest.approx(truth, abs=0.01)
    assert 0.92 < np.mean([one.low <= truth <= one.high for one in found]) < 0.99
    assert np.mean([one.p < 0.05 for one in found]) > 0.95


def test_a_number_that_gives_the_label_away_leaves_no_pair_to_compare() -> None:
    positive, negative = kinds(np.random.default_rng(9), 1.0, 10)
    found = auroc_held_fixed(positive, negative, np.ones(10), np.zeros(10))
    assert found.pairs == 0 and np.isnan(found[:4]).all()


def test_a_perfect_order_has_no_bound_inside_of_it() -> None:
    for items in range(2, 40):
        positive, negative = np.arange(float(items)) + 50, np.arange(float(items))
        for found in (auroc_held_fixed(positive, negative, np.arange(items) % 2, np.arange(items) % 2),
                      auroc_held_fixed(negative, positive, np.arange(items) % 2, np.arange(items) % 2)):  # fmt: skip
            assert found.low <= found.mean <= found.high and found.low < found.high


def test_few_pairs_have_a_wide_interval() -> None:
    positive, negative = np.arange(10.0) + 20, np.arange(10.0)
    found = auroc_held_fixed(positive, negative, np.arange(10), np.arange(10) + 9)
    assert found.mean == 1 and found.pairs == 1 / 100
    assert found.low < 0.4, "one pair that is right is next to nothing"


ONE_LEVEL = (np.zeros(2), np.zeros(3))


def test_right_and_wrong_pairs_of_a_score_count_for_half_each_by_hand() -> None:
    # scores 3, 1 against 2, 0, 0: right are 3 > 2, 3 > 0, 3 > 0, 1 > 0, 1 > 0, wrong is 1 < 2
    # margins 5, 4 against 6, 1, 1: of the right ones all but the first, of the wrong one none
    found = auroc_held_near((np.array([5.0, 4]), np.array([6.0, 1, 1])), (np.array([3.0, 1]), np.array([2.0, 0, 0])),
                            ONE_LEVEL)  # fmt: skip
    assert found.mean == pytest.approx((4 / 5 + 0 / 1) / 2) and found.pairs == 1


def test_an_equal_score_is_half_right_and_half_wrong() -> None:
    margins = np.array([5.0, 0]), np.array([1.0, 2, 3])
    same = np.ones(2), np.ones(3)
    found = auroc_held_near(margins, same, ONE_LEVEL)
    assert found.mean == auroc(*margins).mean == 0.5
    assert found[:3] == auroc_held_fixed(*margins, *same)[:3]


def levels_of(scores: Kinds, count: int = 10) -> Kinds:
    together = np.concatenate(scores)
    tenths = np.ceil((together.argsort().argsort() + 1) * count / len(together))
    return tenths[: len(scores[0])], tenths[len(scores[0]) :]


def test_a_margin_that_is_the_score_has_half_of_the_pairs() -> None:
    scores = kinds(np.random.default_rng(9), 1.0)
    found = auroc_held_near((scores[0] + 5, scores[1] + 5), scores, levels_of(scores))
    assert found.mean == 0.5 and found.p == 1 and 0.3 < found.low < 0.5 < found.high < 0.7


@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
def test_a_noisy_copy_of_the_score_is_called_more_no_oftener_than_it_should(noise: float) -> None:
    random, found = np.random.default_rng(10), []
    for _ in range(200):
        scores = kinds(random, 1.0)
        copy = scores[0] + random.normal(0, noise, 100), scores[1] + random.normal(0, noise, 100)
        found.append(auroc_held_near(copy, scores, levels_of(scores)))
    assert np.mean([one.mean for one in found]) == pytest.approx(0.51, abs=0.015)
    assert np.mean([one.low > 0.5 for one in found]) < 0.05
    assert all((one.p < 0.05) == (one.low > 0.5 or one.high < 0.5) for one in found)


def test_a_margin_that_knows_more_than_the_score_keeps_it() -> None:
    random, found = np.random.default_rng(11), []
    for _ in range(200):
        scores = kinds(random, 1.0)
        found.append(auroc_held_near(kinds(random, 1.0), scores, levels_of(scores)))
    truth = norm.cdf(1 / 2**0.5)
    assert np.mean([one.mean for one in found]) == pytest.approx(truth, abs=0.01)
    assert 0.92 < np.mean([one.low <= truth <= one.high for one in found]) < 0.99


def test_without_a_wrong_pair_in_any_level_nothing_can_be_said() -> None:
    perfect = np.arange(10.0) + 50, np.arange(10.0)
    found = auroc_held_near(perfect, perfect, levels_of(perfect, 1))
    assert np.isnan(found[:4]).all() and found.pairs == 0


def test_few_wrong_pairs_are_not_worth_many_items() -> None:
    scores = np.append(np.arange(50.0) + 50, 0.5), np.arange(50.0)  # the last positive is beneath all but one
    found = auroc_held_near((scores[0], -scores[1]), scores, levels_of(scores, 1))
    assert found.mean == 1 and found.low < 0.7, "the wrong pairs are of one positive item"
