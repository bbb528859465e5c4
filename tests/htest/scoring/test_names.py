"""Readers see words in place of the code's names."""

import pytest

from saelib.htest.ablations.tuned_models import FRESH_WORDS, SEEN_WORDS, item_set_of
from saelib.htest.config import CONTROL
from saelib.htest.engines.controls import CONTROLS, GEOMETRY_CONTROLS
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.scoring import names
from saelib.htest.scoring.readings import READERS


@pytest.mark.parametrize(
    ("item_set", "shown"),
    [
        (OFFICIAL_SET, "released items"),
        ("fresh-2", "fresh items"),
        (item_set_of(SEEN_WORDS), "fresh items, seen words"),
        (item_set_of(FRESH_WORDS), "fresh items, fresh words"),
        ("mine", "mine"),
        ("fresh-12", "fresh-12"),
    ],
)
def test_sets_of_items(item_set: str, shown: str) -> None:
    assert names.shown_items(item_set) == shown


def test_every_control_and_reader_has_words() -> None:
    assert set(names.CONTROLS) == {CONTROL + name for name in (*CONTROLS, *GEOMETRY_CONTROLS)}
    assert set(names.READERS) == set(READERS)
    for words in (names.CONTROLS, names.SHORT_CONTROLS, names.GEOMETRY_CONTROLS):
        assert set(words) == set(names.CONTROLS)
        assert len(set(words.values())) == len(words)


def test_a_model_keeps_its_whole_name_and_a_task_gets_blanks() -> None:
    assert names.shown_model("EleutherAI/pythia-70m") == "EleutherAI/pythia-70m"
    assert names.shown_task("end_punctuation") == "end punctuation"


def test_a_model_that_was_asked_has_what_is_to_be_known_of_its_weights_behind_it() -> None:
    assert names.asked_model("smollm2") == "smollm2 (4-bit weights (Q4_1), instruction-tuned)"
    for model in ("embedded", "untrained:smollm2", "org/model", "api:openai/gpt-4o"):
        assert names.asked_model(model) == model
    assert names.asked_model("control:coin") == "a coin"
