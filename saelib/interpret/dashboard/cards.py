"""What a card of a feature holds: one index in several SAEs side by side, as plain data that templates can show.

In: numbers and texts of features, as `features.profiles` keeps them. Out: `Card`, `Panel` and `Context`. Texts are kept
as they are; how they become harmless and visible is `shown`'s and the templates' concern.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from saelib.interpret.dashboard.shown import Piece, pieces, visible

BAR_HEIGHT = 10  # units of a histogram's picture
SUMMARY_TOKENS = 3
NOTHING_SHOWN = "No feature of the source was active in the text that was read."


class Line(NamedTuple):
    """A context as the templates show it."""

    value: str
    pieces: list[Piece]


class Neighbour(NamedTuple):
    """A feature of the same SAE, and the cosine of the two decoder rows."""

    feature: int
    cosine: str


@dataclass(frozen=True)
class Context:
    """A piece of text around a token at which the feature is active."""

    texts: tuple[str, ...]
    activations: tuple[float, ...]
    peak: int
    """Place of the token that it was kept for."""
    row: int
    """Of the text that was read."""
    position: int
    """Of the token in its row."""


@dataclass(frozen=True)
class Panel:
    """A feature in one SAE."""

    title: str
    """What this SAE is beside the others: "source", "transferred"."""
    about: str = ""
    """Which SAE, and which layer it reads."""
    feature: int | None = None
    """Index in this SAE; None where there is none."""
    note: str = ""
    """Why something is not shown."""
    flags: tuple[str, ...] = ()
    """ "dead", "dense"."""
    facts: tuple[str, ...] = ()
    """Numbers in words: "active at 0.8% of tokens"."""
    density: float = 0.0
    """Share of the tokens at which it is active."""
    histogram: tuple[int, ...] = ()
    """Active tokens by size of activation, all bins of the same width on a logarithmic scale."""
    bounds: tuple[float, float] = (0.0, 0.0)
    """Activations at the two ends of the histogram."""
    raised: tuple[str, ...] = ()
    """Tokens whose logits its decoder row raises most."""
    lowered: tuple[str, ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    is_indexed_alike: bool = True
    """Whether an index means the card of that number: not in an SAE whose features are in an order of their own."""
    contexts: tuple[Context, ...] = ()

    @property
    def top(self) -> list[str]:
        """Raised tokens, to be seen."""
        return [visible(text) for text in self.raised]

    @property
    def bottom(self) -> list[str]:
        """Lowered tokens, to be seen."""
        return [visible(text) for text in self.lowered]

    @property
    def lines(self) -> list[Line]:
        """Contexts, shaded by this panel's largest activation, so that panels of other scales can be read too."""
        largest = max((max(one.activations, default=0.0) for one in self.contexts), default=0.0)
        return [
            Line(f"{one.activations[one.peak]:.3g}", pieces(one.texts, one.activations, one.peak, largest))
            for one in self.contexts
        ]

    @property
    def peaks(self) -> list[str]:
        """The tokens at which it is strongest, each once, strongest first."""
        return list(dict.fromkeys(visible(one.texts[one.peak]) for one in self.contexts))

    @property
    def bars(self) -> tuple[int, ...]:
        """The histogram, if anything is in it."""
        return self.histogram if any(self.histogram) else ()

    @property
    def bars_label(self) -> str:
        """The histogram in words."""
        low, high = self.ends
        return f"{sum(self.histogram):,} active tokens by activation, {low} to {high}, on a logarithmic scale"

    @property
    def ends(self) -> tuple[str, str]:
        """The activations at the two ends of the histogram."""
        low, high = self.bounds
        return f"{low:.2g}", f"{high:.2g}"

    @property
    def path(self) -> str:
        """The outline of the histogram as SVG draws it; any bar with a token in it can be seen."""
        most = max(self.histogram, default=1)
        tops = [BAR_HEIGHT - (max(0.5, BAR_HEIGHT * count / most) if count else 0) for count in self.histogram]
        return f"M0 {BAR_HEIGHT}" + "".join(f"V{top:.3g}h1" for top in tops) + f"V{BAR_HEIGHT}z"


@dataclass(frozen=True)
class Card:
    """One feature index in several SAEs."""

    feature: int
    panels: tuple[Panel, ...]
    summary: tuple[tuple[str, str], ...] = ()
    """A name and a value each; the same names on all cards of a page, which are the columns of its table."""

    @property
    def anchor(self) -> str:
        """Of the card on its page."""
        return f"feature-{self.feature}"


def with_shared_scale(panels: Sequence[Panel], edges: Sequence[float]) -> tuple[Panel, ...]:
    """The panels, their histograms cut to the bins in which any of them has a token: one scale for all.

    Args:
        edges: of the bins, one more than there are.
    """
    used = [place for panel in panels for place, count in enumerate(panel.histogram) if count]
    if not used:
        return tuple(panels)
    first, last = min(used), max(used) + 1
    bounds = (float(edges[first]), float(edges[last]))
    return tuple(replace(panel, histogram=panel.histogram[first:last], bounds=bounds) for panel in panels)


def share_in_words(share: float) -> str:
    """A density in two digits: "12%", "0.83%", "0.0021%"; "0%"."""
    percent = float(f"{100 * share:.2g}")
    places = max(0, 1 - math.floor(math.log10(percent))) if percent else 0
    return f"{percent:.{places}f}%"
