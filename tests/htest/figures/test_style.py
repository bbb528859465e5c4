"""Names in figures are short and are drawn to the letter."""

import matplotlib as mpl
from matplotlib.figure import Figure

from saelib.htest.figures.style import as_percent, shown_model
from saelib.htest.scoring.names import LONGEST
from saelib.results.figures import STYLE


def test_models_are_shown_by_short_names() -> None:
    names = {"EleutherAI/pythia-70m-deduped": "pythia-70m-deduped", "api:openai/gpt-4o": "gpt-4o",
             "control:constant_b": "always B", "control:coin": "coin", "untrained:embedded": "untrained embedded",
             "embedded": "embedded"}  # fmt: skip
    assert {name: shown_model(name) for name in names} == names
    assert shown_model("control:constant_b", {"control:constant_b": "always the second"}) == "always the second"


def test_a_name_that_looks_like_a_formula_is_drawn_as_it_is() -> None:
    for name in ("a$$b", "$x", "$\\frac$ <b>|`", "cost: 5$ and 6$", "line\nbreak"):
        with mpl.rc_context(STYLE):
            figure = Figure()
            figure.suptitle(shown_model(name))
            figure.draw_without_rendering()  # a formula that is none would be an error
        assert shown_model(name) == " ".join(name.replace(":", " ").split())


def test_a_long_name_keeps_both_ends() -> None:
    name = "meta-llama/" + "Llama-2-13b-" + "x" * 50 + "-chat-hf"
    assert len(shown_model(name)) == LONGEST
    assert shown_model(name).startswith("Llama-2-13b-") and shown_model(name).endswith("-chat-hf")


def test_shares_are_percents() -> None:
    assert as_percent(0.5) == "50%"
