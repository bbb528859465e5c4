"""Feature transfer: shared tokens by hand, and what is read of a profile."""

import pandas as pd
import pytest

from saelib.interpret.features.profiles import Profile
from saelib.interpret.likeness.transferred import Meaning, Shared, meanings, shared
from saelib.interpret.subjects import Subject

SUBJECT = Subject("scratch", 0, 0, 0, 1024)


def test_by_hand() -> None:
    one = Meaning(top=[1, 2, 3], bottom=[7, 8, 9], maximal=[5, 5, 6])
    other = Meaning(top=[3, 2, 4], bottom=[1, 2, 3], maximal=[5, 5, 5])
    # Top: 2 and 3. Bottom: none, though 1 to 3 stand in the other's. Maximal: 5, which both have twice at least.
    assert shared(one, other) == Shared(2, 0, 1, 2)
    assert shared(other, one) == Shared(2, 0, 1, 2)


def test_a_feature_that_fires_at_one_token_shares_one_of_ten_with_itself() -> None:
    one = Meaning(range(10), range(10, 20), [4] * 10)
    assert shared(one, one) == Shared(10, 10, 1, 10)


def test_a_feature_that_never_fires_shares_no_maximal_tokens() -> None:
    assert shared(Meaning([1], [2], []), Meaning([1], [2], [3])) == Shared(1, 1, 0, 0)


def test_a_profile_says_what_its_features_mean() -> None:
    features = pd.DataFrame({"top_ids": [[1, 2], [3, 4]], "bottom_ids": [[5, 6], [7, 8]]}, index=[10, 11])
    contexts = pd.DataFrame({"feature": [10, 10], "token_ids": [[9, 8, 7], [6, 5]], "peak": [2, 0]})
    profile = Profile(SUBJECT, features, contexts)
    assert meanings(profile, [10, 11]) == {10: Meaning([1, 2], [5, 6], [7, 6]), 11: Meaning([3, 4], [7, 8], [])}
    with pytest.raises(KeyError):
        meanings(profile, [12])
