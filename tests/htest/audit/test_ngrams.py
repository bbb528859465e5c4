"""A learner of letters finds what letters tell, by hand and beside another way to solve it."""

import numpy as np
import pytest

from saelib.htest.audit.ngrams import learnt_scores, ngrams
from saelib.results.ranking import auroc
from tests.helpers.some_items import made


def test_ngrams_by_hand() -> None:
    assert ngrams("ab") == {" ": 2, "a": 1, "b": 1, " a": 1, "ab": 1, "b ": 1, " ab": 1, "ab ": 1}


def test_it_is_ridge_regression_on_scaled_counts() -> None:
    dev = made("rhyme", "ab/abc/bb", "A") + made("rhyme", "cd/dd/a", "B")
    test = made("rhyme", "abd/ccc", "A")
    names = sorted({name for item in dev for name in ngrams(item.text)})
    counts = np.array([[ngrams(item.text)[name] for name in names] for item in dev + test], dtype=float)
    known, new = counts[: len(dev)], counts[len(dev) :]
    scale, wanted = np.sqrt((known**2).mean(0)), np.array([1.0] * 3 + [-1] * 3)
    centred = known / scale - (known / scale).mean(0)
    penalty = (centred**2).sum(1).mean()
    weights = np.linalg.solve(centred.T @ centred + penalty * np.eye(len(names)), centred.T @ wanted)
    wanted_scores = (new / scale - (known / scale).mean(0)) @ weights
    assert learnt_scores(dev, test) == pytest.approx(wanted_scores)


def test_a_letter_that_tells_the_label_is_learnt_and_one_that_does_not_is_not() -> None:
    random = np.random.default_rng(0)

    def words(sign: str, count: int) -> str:
        return "/".join("".join(random.permutation(list("abcdef" + sign))) for _ in range(count))

    def separates(signs: str) -> float:
        dev = made("rhyme", words(signs[0], 25), "A") + made("rhyme", words(signs[1], 25), "B")
        scores = learnt_scores(dev, made("rhyme", words(signs[0], 100), "A") + made("rhyme", words(signs[1], 100), "B"))
        return auroc(scores[:100], scores[100:]).mean

    assert separates("xy") > 0.9
    assert 0.35 < separates("xx") < 0.65


def test_items_that_are_all_alike_teach_nothing() -> None:
    same = made("rhyme", "aa/aa", "A") + made("rhyme", "aa/aa", "B")
    assert learnt_scores(same, made("rhyme", "aa/bb", "A")) == pytest.approx([0, 0])


def test_nothing_to_learn_from_is_refused() -> None:
    with pytest.raises(ValueError, match="give the dev items"):
        learnt_scores([], made("rhyme", "aa", "A"))
