"""The folder of a tuned model: the model, its learning curve, and how it came about.

In: what `fine_tuning` made. Out: a folder that `load_language_model` reads, whole or absent, with checksums; and back
again what stands beside the model.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.run.files import replace_folder, write_json
from saelib.run.manifest import MANIFEST, find_damage, write_manifest
from saelib.run.reading import DamagedFileError, as_object, read_json, read_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from saelib.language.model import LanguageModel

DESCRIPTION, CURVE = "fine_tuning.json", "learning_curve.parquet"
REMEDY = "delete that folder, and the model is tuned again"


def check_whole(folder: Path) -> None:
    """Refuse a tuned model of which a file is not what was written; one of an earlier release is believed.

    Raises:
        DamagedFileError: one is not; the message names it.
    """
    if (folder / MANIFEST).is_file() and (damage := find_damage(folder)):
        raise DamagedFileError(f"{folder} is damaged ({damage}); {REMEDY}")


def check_library(folder: Path, inputs: Mapping[str, Any], named: Mapping[str, Any]) -> None:
    """Refuse to tune on one task more where another version of the library has tuned on others by this recipe.

    Raises:
        FileExistsError: one has; the message names its folder.
    """
    for path in sorted(folder.parent.glob(f"*/{DESCRIPTION}")):
        other = read_description(path.parent)
        alike = [other.get("source"), other["inputs"].get("recipe"), other["inputs"].get("base_revision")]
        was, now = other.get("library", named["library"]), named["library"]  # earlier releases do not say
        if was != now and alike == [named["source"], inputs["recipe"], inputs["base_revision"]]:
            raise FileExistsError(
                f"{path.parent} was tuned by another version of the library (library was {was[:12]}, is {now[:12]}), "
                "and the tasks of one recipe are compared: check out that version to go on with it, delete that "
                "folder to tune it anew, or name another run"
            )


def read_description(folder: Path) -> dict[str, Any]:
    """What is kept beside a tuned model of how it came about.

    Raises:
        DamagedFileError: it is damaged.
    """

    def parse(value: Any) -> dict[str, Any]:
        described = as_object(value)
        as_object(described["inputs"])
        return described

    return dict(read_json(folder / DESCRIPTION, parse, REMEDY))


def save_tuned(folder: Path, language_model: "LanguageModel", curve: "DataFrame", description: dict[str, Any]) -> None:
    """Write the model, its tokenizer, the curve and how they came about, atomically."""
    from saelib.language.quiet import no_progress_bar
    from saelib.results.provenance import write_table

    def fill(temporary: Path) -> None:
        with no_progress_bar():
            language_model.hugging_face.save_pretrained(temporary)
        language_model.tokenizer.save_pretrained(temporary)
        write_table(curve, temporary / CURVE)
        write_json(temporary / DESCRIPTION, description)
        write_manifest(temporary)

    replace_folder(folder, fill)


def read_curve(folder: Path, inputs: dict[str, Any]) -> "DataFrame":
    """The learning curve of a tuned model, if it was tuned with these inputs.

    Raises:
        ValueError: it was not, or the folder holds something else.
        DamagedFileError: a file of the folder is not what was written.
    """
    if not (folder / DESCRIPTION).is_file():
        raise ValueError(f"{folder} is there and holds no {DESCRIPTION}; choose another folder for the tuned model")
    check_whole(folder)
    stored = read_description(folder)["inputs"]
    if other := [name for name in {**stored, **inputs} if stored.get(name) != inputs.get(name)]:
        raise ValueError(
            f"{folder} holds a model that was tuned with another {' and '.join(other)}; "
            "put the old content back, or choose another folder"
        )
    return read_table(folder / CURVE, remedy=REMEDY)
