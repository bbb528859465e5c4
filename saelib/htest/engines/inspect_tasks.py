"""H-Test as tasks of Inspect AI: `inspect eval saelib/htest_uppercase --model openai/gpt-4o -T k=50`.

In: items, and the condition they are asked under. Out: `inspect_ai.Task`s whose samples carry the whole item and
condition, so that a log can be imported (`inspect_logs`) without anything else. The sample id is the item's key, and
our prompt is the one user message, as it is. pyproject.toml names this module as an entry point of Inspect.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig

from saelib.htest.asking.prompts import Prompt, choose_shots, render
from saelib.htest.asking.replies import Condition
from saelib.htest.engines.inspect_scorers import ask, both_parsers
from saelib.htest.items.item import Item, select
from saelib.htest.items.sources import load_items
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS

TOP_LOG_PROBABILITIES = 20  # the most that OpenAI's interface gives


def make_task(
    items: Sequence[Item],
    prompts: Sequence[Prompt],
    condition: Condition,
    name: str | None = None,
    judged: bool = False,
    log_probabilities: bool = False,
) -> Task:
    """An Inspect task that asks each item with its prompt.

    Args:
        name: of the task; Inspect takes that of the registered function where none is given.
        judged: have a model in the role of the grader read the replies.
        log_probabilities: ask the API for those of the first token.
    """
    config = GenerateConfig(temperature=condition.temperature, max_tokens=condition.max_tokens)
    if condition.temperature > 0:
        config.seed = condition.seed
    if log_probabilities:
        config.logprobs, config.top_logprobs = True, TOP_LOG_PROBABILITIES
    samples = [
        Sample(
            id=item.key,
            input=prompt.text,
            target=item.label,
            metadata={"item": asdict(item), "condition": asdict(condition)},
        )
        for item, prompt in zip(items, prompts, strict=True)
    ]
    return Task(
        dataset=MemoryDataset(samples),
        solver=ask(judged),
        scorer=both_parsers(judged),
        config=config,
        name=name,
        version=_fingerprint(samples),
    )


def _fingerprint(samples: Sequence[Sample]) -> str:
    """Changes with any prompt, item or condition: Inspect takes tasks of one name and version for the same.

    The item's set has the name here that it had in earlier releases, so that their logs are still gone on with.
    """
    content = [(sample.id, sample.input, _as_before(sample.metadata or {})) for sample in samples]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _as_before(metadata: dict[str, Any]) -> dict[str, Any]:
    item = {"version" if name == "item_set" else name: value for name, value in metadata["item"].items()}
    return metadata | {"item": item}


def _load(source: str, seed: int, name: str, item_set: str | None) -> tuple[list[Item], list[Item]]:
    """Dev and test items of a task, all of one set."""
    items = load_items(source, seed)
    dev, test = (select(items, name, split, item_set) for split in ("dev", "test"))
    item_sets = sorted({item.item_set for item in test})
    if len(item_sets) != 1:
        found = f"of the sets {', '.join(item_sets)}: choose one by -T item_set=..." if item_sets else "none"
        raise ValueError(f"items={source!r}, test items of the task {name!r}: {found}")
    return dev, test


def _register(name: str) -> Callable[..., Task]:
    def build(
        items: str = "official",
        seed: int = 0,
        item_set: str | None = None,
        k: int = 50,
        shuffle_seed: int | None = None,
        form: str = "chat",
        temperature: float = 0.7,
        max_tokens: int | None = None,
    ) -> Task:
        chain_of_thought = form == "chain_of_thought"
        dev, asked = _load(items, seed, name, item_set)
        condition = Condition(
            model="",  # Inspect knows it; the importer takes it from the log
            form=form,
            k=k,
            shuffle_seed=shuffle_seed,
            temperature=temperature,
            max_tokens=max_tokens if max_tokens or chain_of_thought else 5,
            seed=seed,
        )
        prompts = render(asked, choose_shots(dev, k, shuffle_seed), form)
        return make_task(asked, prompts, condition, judged=chain_of_thought)

    build.__doc__ = f"""H-Test {name}: A if {TASKS[name].a}, B if {TASKS[name].b}.

    Args:
        items: "official", "fresh", or the path of an items.jsonl.
        seed: of fresh items, and of the sampling.
        item_set: which set of items to take, where the file has several.
        k: shots before the question.
        shuffle_seed: draws and shuffles the shots; None takes the released order.
        form: "chat", or "chain_of_thought", which needs a model in the role of the grader.
        temperature: the paper's is 0.7.
        max_tokens: longest reply; 5 if not given, and no limit for a chain of thought, as in the paper.
    """
    return task(name=f"htest_{name}")(build)


HTEST = {name: _register(name) for name in TASKS}


@task
def htest_letter_geometry(
    items: str = "official", seed: int = 0, item_set: str | None = None, temperature: float = 0.7, max_tokens: int = 1
) -> Task:
    """H-Test letter geometry: four symbols to choose from, no shots.

    Args:
        items: "official", "fresh", or the path of an items.jsonl.
        seed: of fresh items, and of the sampling.
        item_set: which set of items to take, where the file has several.
        temperature: the paper's is 0.7.
        max_tokens: longest reply.
    """
    _, asked = _load(items, seed, LETTER_GEOMETRY, item_set)
    condition = Condition(
        model="", form=LETTER_GEOMETRY, k=0, temperature=temperature, max_tokens=max_tokens, seed=seed
    )
    return make_task(asked, render(asked, [], LETTER_GEOMETRY), condition)
