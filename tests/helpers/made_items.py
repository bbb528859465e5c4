"""Made-up items with short texts and a tokenizer that knows the answers, for tests of what comes after the items."""

from transformers import PreTrainedTokenizerFast

from saelib.htest.items.item import Item
from tests.helpers import small_models

VOCABULARY = small_models.VOCABULARY + 2

WORDS = ("red", "old", "tin", "wet", "sad", "dry", "raw", "odd", "shy", "big")


def letter_tokenizer() -> PreTrainedTokenizerFast:
    """The small tokenizer, to which " A" and " B" are single tokens, as to one that has read English."""
    tokenizer = small_models.small_tokenizer()
    tokenizer.add_tokens([" A", " B"])
    assert len(tokenizer) == VOCABULARY
    return tokenizer


def made_items(count: int, split: str = "test", task: str = "uppercase", long: int = 6) -> list[Item]:
    """Items of one task, A and B in turn, with texts of one to `long` words."""
    return [
        Item(
            task,
            split,
            row,
            " ".join(WORDS[(row * 7 + place * place) % len(WORDS)] for place in range(1 + row % long)) + str(row),
            "AB"[row % 2 - 1],
            ("A", "B"),
            0,
            "made-1",
        )
        for row in range(1, count + 1)
    ]


def geometry_items(count: int) -> list[Item]:
    """Letter-geometry questions whose symbols are several tokens of a byte-level tokenizer."""
    symbols = ("Λ", "Δ", "Ж", "O")
    return [
        Item("letter_geometry", "test", row, f"Turn {row}?", symbols[row % 4], symbols, 0, "made-1")
        for row in range(1, count + 1)
    ]
