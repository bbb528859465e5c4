"""The page as text: whole, closed to the network, every link with a target, everything from outside as text."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from saelib.interpret.dashboard.cards import Card, Panel
from saelib.interpret.dashboard.page import dashboard_html
from tests.helpers.browser import HOSTILE
from tests.helpers.made_cards import made_cards

OWN_TAGS = {"html", "head", "meta", "title", "style", "body", "a", "header", "h1", "h2", "h3", "p", "mark", "kbd",
            "details", "summary", "div", "table", "thead", "tbody", "tr", "th", "td", "label", "input", "span", "main",
            "noscript", "article", "section", "svg", "path", "bdi", "ol", "li", "b", "script"}  # fmt: skip


class Seen(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def values(self, name: str) -> list[str]:
        return [value for _, known, value in self.attributes if known == name]


def hostile_cards() -> list[Card]:
    cards = made_cards(2, words=HOSTILE)
    everything = " ".join(HOSTILE)
    panel = Panel(everything, everything, 1, everything, (everything,), (everything,))
    return [*cards, Card(7, (panel,), ((everything, everything),))]


def test_one_script_and_one_style_and_the_policy_names_them_by_their_sums() -> None:
    page = dashboard_html(made_cards(3), "Features")
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{rule} &#39;sha256-{digest}&#39;" in policy
    assert policy.startswith("default-src &#39;none&#39;")
    assert "unsafe" not in policy


def test_nothing_is_fetched() -> None:
    page = dashboard_html(made_cards(3), "Features")
    seen = Seen(page)
    assert not seen.values("src")
    assert all(target.startswith("#") for target in seen.values("href"))
    assert not re.search(r"https?://|url\(|@import|fetch\(|XMLHttpRequest|innerHTML", page)


def test_every_link_has_its_target_and_every_row_its_link() -> None:
    cards = made_cards(5)
    page = dashboard_html(cards, "Features")
    seen = Seen(page)
    assert {target[1:] for target in seen.values("href")} <= set(seen.values("id"))
    assert len(set(seen.values("id"))) == len(seen.values("id"))
    (table,) = re.findall(r"<tbody>(.*?)</tbody>", page, re.DOTALL)
    assert re.findall(r'<tr><td><a href="#(feature-\d+)">', table) == [card.anchor for card in cards]


def test_neighbours_are_links_where_their_index_is_a_card() -> None:
    # Card 0 has the neighbours 1 and 1000; with a card 1 the first three panels link there, scratch's does not.
    first, second = made_cards(2)
    page = dashboard_html([first, Card(1, second.panels)], "Features")
    card = page[page.index('id="feature-0"') : page.index('id="feature-1"')]
    assert card.count('<a href="#feature-1">1</a>') == 3
    assert "feature-1000" not in page


def test_what_comes_from_outside_is_text() -> None:
    seen = Seen(dashboard_html(hostile_cards(), " ".join(HOSTILE), HOSTILE))
    assert set(seen.tags) <= OWN_TAGS
    assert seen.tags.count("script") == seen.tags.count("style") == 1
    assert not [name for _, name, _ in seen.attributes if name.startswith("on") or name in {"style", "srcdoc", "src"}]
    assert "alert" not in seen.values("href")
    assert sum("dataset.hit" in text for text in seen.text) > len(HOSTILE)


def test_no_sign_turns_a_line_around() -> None:
    page = dashboard_html(made_cards(1, words=("\u202eevil", "\u2066x", "\x00", "\ud83d")), "\u202eFeatures")
    assert "\\u202eevil" in page
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\ud800-\udfff]", page)


def test_an_empty_page_and_a_card_without_contexts_are_pages() -> None:
    assert "0 features" in dashboard_html([], "Features")
    card = Card(4, (Panel("source", feature=4, note="Active nowhere."), Panel("scratch")))
    page = dashboard_html([card], "Features")
    assert "Active nowhere." in page
    assert "<ol>" not in page


def test_a_page_of_256_features_stays_below_eight_megabytes() -> None:
    page = dashboard_html(made_cards(256), "Features")
    assert page.count("<article") == 256
    assert 2_000_000 < len(page.encode()) < 8_000_000


def test_the_same_cards_give_the_same_page() -> None:
    assert dashboard_html(made_cards(2), "Features") == dashboard_html(made_cards(2), "Features")
