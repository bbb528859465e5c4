"""The card of the language model that ships says what the record of its training says."""

import re

from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.language.embedded.card import model_card
from saelib.run.reading import read_json

RECORD = read_json(EMBEDDED_FOLDER / "training.json")


def test_card_is_made_from_the_record():
    size = (EMBEDDED_FOLDER / "model.safetensors").stat().st_size
    assert (EMBEDDED_FOLDER / "README.md").read_text(encoding="utf-8") == model_card(RECORD, size)


def test_every_row_of_the_cards_tables_has_its_cells() -> None:
    """The end-of-text token has bars in its name, which would cut its row short."""
    card = model_card(RECORD, 0)
    facts, positions = re.findall(r"(?:^\|.*\n)+", card, flags=re.MULTILINE)
    for table, columns in ((facts, 2), (positions, len(RECORD["held_out_loss_by_position"]))):
        assert {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()} == {columns + 1}
    assert r"\<\|endoftext\|\> between documents" in facts
