"""Checks of single fields that the configs of this room share.

In: words for messages. Out: pydantic validators.
"""

from itertools import pairwise
from typing import TypeVar

from pydantic import AfterValidator

Values = TypeVar("Values", tuple[int, ...], tuple[float, ...])


def rising(what: str, otherwise: str) -> AfterValidator:
    """Of numbers of which each is named once, in their order.

    Args:
        what: one of them is.
        otherwise: what to do where none is wanted, for the message.
    """

    def checked(values: Values) -> Values:
        if not values:
            raise ValueError(f"name at least one {what}; {otherwise}")
        if any(first >= second for first, second in pairwise(values)):
            raise ValueError(f"name each {what} once, from the first to the last: {sorted(set(values))}")
        return values

    return AfterValidator(checked)
