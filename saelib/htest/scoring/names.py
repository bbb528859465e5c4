"""What readers see in place of the code's names: of models, controls, tasks, sets of items, readers and columns.

In: names. Out: texts.
"""

from saelib.htest.config import API, CONTROL
from saelib.htest.items.official import OFFICIAL_SET
from saelib.htest.items.words import FRESH_SET
from saelib.htest.tasks import TASKS
from saelib.language.origin import note_on
from saelib.results.text import shortened

CONTROLS = {
    f"{CONTROL}oracle": "an independent rule for each task",
    f"{CONTROL}shortcut": "best cut on one number, such as the count of words",
    f"{CONTROL}constant_a": "always A",
    f"{CONTROL}constant_b": "always B",
    f"{CONTROL}coin": "a coin",
    f"{CONTROL}rarest_option": "rarest option",
}
GEOMETRY_CONTROLS = CONTROLS | {  # letter geometry has four symbols in place of A and B
    f"{CONTROL}constant_a": "always the first symbol",
    f"{CONTROL}constant_b": "always the second symbol",
}
SHORT_CONTROLS = CONTROLS | {f"{CONTROL}oracle": "rule", f"{CONTROL}shortcut": "best cut", f"{CONTROL}coin": "coin"}
READERS = {"paper": "released parser", "strict": "strict parser", "likelier": "likelier letter",
           "calibrated": "likelier letter, calibrated"}  # fmt: skip
SETS = {OFFICIAL_SET: "released items", FRESH_SET: "fresh items"}
COLUMNS = {"model": "who answers", "form": "prompt", "k": "shots", "reader": "read by", "item_set": "set of items",
           "input_tokens": "input tokens", "output_tokens": "output tokens"}  # fmt: skip
LONGEST = 28  # letters of a name in a figure


def shown_task(task: str) -> str:
    """A task's name with blanks."""
    return task.replace("_", " ")


def counted_tasks(count: float) -> str:
    """How many tasks: "ten tasks" where it is all of them, else the number."""
    number = "ten" if count == len(TASKS) else f"{count:.0f}"
    return f"{number} task{'s' if count != 1 else ''}"


def shown_items(item_set: str) -> str:
    """A set of items: "released items", "fresh items", "fresh items, seen words"; another one's own name."""
    for name, shown in SETS.items():
        if item_set == name or item_set.startswith(f"{name}-"):
            return ", ".join(filter(None, (shown, item_set.removeprefix(name).strip("-").replace("-", " "))))
    return item_set


def shown_model(model: str) -> str:
    """A control by what it does; a model by its whole name."""
    return CONTROLS.get(model, model)


def asked_model(model: str) -> str:
    """A model by its whole name, with what is to be known of its weights: "smollm2 (4-bit weights (Q4_1), ...)"."""
    note = note_on(model)
    return f"{shown_model(model)} ({note})" if note else shown_model(model)


def short_model(model: str) -> str:
    """For figures: the name without its maker, on one line, with its middle left out where it is long."""
    if model in SHORT_CONTROLS:
        return SHORT_CONTROLS[model]
    name = " ".join(model.removeprefix(API).split("/")[-1].replace(":", " ").split())
    return shortened(name, LONGEST)
