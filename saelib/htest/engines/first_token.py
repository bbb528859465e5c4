"""What an API says of its first token: log-probabilities of the options among the few tokens that it returns.

In: an output of Inspect AI. Out: the log-probability of each option that was returned. An API returns twenty tokens at
most: an option that is not among them is unlikely, and its log-probability unknown.
"""

from collections.abc import Sequence
from math import exp, isfinite
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inspect_ai.model import ModelOutput

BLANKS = ("▁", "Ġ")  # how a blank before a letter is written in some vocabularies
UNKNOWN = -9999.0  # what OpenAI's interface writes where it does not know


def option_chances(output: "ModelOutput", options: Sequence[str]) -> dict[str, float] | None:
    """Log-probabilities of the options as the first token, in nats; None where one of them was not returned.

    An option counts as it stands ("A") or with a blank before it (" A"), all options by the same spelling: the one
    that has more probability, where both are complete. Lower case and other spellings are other tokens.
    """
    choice = output.choices[0] if output.choices else None
    if choice is None or choice.logprobs is None or not choice.logprobs.content:
        return None
    first = choice.logprobs.content[0]
    returned = [(top.token, top.logprob) for top in first.top_logprobs or []] + [(first.token, first.logprob)]
    known = {_plain(token): chance for token, chance in returned if isfinite(chance) and chance > UNKNOWN}
    spellings = [{option: known.get(before + option) for option in options} for before in ("", " ")]
    whole = [{option: chance for option, chance in found.items() if chance is not None} for found in spellings]
    whole = [found for found in whole if len(found) == len(options)]
    return max(whole, key=lambda found: sum(map(exp, found.values()))) if whole else None


def _plain(token: str) -> str:
    """A token with its blank as a blank."""
    return f" {token[1:]}" if token.startswith(BLANKS) else token
