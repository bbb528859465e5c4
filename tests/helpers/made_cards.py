"""Cards of features that no SAE has: four panels each, with texts and numbers that a test can name."""

import numpy as np

from saelib.interpret.dashboard.cards import Card, Context, Neighbour, Panel

TITLES = ("source", "source at the new layer", "transferred", "scratch's best match")
WORDS = (
    " the",
    " list",
    " is",
    " empty",
    ".",
    "\n",
    " Returns",
    " a",
    " value",
    " of",
    "self",
    "_name",
    " Größe",
    "  ",
)


def made_context(random: np.random.Generator, peak_text: str, words: tuple[str, ...] = WORDS) -> Context:
    """A context of 17 tokens, the 13th of which is the strongest; others around it are active now and then."""
    texts = [str(random.choice(words)) for _ in range(17)]
    activations = np.where(random.random(17) < 0.2, random.random(17) * 3, 0)
    texts[12], activations[12] = peak_text, 3 + random.random()
    return Context(tuple(texts), tuple(activations.tolist()), 12, int(random.integers(256)), 40)


def made_panel(
    random: np.random.Generator, title: str, feature: int, word: str, contexts: int = 10, words: tuple[str, ...] = WORDS
) -> Panel:
    """A panel whose feature is strongest at one word."""
    return Panel(
        title,
        "from scratch, layer 2, 524 thousand tokens",
        feature,
        flags=("dense",) if feature % 5 == 0 else (),
        facts=("active at 0.83% of tokens", "mean 1.2", "largest 3.9"),
        density=0.0083,
        histogram=tuple(random.integers(0, 90, 20).tolist()),
        bounds=(0.01, 4.0),
        raised=(word, *(str(random.choice(words)) for _ in range(9))),
        lowered=tuple(str(random.choice(words)) for _ in range(10)),
        neighbours=(Neighbour(feature + 1, "0.71"), Neighbour(feature + 1000, "0.64")),
        is_indexed_alike=title != TITLES[-1],
        contexts=tuple(made_context(random, word, words) for _ in range(contexts)),
    )


def made_cards(count: int = 12, contexts: int = 10, words: tuple[str, ...] = WORDS) -> list[Card]:
    """Cards 0, 3, 6, ...: that of 3 i is strongest at " word<i>"."""
    random = np.random.default_rng(0)
    cards = []
    for number in range(count):
        word, feature = f" word{number}", 3 * number
        panels = [made_panel(random, title, feature, word, contexts, words) for title in TITLES]
        panels[3] = made_panel(random, TITLES[3], 500 + number, f" match{number}", contexts, words)
        summary = (("source is strongest at", f"␣word{number}"), ("cosine of transferred with source", "0.93"))
        cards.append(Card(feature, tuple(panels), summary))
    return cards
