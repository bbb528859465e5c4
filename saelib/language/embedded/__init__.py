"""The language model that ships with the kit: its weights, its tokenizer and the recipe that made them."""

from pathlib import Path

EMBEDDED = "embedded"
EMBEDDED_FOLDER = Path(__file__).parent / "model"
