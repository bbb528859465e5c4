"""Where a language model comes from: what must a reader be told of it wherever its numbers stand?

In: a model's name, as `loading.load_language_model` takes it. Out: title, licence and a note, empty where nothing is
known. Quantised weights are not the published ones, and a model that was tuned to follow instructions is no base model.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from saelib.language import embedded
from saelib.language.gguf.folder import gguf_record, is_gguf
from saelib.language.gguf.smollm2 import SMOLLM2


class ModelOrigin(NamedTuple):
    """Of a language model."""

    title: str
    """What it is called, and by whom it was made where that is known."""
    licence: str
    """Of its weights, as SPDX has it; empty where it is not known."""
    note: str
    """How its weights differ from those that the title makes one think of; empty where they do not."""


_KNOWN = {
    embedded.EMBEDDED: ModelOrigin(embedded.EMBEDDED, "MIT", "small, ships with the kit"),
    SMOLLM2: ModelOrigin(
        "SmolLM2-135M-Instruct (HuggingFaceTB)", "Apache-2.0", "4-bit weights (Q4_1), instruction-tuned"
    ),
}


def model_origin(name: str) -> ModelOrigin:
    """What is known of a language model by its name; of a GGUF file, what stands in it, where it can be read.

    Raises nothing of a file: numbers outlive it, and loading says what is wrong with one.
    """
    path = Path(name).expanduser()
    if name in _KNOWN:
        return _KNOWN[name]
    if not is_gguf(path):
        return ModelOrigin(name, "", "")
    try:
        record = gguf_record(path)
    except (OSError, ValueError):
        return ModelOrigin(name, "", "weights of a GGUF file, which are mostly quantised")
    types = ", ".join(record["types"])
    return ModelOrigin(record["name"] or path.name, record["licence"] or "", f"weights of a GGUF file ({types})")


def note_on(model: str) -> str:
    """What has to stand beside a model's numbers; nothing beside those of the kit's own, which every page names so."""
    return "" if model == embedded.EMBEDDED else model_origin(model).note


def notes_on(models: Iterable[str]) -> str:
    """What a caption has to add of some models: "smollm2: 4-bit weights (Q4_1), instruction-tuned"; mostly nothing."""
    notes = {name: note_on(name) for name in models}
    return "; ".join(f"{name}: {note}" for name, note in notes.items() if note)
