"""Readings, accuracies, learning curves and shortcuts made up for the tests of figures."""

from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd

from saelib.htest.asking.replies import Reply
from saelib.htest.scoring.accuracy import accuracies_of, accuracy_table
from saelib.htest.scoring.beneath import against_fresh, beneath
from saelib.htest.scoring.readings import ITEM_COLUMNS, readings_of
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS
from tests.helpers.answers import make_item, make_reply, noisy_replies, replies_of

RELEASED = "official-4787987"
MODELS = ("untrained:embedded", "embedded", "EleutherAI/pythia-1.4b-deduped")
CONTROLS = {"oracle": lambda item: item.label, "constant_a": lambda _: "A", "constant_b": lambda _: "B",
            "coin": lambda item: "AB"[item.row // 2 % 2], "shortcut": lambda item: "AB"[item.row % 2]}  # fmt: skip


@cache
def of_models() -> pd.DataFrame:
    replies = [reply for place, model in enumerate(MODELS) for k in (0, 4, 14, 28, 50)
               for reply in noisy_replies(0.3 * place, -2.0 + k / 40, seed=place, model=model, k=k)]  # fmt: skip
    return readings_of(replies)


@cache
def of_controls() -> pd.DataFrame:
    return readings_of(
        [reply for name, say in CONTROLS.items() for reply in replies_of(say, 60, TASKS, model=f"control:{name}", k=50)]
    )


def one_condition() -> pd.DataFrame:
    return of_models().query("model == @MODELS[2] and k == 4")


def by_model() -> pd.DataFrame:
    readings = pd.concat([of_controls(), of_models().query("k == 50")])
    return accuracy_table(readings, ["model", "task"])


def curve() -> pd.DataFrame:
    seen, rows = np.array([0, 120, 250, 500, 1000, 2000, 3000]), []
    for place, task in enumerate(TASKS):
        for probe, ceiling in {"seen words": 0.95, "fresh words": 0.6 + 0.04 * place, "training": 1.0}.items():
            learnt = (ceiling - 0.5) * (1 - np.exp(-seen / (300 + 200 * place)))
            rows.append(pd.DataFrame({"task": task, "probe": probe, "items_seen": seen, "accuracy": 0.5 + learnt}))
    return pd.concat(rows, ignore_index=True)


def shortcuts() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows: list[tuple] = []
    for item_set in ("official-4787987", "fresh-2"):
        for place, task in enumerate(TASKS):
            for feature in ("characters", "words", "digits", "signs"):
                strong = item_set.startswith("official") and place % 3 == 0
                dev = random.uniform(0.6, 1.0) if strong else random.uniform(0.5, 0.58)
                rows.append((item_set, task, feature, dev, dev - 0.03, 0.5))
        rows.append((item_set, LETTER_GEOMETRY, "rarest option", None, 0.61 if item_set[0] == "o" else 0.22, 0.25))
    table = pd.DataFrame(rows, columns=["item_set", "task", "feature", "dev_accuracy", "test_accuracy", "chance"])
    return table.astype(dict.fromkeys(("dev_accuracy", "test_accuracy", "chance"), "Float64"))


def geometry() -> pd.DataFrame:
    items = [make_item(row, LETTER_GEOMETRY) for row in range(1, 91)]
    replies = [make_reply(item, item.options[item.row * (place + 3) % 4], model=model)
               for place, model in enumerate(MODELS) for item in items]  # fmt: skip
    replies += [make_reply(item, item.label, model="control:shortcut") for item in items]
    table = accuracy_table(readings_of(replies), ["item_set", "model", "task"])
    released = table.assign(item_set="official-4787987", reader="likelier", **{name: table[name] * 0.9 for name in
                            ("accuracy", "low", "high")})  # fmt: skip
    return pd.concat([table, released], ignore_index=True)


def of_set(replies: list[Reply], item_set: str) -> list[Reply]:
    """The same replies to items of another set."""
    return [replace(reply, item=replace(reply.item, item_set=item_set)) for reply in replies]


def released_and_fresh(released: float, fresh: float, items: int = 100) -> pd.DataFrame:
    """One condition on both sets of items: what is known of either, and A said to most."""
    return readings_of([*of_set(noisy_replies(released, 3, items, 1), RELEASED), *noisy_replies(fresh, 3, items, 2)])


@cache
def of_two_sets() -> pd.DataFrame:
    return released_and_fresh(1.0, 0.3, 60)


@cache
def beneath_of_two_sets() -> pd.DataFrame:
    readings = of_two_sets()
    tells = (readings["label"] == "A") & readings["task"].isin(list(TASKS)[:5])
    number = readings["row"] % 4 + tells
    return beneath(readings, readings[ITEM_COLUMNS].assign(feature="words", number=number, learnt=number))


def against_fresh_of_two_sets() -> pd.DataFrame:
    return against_fresh(of_two_sets(), RELEASED, "fresh-2")


def shot_orders(seeds: tuple[int | None, ...] = (None, 0, 1, 2)) -> pd.DataFrame:
    replies = [reply for place, seed in enumerate(seeds)
               for reply in noisy_replies(1.0, 1.0 * place, seed=place, k=50, shuffle_seed=seed)]  # fmt: skip
    return accuracies_of(readings_of(replies))
