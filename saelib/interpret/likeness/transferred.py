"""What two features share of what they mean: the tokens whose logits they move most, and those that they fire at.

In: profiles of features. Out: counts of shared tokens ("Feature transfer" in paper 1: the same index in a source and
in the transfer from it, tokens out of 30). Maximal tokens are counted as different ones, which the paper's mean of 1 in
10 suggests; a feature that fires at one token ten times then shares 1 of 10 with itself. Beside it stands the count
with repetitions, which gives it 10.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from saelib.interpret.features.profiles import Profile


class Meaning(NamedTuple):
    """Token ids that say what a feature means."""

    top: Sequence[int]
    """Those whose logits it raises most."""
    bottom: Sequence[int]
    """Those whose logits it lowers most."""
    maximal: Sequence[int]
    """Where it is strongest in each of its top contexts: with repetitions, and fewer than it could have where it fires
    in few rows."""


class Shared(NamedTuple):
    """How many tokens two features have in common."""

    shared_top: int
    shared_bottom: int
    shared_maximal: int
    """Different tokens (paper 1)."""
    shared_counted: int
    """Tokens as often as both have them."""


def shared(one: Meaning, other: Meaning) -> Shared:
    """Tokens that both have, list by list; their order does not count."""
    top, bottom, maximal = (len(set(mine) & set(theirs)) for mine, theirs in zip(one, other, strict=True))
    counted = (Counter(one.maximal) & Counter(other.maximal)).total()
    return Shared(top, bottom, maximal, counted)


def meanings(profile: "Profile", features: Iterable[int]) -> dict[int, Meaning]:
    """What some features of a profile mean.

    Raises:
        KeyError: the profile lacks one.
    """
    maximal = _maximal_tokens(profile.contexts)
    table = profile.features
    return {
        feature: Meaning(
            [*map(int, table.at[feature, "top_ids"])],
            [*map(int, table.at[feature, "bottom_ids"])],
            maximal.get(feature, []),
        )
        for feature in map(int, features)
    }


def _maximal_tokens(contexts: "pd.DataFrame") -> Mapping[int, list[int]]:
    found: dict[int, list[int]] = {}
    for feature, ids, peak in zip(contexts["feature"], contexts["token_ids"], contexts["peak"], strict=True):
        found.setdefault(int(feature), []).append(int(ids[peak]))
    return found
