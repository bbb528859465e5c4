"""How far one gets without reading: a single cut on a length or a count, fitted on dev and tried on test.

In: items. Out: cuts, and tables of their accuracy. A task whose dev-fitted cut scores well above chance on test can be
solved by something other than what it is about. For letter geometry the shortcut is the rarest option: its wrong
options are often the same few symbols, so a symbol that is seldom offered is likely to be right.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from saelib.htest.audit.ngrams import learnt_scores
from saelib.htest.items.item import Item, select
from saelib.htest.tasks import LETTER_GEOMETRY, LETTERS, TASKS

if TYPE_CHECKING:
    import pandas as pd


class Feature(NamedTuple):
    """A number that a text has."""

    name: str
    measure: Callable[[str], int]


FEATURES = (
    Feature("characters", len),
    Feature("words", lambda text: len(text.split())),
    Feature("digits", lambda text: sum(sign.isdigit() for sign in text)),
    Feature("signs", lambda text: sum(not (sign.isalnum() or sign.isspace()) for sign in text)),
)
OWN_MARKS = {"spelled_number": "digits"}  # what a task asks for is no shortcut: whoever finds digits has read the text
RAREST_OPTION = "rarest option"


class Threshold(NamedTuple):
    """One label above a cut, the other one below."""

    feature: Feature
    cut: float
    above: str

    def predict(self, text: str) -> str:
        """The label that the cut gives a text."""
        below = LETTERS[1 - LETTERS.index(self.above)]
        return self.above if self.feature.measure(text) > self.cut else below

    def accuracy(self, items: Sequence[Item]) -> float:
        """Share of the items that it gets right.

        Raises:
            ValueError: there are no items.
        """
        return _share([self.predict(item.text) == item.label for item in items])


def features(task: str = "", count_tokens: Callable[[str], int] | None = None) -> tuple[Feature, ...]:
    """Characters, words, digits and other signs, and tokens where they can be counted; not what the task is about."""
    tokens = () if count_tokens is None else (Feature("tokens", count_tokens),)
    return tuple(feature for feature in (*FEATURES, *tokens) if feature.name != OWN_MARKS.get(task))


def fit_threshold(items: Sequence[Item], feature: Feature) -> Threshold:
    """The cut on one feature that gets most of the items right; of equal ones the lowest.

    Raises:
        ValueError: there are no items, or they have other labels than A and B.
    """
    if not items or any(item.options != LETTERS for item in items):
        raise ValueError(f"a cut needs items with the labels {' and '.join(LETTERS)}; {len(items)} items were given")
    counts = Counter((feature.measure(item.text), item.label) for item in items)
    values = sorted({value for value, _ in counts})
    cuts = [values[0] - 0.5, *((low + high) / 2 for low, high in itertools.pairwise(values))]

    def right(threshold: Threshold) -> int:
        return sum(count for (value, label), count in counts.items()
                   if (value > threshold.cut) == (label == threshold.above))  # fmt: skip

    return max((Threshold(feature, cut, above) for cut in cuts for above in LETTERS), key=right)


def best_threshold(dev: Sequence[Item], count_tokens: Callable[[str], int] | None = None) -> Threshold:
    """The best cut on any feature, by its accuracy on the items it is fitted on.

    Raises:
        ValueError: there are no items, or they have other labels than A and B.
    """
    task = dev[0].task if dev else ""
    fitted = [fit_threshold(dev, feature) for feature in features(task, count_tokens)]
    return max(fitted, key=lambda threshold: threshold.accuracy(dev))


def shortcut_numbers(items: Sequence[Item], count_tokens: Callable[[str], int] | None = None) -> "pd.DataFrame":
    """The number that each task's best cut is made in, of its test items: what an audit of margins holds fixed.

    Args:
        count_tokens: as in `shortcut_table`.

    Returns:
        One row for each test item of a task with dev items: item_set, item_seed, task, split, row; `feature`, the name
        of the number; `number`, with its sign turned where the cut says B above it, so that more of it speaks for A
        everywhere; and `learnt`, what the dev items teach a learner of character n-grams (`audit.ngrams`).
    """
    import pandas as pd

    rows = []
    for item_set, seed in dict.fromkeys((item.item_set, item.seed) for item in items):
        same = [item for item in items if (item.item_set, item.seed) == (item_set, seed)]
        for task in TASKS:
            if dev := select(same, task, "dev"):
                best = best_threshold(dev, count_tokens)
                sign = 1 if best.above == LETTERS[0] else -1
                test = select(same, task, "test")
                rows += [(item_set, seed, task, "test", item.row, best.feature.name,
                          sign * best.feature.measure(item.text), learnt)
                         for item, learnt in zip(test, learnt_scores(dev, test), strict=True)]  # fmt: skip
    columns = ["item_set", "item_seed", "task", "split", "row", "feature", "number", "learnt"]
    return pd.DataFrame(rows, columns=columns)


def rarest_option(items: Iterable[Item]) -> Callable[[Item], str]:
    """A function that picks the option offered least often over all `items`; of equally rare ones the first."""
    offered = Counter(option for item in items for option in item.options)
    return lambda item: min(item.options, key=lambda option: offered[option])


def shortcut_table(items: Sequence[Item], count_tokens: Callable[[str], int] | None = None) -> "pd.DataFrame":
    """Accuracy of every shortcut, fitted on dev, on dev and on test.

    Args:
        count_tokens: tokens of a text for the model at hand; adds tokens to the features.

    Returns:
        One row for each set of items, seed, task and feature that has both dev and test items; letter geometry has no
        dev split and needs none. `above` is the label given above `cut`.
    """
    import pandas as pd

    rows = []
    for item_set, seed in dict.fromkeys((item.item_set, item.seed) for item in items):
        same = [item for item in items if (item.item_set, item.seed) == (item_set, seed)]
        for task in (*TASKS, LETTER_GEOMETRY):
            dev, test = select(same, task, "dev"), select(same, task, "test")
            lines = (
                _geometry_lines(test) if task == LETTER_GEOMETRY else _lines(dev, test, features(task, count_tokens))
            )
            rows += [{"item_set": item_set, "seed": seed, "task": task} | line for line in lines]
    columns = ["item_set", "seed", "task", "feature", "cut", "above", "dev_accuracy", "test_accuracy", "chance"]
    numbers = dict.fromkeys(("cut", "dev_accuracy", "test_accuracy", "chance"), "Float64")
    return pd.DataFrame(rows, columns=columns).astype(numbers)


def _lines(dev: list[Item], test: list[Item], measured: Sequence[Feature]) -> list[dict[str, Any]]:
    fitted = [fit_threshold(dev, feature) for feature in measured] if dev and test else []
    return [
        {"feature": threshold.feature.name, "cut": threshold.cut, "above": threshold.above, "chance": 1 / len(LETTERS),
         "dev_accuracy": threshold.accuracy(dev), "test_accuracy": threshold.accuracy(test)}
        for threshold in fitted
    ]  # fmt: skip


def _geometry_lines(test: list[Item]) -> list[dict[str, Any]]:
    if not test:
        return []
    chance = 1 / len(test[0].options)
    return [{"feature": RAREST_OPTION, "test_accuracy": rarest_option_accuracy(test), "chance": chance}]


def rarest_option_accuracy(items: Sequence[Item]) -> float:
    """Share of the items whose rarest option is right.

    Raises:
        ValueError: there are no items.
    """
    pick = rarest_option(items)
    return _share([pick(item) == item.label for item in items])


def _share(hits: Sequence[bool]) -> float:
    if not hits:
        raise ValueError("the accuracy of no items is not defined; give at least one item")
    return sum(hits) / len(hits)
