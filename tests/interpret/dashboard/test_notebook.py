"""Cards in a notebook: as HTML without a script, and as plain text."""

import re
from pathlib import Path

import pytest

from saelib.interpret.dashboard.cards import NOTHING_SHOWN, Card, Context, Panel
from saelib.interpret.dashboard.lineages import chosen_lineage
from saelib.interpret.dashboard.notebook import CardsView, notebook_view
from saelib.interpret.features.profiles import make_profiles, source_sample
from saelib.interpret.interpretation import Interpretation
from tests.helpers.browser import HIT, HOSTILE, is_hit, needs_browser, shown_by_browser
from tests.helpers.dead_features import mark_dead
from tests.helpers.made_cards import made_cards
from tests.interpret.conftest import CopyInterpretation


def test_the_fragment_has_its_own_style_and_no_script() -> None:
    html = CardsView(made_cards(1))._repr_html_()
    assert html.startswith('<div class="saelib">')
    assert "<script" not in html
    assert "id=" not in html  # two cells may show one card
    style = html[html.index("<style>") : html.index("</style>")]
    rules = [line for line in style.replace("<style>", "").splitlines() if "{" in line]
    assert rules
    assert all(line.startswith(".saelib") for line in rules)  # the rest of the notebook stays as it is


def test_no_signs_of_dollars_make_a_formula() -> None:
    context = Context(("$x", " + ", "y$"), (0.0, 2.5, 0.0), 1, 0, 0)
    card = Card(
        7, (Panel("source", 'costs $1 "and" $2', 7, raised=("$",), contexts=(context,)),), (("from $", "to $"),)
    )
    html = CardsView([card])._repr_html_()
    texts = re.split(r"<[^>]*>", html)
    assert texts.count("$") == sum(text.count("$") for text in texts) >= 5  # each stands alone in its element
    assert not [value for value in re.findall(r'="([^"]*)"', html) if "span" in value]


def test_the_plain_text_says_the_same() -> None:
    context = Context((" a", " the", "\n"), (0.0, 2.5, 0.0), 1, 0, 0)
    panel = Panel("source", "from scratch, layer 2", 7, facts=("at 1% of tokens",), raised=(" the",),
                  contexts=(context,))  # fmt: skip
    card = Card(7, (panel, Panel("scratch", note="Active nowhere.")), (("cosine", "0.9"),))
    assert repr(CardsView([card])).splitlines() == [
        "Feature 7; cosine: 0.9",
        "  source 7 (from scratch, layer 2)",
        "    at 1% of tokens",
        "    raises ␣the",
        "       2.5 … a «the»↵…",
        "  scratch",
        "    Active nowhere.",
    ]


def test_a_feature_of_a_run(profiled: Interpretation) -> None:
    lineage = chosen_lineage(profiled, arm="forward_affine")
    first, *_, last = source_sample(profiled, lineage.source).tolist()
    assert [card.feature for card in notebook_view(profiled, lineage=lineage).cards] == [first]
    assert f"Feature {last}" in notebook_view(profiled, last, lineage)._repr_html_()
    with pytest.raises(ValueError, match=rf"feature=9999: this run has feature {first}, "):
        notebook_view(profiled, 9999)


def test_a_source_whose_features_are_all_dead_has_no_card(copy_interpretation: CopyInterpretation) -> None:
    copy = copy_interpretation(feature_arms=["forward"], feature_layers=[1])
    make_profiles(copy)
    (lineage,) = copy.lineages()
    mark_dead(copy, lineage.source, range(copy.experiment.d_sae))
    view = notebook_view(copy)
    assert view.cards == []
    assert repr(view) == NOTHING_SHOWN
    assert NOTHING_SHOWN in view._repr_html_()
    with pytest.raises(ValueError, match=rf"feature=3: {NOTHING_SHOWN}"):
        notebook_view(copy, 3)


@needs_browser
def test_hostile_tokens_in_an_executed_notebook_are_text(tmp_path: Path) -> None:
    from nbconvert import HTMLExporter
    from nbformat.v4 import new_code_cell, new_notebook, new_output

    view = CardsView(made_cards(2, words=HOSTILE))
    output = new_output("execute_result", {"text/html": view._repr_html_(), "text/plain": repr(view)})
    notebook = new_notebook(cells=[new_code_cell("view", outputs=[output])])
    path = tmp_path / "notebook.html"
    path.write_text(HTMLExporter().from_notebook_node(notebook)[0], encoding="utf-8")
    assert path.read_text(encoding="utf-8").count(HIT) > len(HOSTILE)
    assert not is_hit(shown_by_browser(path))
