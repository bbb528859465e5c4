"""The model card of the embedded language model, from the record of its training.

In: `training.json`. Out: `README.md` beside it, so that no number of the card is typed by hand.
"""

from pathlib import Path
from typing import Any

from saelib.language.embedded import EMBEDDED_FOLDER
from saelib.run.files import read_json, write_atomically

CARD = """---
language: en
license: mit
library_name: transformers
---
# The embedded language model
A small GPT-NeoX (Pythia's architecture: parallel residual, rotary position embedding over a quarter of each head,
untied unembedding) that ships with the kit, so that every notebook runs without a network. Its weights are stored in
half precision ({size:.1f} MB) and always read back as float32.

| | |
|---|---|
| layers, width, heads | {layers}, {width}, {heads} |
| parameters | {parameters:,} |
| vocabulary | {vocabulary:,} tokens, byte-level BPE, digits kept apart, `<|endoftext|>` between documents |
| context | {longest_context:,} tokens |
| training text | docstrings of Python's standard library and of {packages} packages: {train:,} tokens |
| held-out text | whole modules that were never trained on: {held_out:,} tokens |
| training | {tokens:,} tokens ({epochs:.1f} passes), {phases} |
| optimiser | Muon (blocks, {matrix:g}) and AdamW (the rest, {vector:g}), linear decay over the last {decay:.0%} |
| device and time | {device}, {minutes:.0f} minutes |
| held-out loss | **{loss:.3f} nats a token** over whole rows of {longest_context:,} tokens |

Held-out loss by position in the row:

{positions}

`training.json` holds the whole record: recipe, versions of the packages whose docstrings were read, corpus hash, log.

## Make it again
`python -m saelib.language.embedded.train` writes this folder anew, on CUDA where there is one. The recipe is seeded; another
device, or other versions of the packages, gives a model that is alike but not equal bit for bit.

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
    recipe, corpus = record["recipe"], record["corpus"]
    phases = ", then ".join(f"{steps:,} steps at context {context:,}" for context, steps in recipe["phases"])
    by_position = record["held_out_loss_by_position"]
    positions = "\n".join([f"| {' | '.join(by_position)} |", "|" + "---|" * len(by_position),
                           f"| {' | '.join(f'{loss:.2f}' for loss in by_position.values())} |"])  # fmt: skip
    return CARD.format(
        **{name: recipe[name] for name in ("layers", "width", "heads", "vocabulary", "longest_context")},
        **corpus,
        size=bytes_on_disk / 1e6,
        parameters=record["parameters"],
        packages=len(record["sources"]) - 1,
        tokens=record["tokens"],
        epochs=record["tokens"] / corpus["train"],
        phases=f"{recipe['batch_tokens']:,} tokens a step: {phases}",
        matrix=recipe["matrix_learning_rate"],
        vector=recipe["vector_learning_rate"],
        decay=recipe["decay_share"],
        device=record["device"],
        minutes=record["log"][-1]["seconds"] / 60,
        loss=record["held_out_loss"],
        positions=positions,
    )


def write_card(folder: Path = EMBEDDED_FOLDER) -> None:
    """Write `README.md` into a folder that training has filled."""
    card = model_card(read_json(folder / "training.json"), (folder / "model.safetensors").stat().st_size)
    write_atomically(folder / "README.md", lambda temporary: temporary.write_text(card, encoding="utf-8"))


if __name__ == "__main__":
    write_card()
