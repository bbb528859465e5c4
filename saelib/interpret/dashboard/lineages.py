"""Cards of a transfer: each feature in the source, in the source read at the new layer, in the transfer, and its match.

In: profiles of the four SAEs of a `Lineage` and their decoders. Out: cards, by feature. The fourth panel is, of the
scratch SAE's features that fire, the one whose decoder row has the largest cosine with the transferred one's: its index
means nothing.
"""

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from saelib.interpret.dashboard.cards import (
    SUMMARY_TOKENS,
    Card,
    Context,
    Neighbour,
    Panel,
    share_in_words,
    with_shared_scale,
)
from saelib.interpret.features.chosen import scratch_matches
from saelib.interpret.features.profiles import Profile, living_features, read_profile, source_sample
from saelib.interpret.features.statistics import HISTOGRAM_EDGES
from saelib.interpret.likeness.cosines import by_index
from saelib.interpret.likeness.transferred import meanings, shared
from saelib.results.text import thousands
from saelib.transfer.choices import check_choice
from saelib.transfer.wording import arm_label

if TYPE_CHECKING:
    import pandas as pd

    from saelib.interpret.interpretation import Interpretation
    from saelib.interpret.subjects import Lineage, Subject

TITLES = ("source", "source at the new layer", "transferred", "scratch's best match")
UNREAD = "No contexts of this feature were collected."
SILENT = "Active nowhere in the text that was read."


def chosen_lineage(
    interpretation: "Interpretation", arm: str | None = None, layer: int | None = None, seed: int | None = None
) -> "Lineage":
    """One of the run's transfers: the arm's and the replicate's first one, at the layer in the middle, unless told.

    Args:
        layer: the transfer's own.
        seed: of the replicate.

    Raises:
        ValueError: the run has none such; the message names what it has.
    """
    left = interpretation.lineages()
    if not left:
        raise ValueError(f"run={interpretation.config.run!r} has no transfer whose features could be shown")
    for name, wanted in (("arm", arm), ("seed", seed), ("act_layer", layer)):
        there = list(dict.fromkeys(getattr(one, name) for one in left))
        middle = there[len(there) // 2] if name == "act_layer" else there[0]
        if wanted is not None:
            check_choice(name.removeprefix("act_"), wanted, there)
        left = [one for one in left if getattr(one, name) == (middle if wanted is None else wanted)]
    return left[0]


def lineage_cards(interpretation: "Interpretation", lineage: "Lineage", count: int | None = None) -> list[Card]:
    """Cards of the features that were profiled in the source, by index.

    Args:
        count: how many at most, the first ones; None for all.

    Raises:
        FileNotFoundError: the run has no profiles of these SAEs yet; the message says how to make them.
    """
    subjects = (lineage.source, lineage.zero_shot, lineage.transferred, lineage.scratch)
    makers = [PanelMaker(title, read_profile(interpretation, subject))
              for title, subject in zip(TITLES, subjects, strict=True)]  # fmt: skip
    features = source_sample(interpretation, lineage.source)[:count]
    kept, matched, places = _cosines(interpretation, lineage, features)
    shared = _shared(makers[0].profile, makers[2].profile, features)
    cards = []
    for place, feature in enumerate(features.tolist()):
        panels = [*(maker.panel(feature) for maker in makers[:3]), makers[3].panel(places[place])]
        summary = _summary(panels, kept[place], matched[place], shared[place])
        cards.append(Card(feature, with_shared_scale(panels, HISTOGRAM_EDGES.tolist()), summary))
    return cards


class PanelMaker:
    """Panels of one SAE's features."""

    def __init__(self, title: str, profile: Profile) -> None:
        self.title, self.about, self.profile = title, about(profile.subject), profile

    def panel(self, feature: int) -> Panel:
        """The panel of a feature; one without contexts has a sentence in their place."""
        line = self.profile.features.loc[feature]
        contexts = tuple(map(_context, self.profile.contexts_of(feature).to_dict("records")))
        near = zip(line["neighbours"], line["neighbour_cosines"], strict=True)
        return Panel(
            self.title,
            self.about,
            feature,
            note="" if contexts else SILENT if line["dead"] else UNREAD,
            flags=tuple(flag for flag in ("dead", "dense") if line[flag]),
            facts=() if line["dead"] else _facts(line),
            density=float(line["density"]),
            histogram=tuple(map(int, line["histogram"])),
            raised=tuple(line["top_tokens"]),
            lowered=tuple(line["bottom_tokens"]),
            neighbours=tuple(Neighbour(int(other), f"{cosine:.2f}") for other, cosine in near),
            is_indexed_alike=self.title != TITLES[-1],
            contexts=contexts,
        )


def about(subject: "Subject") -> str:
    """Which SAE it is, and what it reads: "from scratch, layer 2, 524 thousand tokens; reads layer 3"."""
    reads = f"; reads layer {subject.act_layer}" if subject.is_zero_shot else ""
    return f"{arm_label(subject.arm)}, layer {subject.sae_layer}, {thousands(subject.tokens)} tokens{reads}"


def _context(line: "Mapping[Hashable, Any]") -> Context:
    return Context(
        texts=tuple(line["texts"]),
        activations=tuple(map(float, line["activations"])),
        peak=int(line["peak"]),
        row=int(line["row"]),
        position=int(line["position"]),
    )


def _facts(line: "pd.Series") -> tuple[str, ...]:
    return (
        f"at {share_in_words(line['density'])} of tokens",
        f"mean {line['mean']:.3g}",
        f"largest {line['maximum']:.3g}",
    )


def _cosines(
    interpretation: "Interpretation", lineage: "Lineage", features: Int[np.ndarray, " sample"]
) -> tuple[list[float], list[float], list[int]]:
    """Of transferred decoder rows with the source's, with the nearest of scratch, and which that is."""
    decoders = [interpretation.sae(one).W_dec[features.tolist()] for one in (lineage.source, lineage.transferred)]
    matches = scratch_matches(interpretation, lineage, features, partial(living_features, interpretation))
    return by_index(*decoders).tolist(), matches.cosines[:, 0].tolist(), matches.indices[:, 0].tolist()


def _shared(source: Profile, transferred: Profile, features: Int[np.ndarray, " sample"]) -> list[int]:
    """Tokens that a feature has in both: paper 1's feature transfer."""
    mine, theirs = meanings(source, features), meanings(transferred, features)
    return [sum(shared(mine[feature], theirs[feature])[:3]) for feature in mine]


def _summary(panels: Sequence[Panel], kept: float, matched: float, shared: int) -> tuple[tuple[str, str], ...]:
    """What the page's table says of a card: what the source's feature is about, and what became of it."""
    source, _, transferred, _ = panels
    densities = [share_in_words(panel.density) for panel in (source, transferred)]
    return (
        ("source strongest at", " ".join(f"«{text}»" for text in source.peaks[:SUMMARY_TOKENS]) or "-"),
        ("density, source → transferred", " → ".join(densities)),
        ("cosine with source", f"{kept:.2f}"),
        ("tokens shared with source", str(shared)),
        ("cosine with scratch's match", f"{matched:.2f}"),
    )
