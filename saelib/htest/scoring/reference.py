"""Checks for notebooks: accuracies that are known beforehand, and a prompt that is read all alone.

In: replies and their accuracies. Out: lines in the notebook, or an AssertionError.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from saelib.htest.asking.encoded import encode_prompts
from saelib.htest.asking.prompts import Prompt
from saelib.htest.asking.replies import Reply
from saelib.htest.config import API, CONTROL, UNTRAINED
from saelib.htest.items.item import Item, select
from saelib.htest.items.words import is_fresh
from saelib.htest.respondents import LocalSettings
from saelib.htest.tasks import LETTERS, TASKS
from saelib.results.notebook import check_equal

if TYPE_CHECKING:
    import pandas as pd

TOLERANCE = {"float32": 1e-4, "float16": 0.02, "bfloat16": 0.15}  # nats, by a condition's type of number


def check_known_accuracies(accuracies: "pd.DataFrame", item_sets: tuple[str, ...], items: Sequence[Item] = ()) -> None:
    """Constant A is right on exactly the A items, half of all; on fresh items the oracle is right on all of them.

    Args:
        accuracies: of the run, controls included.
        item_sets: sets of items; the oracle is checked on the fresh ones.
        items: of the run; a set of one's own may have other than as many A as B of a task. Without them half is taken.

    Raises:
        AssertionError: one is not.
    """
    strict = accuracies[(accuracies["reader"] == "strict") & accuracies["task"].isin(TASKS)]
    for item_set in item_sets:
        rows = strict[(strict["model"] == f"{CONTROL}constant_a") & (strict["item_set"] == item_set)]
        asked = zip(rows["task"], rows["accuracy"], rows["items"], strict=True)
        known = [(task, accuracy, _share_of_a(items, item_set, task, count)) for task, accuracy, count in asked]
        if any(share != 0.5 for *_, share in known):
            for task, accuracy, share in known:
                name = f"accuracy of constant A in {task}, {item_set}"
                check_equal(name, accuracy, share, "the share of A among the items asked")
            continue
        for extreme, accuracy in (("lowest", rows["accuracy"].min()), ("highest", rows["accuracy"].max())):
            name = f"{extreme} accuracy of constant A in any task, {item_set}"
            check_equal(name, accuracy, 0.5, "half of the items being A")
    for item_set in filter(is_fresh, item_sets):
        oracle = strict[(strict["model"] == f"{CONTROL}oracle") & (strict["item_set"] == item_set)]
        name = f"accuracy of the oracle, {item_set}, its worst task"
        check_equal(name, oracle["accuracy"].min(), 1, "the generator's labels")


def _share_of_a(items: Sequence[Item], item_set: str, task: str, count: int) -> float:
    """Of the first test items of a task, which were asked."""
    asked = select(items, task, "test", item_set)[:count]
    return sum(item.label == LETTERS[0] for item in asked) / len(asked) if asked else 0.5


def check_one_prompt_alone(
    replies: Sequence[Reply], device: str = "auto", settings: LocalSettings | None = None
) -> None:
    """The longest prompt of each local model, read alone and without a cache, gives the stored log-probabilities.

    Args:
        device: where no `settings` are given.
        settings: how the models are loaded.

    Raises:
        AssertionError: they differ by more than `TOLERANCE`.
    """
    scored = [reply for reply in replies if reply.log_probabilities and reply.item.options == LETTERS]
    elsewhere = (API, CONTROL, UNTRAINED)
    for model in dict.fromkeys(reply.condition.model for reply in scored):
        if model.startswith(elsewhere):
            continue
        longest = max(
            (reply for reply in scored if reply.condition.model == model), key=lambda reply: len(reply.prompt)
        )
        alone = log_probabilities_alone(longest, device, settings)
        for letter, stored in (longest.log_probabilities or {}).items():
            name = f"log p({letter}) in nats, {model}, {longest.item.key}, {longest.condition.k} shots"
            check_equal(name, stored, alone[letter], "the prompt read alone", TOLERANCE[longest.condition.dtype])


def log_probabilities_alone(
    reply: Reply, device: str = "auto", settings: LocalSettings | None = None
) -> dict[str, float]:
    """Log-probabilities of A and B after a stored prompt, in nats, from one ordinary pass of `LanguageModel`.

    A hub model is read at the commit that gave the reply; one in shorter numbers than float32, which `LanguageModel`'s
    own passes need, by a pass of transformers.
    """
    import torch

    dtype, commit = reply.condition.dtype, reply.condition.revision or None
    model = replace(settings or LocalSettings(device), dtype=dtype, commit=commit).load(reply.condition.model)
    before = " " if reply.condition.form == "completion" else ""
    prompt = Prompt(reply.prompt, tuple(before + letter for letter in LETTERS))
    ((ids, answers),) = encode_prompts([prompt], reply.condition, model.tokenizer, model.n_ctx).ids
    tokens = torch.tensor([ids], device=model.device)
    with torch.no_grad():
        logits = model.logits(tokens) if dtype == "float32" else model.hugging_face.eval()(tokens).logits
    chances = logits[0, -1].float().log_softmax(-1)
    return {letter: float(chances[answer[0]]) for letter, answer in zip(LETTERS, answers, strict=True)}
