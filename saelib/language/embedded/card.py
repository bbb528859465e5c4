"""The model card of the embedded language model, from the record of its training.

In: `training.json`. Out: `README.md` beside it, so that no number of the card is typed by hand.
"""

from pathlib import Path
from typing import Any

import pandas as pd

from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.results.tables import as_markdown
from saelib.run.files import write_atomically
from saelib.run.reading import read_json

CARD = """---
language: en
license: mit
library_name: transformers
---
# The embedded language model
A small GPT-NeoX (Pythia's architecture: parallel residual, rotary position embedding over a quarter of each head,
untied unembedding) that ships with the kit, so that every notebook runs without a network. Its weights are stored in
half precision ({size:.1f} MB) and always read back as float32.

{facts}
Held-out loss by position in the row:

{positions}
`training.json` holds the whole record: recipe, versions of the packages whose docstrings were read, corpus hash, log.

## Make it again
`python -m saelib.language.embedded.train` writes this folder anew, on CUDA where there is one. The recipe is seeded;
another device, or other versions of the packages, gives a model that is alike but not equal bit for bit.

## What it cannot do
It has read nothing but software documentation: it knows its phrases, parameter lists and some of its terms, and next to
nothing of the world. It does not follow instructions, recall facts or reason; its sentences hold together for a
clause or two. It stands in for a real language model where structure is what matters, and results on it do
not carry over to large models by themselves.
"""


def model_card(record: dict[str, Any], bytes_on_disk: int) -> str:
    """The card's Markdown.

    Args:
        record: what `saelib.language.embedded.train` wrote to `training.json`.
        bytes_on_disk: size of the weights' file.
    """
    by_position = {where: f"{loss:.2f}" for where, loss in record["held_out_loss_by_position"].items()}
    facts = pd.DataFrame(_facts(record).items(), columns=["", ""])
    return CARD.format(
        size=bytes_on_disk / 1e6, facts=as_markdown(facts), positions=as_markdown(pd.DataFrame([by_position]))
    )


def _facts(record: dict[str, Any]) -> dict[str, str]:
    """What was trained, on what and how, as texts."""
    recipe, corpus = record["recipe"], record["corpus"]
    context, packages = recipe["longest_context"], len(record["sources"]) - 1  # Python is one of the sources
    phases = ", then ".join(f"{steps:,} steps at context {length:,}" for length, steps in recipe["phases"])
    return {
        "layers, width, heads": f"{recipe['layers']}, {recipe['width']}, {recipe['heads']}",
        "parameters": f"{record['parameters']:,}",
        "vocabulary": f"{recipe['vocabulary']:,} tokens, byte-level BPE, digits kept apart, <|endoftext|> between "
        "documents",
        "context": f"{context:,} tokens",
        "training text": f"docstrings of Python's standard library and of {packages} packages: "
        f"{corpus['train']:,} tokens",
        "held-out text": f"whole modules that were never trained on: {corpus['held_out']:,} tokens",
        "training": f"{record['tokens']:,} tokens ({record['tokens'] / corpus['train']:.1f} passes), "
        f"{recipe['batch_tokens']:,} tokens per step: {phases}",
        "optimiser": f"Muon (blocks, {recipe['matrix_learning_rate']:g}) and AdamW (the rest, "
        f"{recipe['vector_learning_rate']:g}), linear decay over the last {recipe['decay_share']:.0%}",
        "device and time": f"{record['device']}, {record['log'][-1]['seconds'] / 60:,.0f} minutes",
        "held-out loss": f"{record['held_out_loss']:.3f} nats per token over whole rows of {context:,} tokens",
    }


def write_card(folder: Path = EMBEDDED_FOLDER) -> None:
    """Write `README.md` into a folder that training has filled."""
    card = model_card(read_json(folder / "training.json"), (folder / "model.safetensors").stat().st_size)
    write_atomically(folder / "README.md", lambda temporary: temporary.write_text(card, encoding="utf-8"))


if __name__ == "__main__":
    write_card()
