"""The page in a headless browser: search, keys, links, and texts that would run if they could."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from saelib.interpret.dashboard.page import dashboard_html
from tests.helpers.browser import HIT, HOSTILE, needs_browser
from tests.helpers.driven_browser import Page, browser_page
from tests.helpers.made_cards import made_cards

pytestmark = needs_browser
SHOWN = "[...document.querySelectorAll('.card')].filter(card => !card.hidden).map(card => card.id)"
FOCUS = "document.activeElement.id"
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


@pytest.fixture(scope="module")
def browser() -> Iterator[Page]:
    with browser_page() as page:
        yield page


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dashboard") / "dashboard.html"
    path.write_text(dashboard_html(made_cards(12), "Features of a made run"), encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Page, written: Path) -> Page:
    """The page of cards 0, 3, ..., 33, freshly loaded."""
    browser.open("about:blank")
    browser.requests.clear()
    browser.problems.clear()
    browser.open(written.as_uri())
    return browser


def status(page: Page) -> str:
    return str(page.value("document.getElementById('status').textContent"))


class TestSearch:
    def test_by_a_token(self, page: Page) -> None:
        assert status(page) == "12 of 12 features"
        page.press("/")
        assert page.value(FOCUS) == "search"
        page.type("word7")
        assert page.value(SHOWN) == ["feature-21"]
        assert status(page) == "1 of 12 features"

    def test_by_a_number(self, page: Page) -> None:
        page.press("/")
        page.type("#27")
        assert page.value(SHOWN) == ["feature-27"]
        page.press("Enter")
        assert page.value(FOCUS) == "feature-27"

    def test_of_several_words_each_must_be_there(self, page: Page) -> None:
        page.press("/")
        page.type("WORD1 match11")  # " word1", " word10" and " word11" hold the first, the last alone both
        assert page.value(SHOWN) == ["feature-33"]

    def test_escape_shows_all_again(self, page: Page) -> None:
        page.press("/")
        page.type("nowhere at all")
        assert page.value(SHOWN) == []
        assert status(page) == "0 of 12 features"
        page.press("Escape")
        assert len(page.value(SHOWN)) == 12
        assert page.value(FOCUS) != "search"


class TestKeys:
    def test_j_and_k_go_from_card_to_card(self, page: Page) -> None:
        page.press("j")
        assert page.value(FOCUS) == "feature-0"
        page.press("j", "j")
        assert page.value(FOCUS) == "feature-6"
        page.press("k")
        assert page.value(FOCUS) == "feature-3"
        page.press("k", "k", "k")
        assert page.value(FOCUS) == "feature-0"

    def test_they_pass_over_what_the_search_hides(self, page: Page) -> None:
        page.press("/")
        page.type("word1")
        page.press("Enter", "j")
        assert page.value(FOCUS) == "feature-30"

    def test_the_card_with_the_focus_is_seen_and_outlined(self, page: Page) -> None:
        page.press("j", "j", "j", "j")
        top, low = page.value("[...['top', 'bottom']].map(e => document.activeElement.getBoundingClientRect()[e])")
        bar = page.value("document.querySelector('.bar').getBoundingClientRect().bottom")
        assert bar <= top < 300 < low
        assert page.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"

    def test_letters_in_the_search_box_are_letters(self, page: Page) -> None:
        page.press("/")
        page.type("jn/")
        assert page.value("document.getElementById('search').value") == "jn/"
        assert not page.value("document.body.classList.contains('numbers')")

    def test_n_shows_the_activations(self, page: Page) -> None:
        shown = "getComputedStyle(document.querySelector('li mark'), '::after').content"
        assert page.value(shown) == "none"
        page.press("n")
        assert re.fullmatch(r'"\d\.?\d*"', page.value(shown))

    def test_tab_reaches_the_skip_link_first(self, page: Page) -> None:
        page.press("Tab")
        assert page.value("document.activeElement.textContent") == "Skip to the features"
        assert page.value("document.activeElement.getBoundingClientRect().left") >= 0
        page.press("Enter")
        assert page.value(FOCUS) == "features"


def test_a_link_leads_to_a_card_that_the_search_had_hidden(page: Page, written: Path) -> None:
    page.press("/")
    page.type("word7")
    page.value("location.hash = '#feature-9'")
    page.press("Tab")
    assert len(page.value(SHOWN)) == 12
    assert page.value("document.activeElement.closest('.card').id") == "feature-9"


def test_the_address_of_a_card_opens_there(browser: Page, written: Path) -> None:
    browser.open("about:blank")
    browser.open(f"{written.as_uri()}#feature-18")
    assert browser.value(FOCUS) == "feature-18"


def test_the_page_asks_for_nothing_and_its_policy_forbids_nothing_of_its_own(page: Page, written: Path) -> None:
    page.press("j", "n", "/")
    assert [address for address in page.requests if address != "about:blank"] == [written.as_uri()]
    assert page.problems == []


def test_readable_without_colour(page: Page) -> None:
    widths = "[1, 2, 3, 4, 5].map(s => getComputedStyle(document.querySelector(`mark.s${s}`)).textDecorationThickness)"
    assert page.value(widths) == ["1px", "2px", "3px", "4px", "5px"]
    assert page.value("document.querySelector('li b').textContent") == "«word0»"


@pytest.mark.parametrize("width", [1400, 830, 400])
def test_nothing_is_wider_than_the_window(browser: Page, written: Path, width: int) -> None:
    browser.open(written.as_uri(), width=width)
    assert browser.value("document.documentElement.scrollWidth") <= width
    tops = "[...document.querySelectorAll('#feature-0 .panel')].map(panel => panel.getBoundingClientRect().top)"
    assert len(set(browser.value(tops))) == {1400: 1, 830: 2, 400: 4}[width]  # rows of the four panels


@pytest.mark.parametrize("with_policy", [True, False])
def test_the_policy_alone_would_stop_what_was_not_escaped(browser: Page, tmp_path: Path, with_policy: bool) -> None:
    written = dashboard_html(made_cards(1), "a title").replace("<h1>a title", f"<h1>{HOSTILE[1]}{HOSTILE[0]}")
    path = tmp_path / "unescaped.html"
    path.write_text(written if with_policy else POLICY.sub("", written), encoding="utf-8")
    browser.open(path.as_uri())
    browser.press("/")  # time enough for a picture that is not there
    assert (browser.value("document.documentElement.dataset.hit ?? null") is None) == with_policy


@pytest.mark.parametrize("with_policy", [True, False])
def test_hostile_tokens_are_text(browser: Page, tmp_path: Path, with_policy: bool) -> None:
    texts = (*HOSTILE, f"</script><script>{HIT}</script>", "{{ 7 * 7 }}", "\u202etxt.exe", "\u0000")
    written = dashboard_html(made_cards(3, words=texts), " ".join(HOSTILE), HOSTILE)
    path = tmp_path / "hostile.html"
    path.write_text(written if with_policy else POLICY.sub("", written), encoding="utf-8")
    browser.problems.clear()
    browser.open(path.as_uri())
    assert browser.value("document.documentElement.dataset.hit ?? null") is None
    assert browser.problems == []
    shown = browser.value("document.querySelector('main').textContent")
    for text in (f"<script>{HIT}</script>", f"</script><script>{HIT}</script>", "{{ 7 * 7 }}", "\\u202etxt.exe"):
        assert text in shown
    browser.press("/")
    browser.type("word1")
    assert browser.value(SHOWN) == ["feature-3"]  # the script still runs
