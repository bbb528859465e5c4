"""The same cards in the output of a notebook's cell, for those who look there first.

In: an interpretation, or cards. Out: an object that JupyterLab shows as HTML, and that is plain text wherever HTML is
taken out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from saelib.interpret.dashboard.cards import NOTHING_SHOWN, Card, Panel
from saelib.transfer.choices import check_choice

if TYPE_CHECKING:
    from saelib.interpret.interpretation import Interpretation
    from saelib.interpret.subjects import Lineage

PLAIN_CONTEXTS = 3
DOLLAR = r"\$(?![^<]*>)"  # in a text, not in a tag: JupyterLab would set what stands between two as a formula


@dataclass(frozen=True)
class CardsView:
    """Cards as a cell shows them."""

    cards: Sequence[Card]

    def _repr_html_(self) -> str:
        from saelib.interpret.dashboard.page import fragment_html

        return re.sub(DOLLAR, "<span>$</span>", fragment_html(self.cards))

    def __repr__(self) -> str:
        """The same without shades: what a code host, a terminal and a screen reader have."""
        return "\n".join(line for card in self.cards for line in _plain_card(card)) or NOTHING_SHOWN


def notebook_view(
    interpretation: "Interpretation", feature: int | None = None, lineage: "Lineage | None" = None
) -> CardsView:
    """The card of a feature, for the last line of a cell; a sentence where the source has no living feature.

    Args:
        feature: index in the source; None for the first one that was profiled.
        lineage: whose; None for that of `dashboard.html`.

    Raises:
        ValueError: the feature was not profiled; the message names those that were.
        FileNotFoundError: none was yet.
    """
    from saelib.interpret.dashboard.lineages import chosen_lineage, lineage_cards

    cards = {card.feature: card for card in lineage_cards(interpretation, lineage or chosen_lineage(interpretation))}
    if feature is None:
        return CardsView([*cards.values()][:1])
    if not cards:
        raise ValueError(f"feature={feature!r}: {NOTHING_SHOWN}")
    check_choice("feature", feature, cards)
    return CardsView([cards[feature]])


def _plain_card(card: Card) -> Iterator[str]:
    yield f"Feature {card.feature}; " + "; ".join(f"{name}: {value}" for name, value in card.summary)
    for panel in card.panels:
        number = "" if panel.feature is None else f" {panel.feature}"
        yield f"  {panel.title}{number}{f' ({panel.about})' if panel.about else ''}"
        yield from (f"    {line}" for line in _plain_panel(panel))


def _plain_panel(panel: Panel) -> Iterator[str]:
    if panel.note:
        yield panel.note
    if said := [*panel.flags, *panel.facts]:
        yield ", ".join(said)
    if panel.top:
        yield f"raises {' '.join(panel.top)}"
    for line in panel.lines[:PLAIN_CONTEXTS]:
        words = "".join(f"«{piece.text}»" if piece.is_peak else piece.text for piece in line.pieces)
        yield f"{line.value:>6} …{words}…"
