"""What a card holds: one scale for its histograms, one shade for each panel, numbers in words."""

import pytest

from saelib.interpret.dashboard.cards import Card, Context, Panel, share_in_words, with_shared_scale


def test_histograms_are_cut_to_the_bins_that_any_panel_uses() -> None:
    # bins 1 to 3 of five are used by one or the other: edges 2 to 16
    panels = [Panel("a", histogram=(0, 4, 0, 0, 0)), Panel("b", histogram=(0, 0, 0, 2, 0)), Panel("c")]
    cut = with_shared_scale(panels, [1, 2, 4, 8, 16, 32])
    assert [panel.histogram for panel in cut] == [(4, 0, 0), (0, 0, 2), ()]
    assert {panel.bounds for panel in cut} == {(2.0, 16.0)}
    assert cut[2].bars == ()


def test_without_any_token_nothing_is_cut() -> None:
    panels = (Panel("a", histogram=(0, 0)),)
    assert with_shared_scale(panels, [1, 2, 4]) == panels
    assert panels[0].bars == ()


def test_the_outline_of_a_histogram() -> None:
    # heights of 10: all for 4 tokens, a quarter of that for one, none for none, and a trace for 1 of 400
    assert Panel("a", histogram=(4, 1, 0)).path == "M0 10V0h1V7.5h1V10h1V10z"
    assert "V9.5h1" in Panel("a", histogram=(400, 1)).path


def test_shades_follow_the_panels_own_largest_activation() -> None:
    contexts = (
        Context(("a", "b"), (10.0, 0.0), 0, row=3, position=0),
        Context(("a", "b"), (0.0, 2.0), 1, row=5, position=9),
    )
    lines = Panel("source", contexts=contexts).lines
    assert [line.value for line in lines] == ["10", "2"]
    assert [piece.step for line in lines for piece in line.pieces] == [5, 0, 0, 1]


def test_peaks_are_said_once() -> None:
    contexts = [Context((text,), (1.0,), 0, 0, 0) for text in (" the", " the", " a")]
    assert Panel("source", contexts=tuple(contexts)).peaks == ["␣the", "␣a"]


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0%"), (0.1234, "12%"), (0.0083, "0.83%"), (0.000021, "0.0021%"), (0.0999, "10%"), (1.0, "100%")],
)
def test_a_share_has_two_digits(share: float, words: str) -> None:
    assert share_in_words(share) == words


def test_an_anchor_names_the_feature() -> None:
    assert Card(12, ()).anchor == "feature-12"
