"""A language model tuned on the items of one task: the bare text, a line break, the letter.

In: a model by name, training items of one task, and probes (named lists of other items that are scored along the
way). Out: the learning curve, and the tuned model as a folder that `load_language_model` reads. The paper (section on
fine-tuning) names 1,000 instances and three epochs; the rest of the recipe is this library's, chosen for the embedded
model on other items than those reported. Nothing is kept of an interrupted training: it is minutes of work.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from saelib.htest.ablations.letter_training import Step, encode, fit, mean_scores, score
from saelib.htest.ablations.low_rank import what_is_trained
from saelib.htest.ablations.tuned_folder import DESCRIPTION, check_library, read_curve, read_description, save_tuned
from saelib.htest.asking.encoded import first_token_text
from saelib.htest.config import FineTuning
from saelib.htest.items.item import Item, hash_items
from saelib.run.library import code_digest
from saelib.run.progress import progress

if TYPE_CHECKING:
    from pandas import DataFrame

    from saelib.language.model import LanguageModel

TUNED_BY = ("language", "htest/ablations/fine_tuning.py", "htest/ablations/letter_training.py",
            "htest/ablations/low_rank.py", "htest/asking/encoded.py", "htest/asking/prompts.py")  # fmt: skip
TRAINING = "training"  # in the learning curve: the training items, as they were just before they were learnt from


class Tuned(NamedTuple):
    """What a training gives beside the model."""

    curve: "DataFrame"
    weights: int
    """How many numbers learnt."""


def fine_tune(
    source: str,
    revision: str | None,
    train: Sequence[Item],
    probes: Mapping[str, Sequence[Item]],
    recipe: FineTuning,
    folder: Path,
    device: str = "auto",
    first_token: str = "auto",
    check: Callable[[str], object] | None = None,
) -> "DataFrame":
    """Tune a model on one task, or read what an earlier call with the same inputs left in the folder.

    The same inputs give the same weights on the same machine; on a GPU, as far as its kernels do.

    Args:
        source: as `load_language_model` takes it.
        revision: of a hub model.
        train: as many items as the recipe says, of the split "train".
        probes: items to score, by a name; no text of theirs may be among the training texts.
        first_token: as `HTestConfig.first_token`: the special token before each text.
        folder: where the tuned model goes, with its tokenizer, the learning curve and `fine_tuning.json`.
        check: is told the revision of the loaded model before it is tuned, and may refuse it.

    Returns:
        The learning curve, one row for each evaluated step and each probe: step, items_seen, probe, accuracy,
        loss (nats). The rows of the probe "training" are means over the batches since the evaluation before.

    Raises:
        ValueError: the items break the rules above, do not fit the model, or the folder holds something else.
        DamagedFileError: a file of the folder is not what was written.
        FileExistsError: models beside the folder were tuned so by another version of the library.
        FileNotFoundError: there is no such model.
        FloatingPointError: the loss is no longer a finite number.
    """
    from saelib.language.loading import load_language_model

    check_items(train, probes, recipe)
    language_model = load_language_model(source, device, revision)
    if check is not None:
        check(language_model.revision)
    inputs = _describe(language_model, train, probes, recipe)
    if first := first_token_text(language_model.tokenizer, first_token):
        inputs["first_token"] = first
    if folder.exists():
        return read_curve(folder, inputs)
    named = {"source": source, "revision": revision, "first_token": first_token, "library": code_digest(*TUNED_BY)}
    check_library(folder, inputs, named)
    started = time.perf_counter()
    tuned = _tune(language_model, train, probes, recipe, first_token)
    more = {"device": str(language_model.device), "seconds": time.perf_counter() - started,
            "weights": language_model.hugging_face.num_parameters(), "trained_weights": tuned.weights}  # fmt: skip
    if recipe.method == "lora":
        more["versions"] = {"peft": version("peft")}
    save_tuned(folder, language_model, tuned.curve, {"inputs": inputs, **named, **more})
    return tuned.curve


def is_asked_for(
    folder: Path,
    source: str,
    revision: str | None,
    train: Sequence[Item],
    probes: Mapping[str, Sequence[Item]],
    recipe: FineTuning,
    first_token: str = "auto",
) -> bool:
    """Whether what lies in a folder is what `fine_tune` would be asked for; the content of the model is its to check.

    Args: as `fine_tune` has them.
    """
    if not (folder / DESCRIPTION).is_file():
        return False
    described = read_description(folder)
    named = (described.get("source"), described.get("revision"), described.get("first_token", "auto"))
    wanted = _items_and_recipe(train, probes, recipe)
    return named == (source, revision, first_token) and wanted.items() <= described["inputs"].items()


def check_items(train: Sequence[Item], probes: Mapping[str, Sequence[Item]], recipe: FineTuning) -> None:
    """Refuse items that would make the learning curve mean something else than it says.

    Raises:
        ValueError: too few or too many training items, one that is not of the split "train" or of another task, a
            training text that is also in a probe (upper and lower case taken as one), or a probe without items.
    """
    if len(train) != recipe.items:
        raise ValueError(f"{len(train)} training items were given and the recipe says {recipe.items}")
    for item in train:
        if item.split != "train" or item.task != train[0].task:
            raise ValueError(f"{item.key} is no training item of {train[0].task}: give items of one task, split train")
    trained_on = {item.text.casefold() for item in train}
    for name, items in probes.items():
        if not items or name == TRAINING:
            raise ValueError(f"probe {name!r} with {len(items)} items: give it items, and another name than {TRAINING}")
        for item in items:
            if item.text.casefold() in trained_on:
                raise ValueError(
                    f"{item.text!r} of the probe {name!r} ({item.key}) is also a training text; "
                    "exclude the texts of all probes when the training items are made"
                )


def _tune(
    language_model: "LanguageModel",
    train: Sequence[Item],
    probes: Mapping[str, Sequence[Item]],
    recipe: FineTuning,
    first_token: str,
) -> Tuned:
    """The model's weights are changed in place."""
    import pandas as pd

    model, examples = language_model.hugging_face, encode(train, language_model, first_token)
    encoded = {name: encode(items, language_model, first_token) for name, items in probes.items()}
    rows: list[dict[str, Any]] = []

    def evaluate(step: int, items_seen: int, since: Sequence[Step]) -> None:
        learnt = {TRAINING: mean_scores([s.scores for s in since], [s.items for s in since])} if since else {}
        for name, scores in (learnt | score(model, encoded)).items():
            rows.append({"step": step, "items_seen": items_seen, "probe": name, **scores._asdict()})

    evaluate(0, 0, [])
    since: list[Step] = []
    items_seen = 0
    whole = recipe.epochs * recipe.items
    with (
        what_is_trained(model, recipe),
        progress(f"fine-tuning on {train[0].task}", whole, unit="item") as advance,
    ):
        weights = model.num_parameters(only_trainable=True)
        for step in fit(model, examples, recipe):
            since.append(step)
            items_seen += step.items
            if step.number in recipe.evaluated_steps:
                evaluate(step.number, items_seen, since)
                since = []
            advance(step.items)
    return Tuned(pd.DataFrame(rows), weights)


def _describe(
    language_model: "LanguageModel", train: Sequence[Item], probes: Mapping[str, Sequence[Item]], recipe: FineTuning
) -> dict[str, Any]:
    """Everything that decides the curve and the weights, as JSON values."""
    return _items_and_recipe(train, probes, recipe) | {"base_revision": language_model.revision}


def _items_and_recipe(
    train: Sequence[Item], probes: Mapping[str, Sequence[Item]], recipe: FineTuning
) -> dict[str, Any]:
    return {
        "recipe": recipe.as_stored(),
        "training_items": hash_items(train),
        "probes": {name: hash_items(items) for name, items in probes.items()},
    }
