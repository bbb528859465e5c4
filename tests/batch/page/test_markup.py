"""Markdown becomes HTML in which nothing from outside is alive, and verdicts have their colour."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from saelib.batch.page.markup import as_html, box, contents, folded, heading, number_headings, picture, tokens_of
from saelib.results.notebook import VERDICT_SIGNS, verdict
from saelib.results.tables import as_markdown

HARMFUL = {
    "a script": "<script>alert(1)</script>",
    "a picture with a script": "<img src=x onerror=alert(1)>",
    "a picture elsewhere": "![x](http://example.org/x.png)",
    "a link that runs": "[x](javascript:alert(1))",
    "a bar": "a|b||c",
    "dollars": "$x$ and $$y$$",
    "a line break": "first\nsecond\r\nthird\u2028fourth",
    "backslashes": "a\\|b\\",
    "a heading": "# not a heading",
    "60 letters": "a" * 60,
    "other scripts": "模型 モデル 모델",
    "mark-up": "*a* _b_ `c` [d]",
    "a verdict's name": "yes",
}


class Seen(HTMLParser):
    """Tags with their attributes, and the words of each cell."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


@pytest.mark.parametrize("name", HARMFUL.values(), ids=HARMFUL)
class TestNamesFromOutside:
    """A name from outside is shown to the letter, and does nothing."""

    def test_in_a_table(self, name: str) -> None:
        seen = Seen(as_html(tokens_of(as_markdown(pd.DataFrame({name: ["x", name], "n": [1, 2]})))))
        words = " ".join(name.splitlines())
        assert [cell.strip() for cell in seen.cells] == [words, "n", "x", "1", words, "2"]
        assert {tag for tag, _ in seen.tags} == {"div", "table", "thead", "tbody", "tr", "th", "td"}
        assert all(attrs in ({}, {"class": "scroll"}) for _, attrs in seen.tags)

    def test_said_as_it_is(self, name: str) -> None:
        """Where a notebook forgot to escape it."""
        seen = Seen(as_html(tokens_of(f"Asked: {name}.")))
        assert not {tag for tag, _ in seen.tags} & {"script", "img", "iframe", "svg"}
        assert not [key for _, attrs in seen.tags for key in attrs if key.startswith("on")]
        assert not [attrs for _, attrs in seen.tags if (attrs.get("href") or "").startswith("javascript")]

    def test_as_a_caption_or_a_summary(self, name: str) -> None:
        seen = Seen(as_html([picture("data:image/png;base64,AA", name), folded(name, tokens_of("inside"))]))
        assert [tag for tag, _ in seen.tags] == ["figure", "img", "figcaption", "details", "summary", "p"]
        assert seen.tags[1][1] == {"alt": " ".join(name.splitlines()), "src": "data:image/png;base64,AA"}


@pytest.mark.parametrize("words", [*VERDICT_SIGNS, "in part: a small model"])
def test_a_verdict_has_a_colour_and_its_word(words: str) -> None:
    (cell,) = re.findall("<td.*?</td>", as_html(tokens_of(as_markdown(pd.DataFrame({"agrees": [verdict(words)]})))))
    kind = words.partition(":")[0].replace(" ", "-")
    assert cell == f'<td class="verdict {kind}">{verdict(words)}</td>'


def test_names_of_notebooks_are_links() -> None:
    page = as_html(tokens_of("See `13_convergence`, not `14_nothing`.\n\n| a |\n|---|\n| 90_report |\n"))
    assert re.findall('href="(.*?)"', page) == ["notebooks/13_convergence.ipynb", "notebooks/90_report.ipynb"]


def test_the_contents_are_the_headings_with_their_anchors() -> None:
    blocks = number_headings([heading("Top", 1), *tokens_of("## A & `b`\n\ntext"), heading("C", 3), heading("D", 4)])
    assert [*contents(blocks)] == [(2, "section-2", "A & b"), (3, "section-3", "C")]
    assert '<h2 id="section-2">A &amp; <code>b</code></h2>' in as_html(blocks)


def test_a_box_has_its_kind() -> None:
    assert as_html([box("answer", tokens_of("**Yes.**"))]) == (
        '<aside class="box answer">\n<p><strong>Yes.</strong></p>\n</aside>\n'
    )
