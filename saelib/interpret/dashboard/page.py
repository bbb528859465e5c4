"""The dashboard as one HTML file: no network, no framework, nothing beside it.

In: cards. Out: the text of a page, and `interpret/dashboard.html` of a run. Its one script and its one style stand in
the page's own policy by their SHA-256: whatever else a text might bring along neither runs nor is fetched.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from saelib.interpret.dashboard.cards import NOTHING_SHOWN, Card
from saelib.interpret.dashboard.shown import STEPS, visible
from saelib.run.files import write_atomically
from saelib.run.lock import writing
from saelib.transfer.wording import arm_label

MOST_CARDS = 512  # a page of more takes a browser seconds to open

if TYPE_CHECKING:
    from saelib.interpret.interpretation import Interpretation
    from saelib.interpret.subjects import Lineage


class PageCards(NamedTuple):
    """What a page shows: the first ones, by index, where the transfer has more than it may have."""

    cards: Sequence[Card]
    of: int
    """How many the transfer has."""

    @property
    def told(self) -> str:
        """How many: "256 features", or "512 features (512 of 2000, by index)"."""
        count = len(self.cards)
        return f"{count} features" + (f" ({count} of {self.of}, by index)" if count < self.of else "")


@cache
def _templates() -> Environment:
    """Every value is escaped, in text and in attributes alike; a name that a template gets wrong is an error."""
    loader = PackageLoader(__package__, "templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def dashboard_html(cards: Sequence[Card], title: str, opening: Sequence[str] = ()) -> str:
    """The page of some cards.

    Args:
        title: of the page and its window.
        opening: sentences beneath the title.
    """
    script, style = _part("page.js"), _part("card.css") + _part("page.css")
    policy = (
        f"default-src 'none'; script-src '{_sum(script)}'; style-src '{_sum(style)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        _templates()
        .get_template("page.html")
        .render(
            cards=cards,
            there={card.feature for card in cards},
            columns=[name for name, _ in cards[0].summary] if cards else [],
            title=visible(title, blanks=False),
            opening=[visible(line, blanks=False) for line in opening],
            steps=range(1, STEPS + 1),
            policy=policy,
            script=Markup(script),  # the library's own file, not a text from outside
            style=Markup(style),
        )
    )


def fragment_html(cards: Sequence[Card]) -> str:
    """The cards alone, with their style and without a script: for the output of a notebook's cell."""
    return _templates().get_template("fragment.html").render(cards=cards, nothing=NOTHING_SHOWN)


def _part(name: str) -> str:
    return _templates().get_template(name).render()


def _sum(text: str) -> str:
    """As a policy names what it allows."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def page_cards(
    interpretation: "Interpretation", lineage: "Lineage | None" = None, count: int | None = None
) -> PageCards:
    """The cards that `write_dashboard` writes, told the same lineage and count.

    Raises:
        ValueError: the count is none.
        FileNotFoundError: the features were not profiled yet; the message says how to do it.
    """
    from saelib.interpret.dashboard.lineages import chosen_lineage, lineage_cards
    from saelib.interpret.features.profiles import source_sample

    if count is not None and (type(count) is not int or count < 1):
        raise ValueError(f"count={count!r}: give a whole number from 1 on, or leave it out")
    shown = lineage or chosen_lineage(interpretation)
    cards = lineage_cards(interpretation, shown, MOST_CARDS if count is None else count)
    return PageCards(cards, len(source_sample(interpretation, shown.source)))


def write_dashboard(
    interpretation: "Interpretation",
    path: Path | str | None = None,
    count: int | None = None,
    lineage: "Lineage | None" = None,
) -> Path:
    """Write the page of one transfer; returns its path.

    Args:
        path: of the file; None for `interpret/dashboard.html` of the run, or one named after the lineage that is given.
        count: features at most, the first ones, one at least; None for `MOST_CARDS`.
        lineage: None for `lineages.chosen_lineage`.

    Raises:
        ValueError: the count is none, or the path is that of a folder.
        FileNotFoundError: the features were not profiled yet; the message says how to do it.
        RunInUseError: another process is at work on the run.
    """
    from saelib.interpret.dashboard.lineages import chosen_lineage

    asked = None if path is None else Path(path).expanduser()
    if asked is not None and asked.is_dir():
        raise ValueError(f"path={str(path)!r} is a folder; give the name of a file in it")
    shown = lineage or chosen_lineage(interpretation)
    page = page_cards(interpretation, shown, count)
    written = dashboard_html(page.cards, title_of(interpretation, shown), opening_of(interpretation, page))
    name = "dashboard" if lineage is None else f"dashboard-{lineage.transferred.part}"
    place = asked or interpretation.interpret_folder / f"{name}.html"
    with writing(interpretation):
        write_atomically(place, lambda temporary: temporary.write_text(written, encoding="utf-8"))
    return place


def title_of(interpretation: "Interpretation", lineage: "Lineage") -> str:
    """What a page is about: "Features of run tiny: layer 2 to layer 3, forward, copy"."""
    source, target = lineage.source.sae_layer, lineage.act_layer
    way = arm_label(lineage.arm)
    return f"Features of run {interpretation.config.run}: layer {source} to layer {target}, {way}"


def opening_of(interpretation: "Interpretation", page: PageCards) -> list[str]:
    """What a reader has to know of a page before its first card."""
    from saelib.sae.releases.push import public_name

    config, rows = interpretation.config, len(interpretation.rows())
    model = public_name(interpretation.experiment.config.language_model)
    held_out = interpretation.held_out_count
    training = f", and {rows - held_out} of the training text" if rows > held_out else ""
    drawn = ", " if len(page.cards) == page.of else f"; the {page.of} were "
    return [
        f"Language model {model}. {page.told}{drawn}drawn among those "
        "that are active in the source on this text. Each stands in four SAEs side by side: in the source; in the "
        "source as it reads the new layer, untrained there; in the transfer that started from it; and in the new "
        "layer's own SAE from scratch. The first three at the same index, the last at the feature whose decoder row is "
        "most like the transferred one.",
        f"Contexts are the {config.top_contexts} rows in which a feature is strongest, of {held_out} held-out rows"
        f"{training}. Raised and lowered are the tokens whose logits its decoder row moves most.",
    ]
