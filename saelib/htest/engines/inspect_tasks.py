"""H-Test as tasks of Inspect AI: `inspect eval saelib/htest_uppercase --model openai/gpt-4o -T k=50`.

Where the library's folder is, `inspect list tasks saelib` shows all eleven and `inspect eval saelib` runs them: Inspect
reads the files there and knows a task by its decorated function, so that each is written out below.

In: items, and the condition they are asked under. Out: `inspect_ai.Task`s whose samples carry the whole item and
condition, so that a log can be imported (`inspect_logs`) without anything else. The sample id is the item's key, and
our prompt is the one user message, as it is; a system message may stand before it. pyproject.toml names this module as
an entry point of Inspect.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypedDict, Unpack

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig

from saelib.htest.asking.prompts import Prompt, choose_shots, render
from saelib.htest.asking.replies import Condition, as_stored
from saelib.htest.engines.inspect_scorers import ask, both_parsers
from saelib.htest.items.item import Item, select
from saelib.htest.items.sources import load_items
from saelib.htest.tasks import LETTER_GEOMETRY, TASKS

TOP_LOG_PROBABILITIES = 20  # the most that OpenAI's interface gives
MOST_REFUSED = 0.5  # of the samples: an evaluation goes on after those that a server refuses, up to this share


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
    if condition.system:
        config.system_message = condition.system
    if log_probabilities:
        config.logprobs, config.top_logprobs = True, TOP_LOG_PROBABILITIES
    samples = [
        Sample(
            id=sample_id,
            input=prompt.text,
            target=item.label,
            metadata={"item": asdict(item), "condition": as_stored(condition)},
        )
        for sample_id, item, prompt in zip(_sample_ids(items), items, prompts, strict=True)
    ]
    return Task(
        dataset=MemoryDataset(samples),
        solver=ask(judged),
        scorer=both_parsers(judged),
        config=config,
        epochs=condition.samples if condition.samples > 1 else None,
        fail_on_error=MOST_REFUSED,
        name=name,
        version=_fingerprint(samples),
    )


def _sample_ids(items: Sequence[Item]) -> list[str]:
    """The items' keys; one that comes again, as a judge is asked about several replies to it, has its number behind."""
    seen: Counter[str] = Counter()
    ids = []
    for item in items:
        seen[item.key] += 1
        ids.append(item.key if seen[item.key] == 1 else f"{item.key}#{seen[item.key]}")
    return ids


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


class Settings(TypedDict, total=False):
    """What `-T name=value` sets of a task."""

    items: str
    """"official" (if not given), "fresh", or the path of items: a file or folder, as in `sources.load_path`."""
    seed: int
    """Of fresh items, and of the sampling; 0 if not given."""
    item_set: str | None
    """Which set of items to take, where the file has several."""
    k: int
    """Shots before the question; 50 if not given."""
    shuffle_seed: int | None
    """Draws and shuffles the shots; None takes the released order."""
    form: str
    """"chat" (if not given), or "chain_of_thought", which needs a model in the role of the grader."""
    temperature: float
    """The paper's, 0.7, if not given."""
    max_tokens: int | None
    """Longest reply; if not given 5, and no limit for a chain of thought, as in the paper."""
    system: str
    """A system message."""


def _htest(name: str, settings: Settings) -> Task:
    known = Settings.__annotations__
    if unknown := sorted(settings.keys() - known.keys()):
        raise ValueError(f"-T {', '.join(unknown)}: unknown; choose among {', '.join(known)}")
    form, seed, limit = settings.get("form", "chat"), settings.get("seed", 0), settings.get("max_tokens")
    k, shuffle_seed = settings.get("k", 50), settings.get("shuffle_seed")
    chain_of_thought = form == "chain_of_thought"
    dev, asked = _load(settings.get("items", "official"), seed, name, settings.get("item_set"))
    condition = Condition(
        model="",  # Inspect knows it; the importer takes it from the log
        form=form,
        k=k,
        shuffle_seed=shuffle_seed,
        temperature=settings.get("temperature", 0.7),
        max_tokens=limit if limit or chain_of_thought else 5,
        seed=seed,
        system=settings.get("system", ""),
    )
    prompts = render(asked, choose_shots(dev, k, shuffle_seed), form)
    return make_task(asked, prompts, condition, judged=chain_of_thought)


@task
def htest_uppercase(**settings: Unpack[Settings]) -> Task:
    """A if one letter inside is upper case, B if all letters are lower case; `Settings` has the arguments."""
    return _htest("uppercase", settings)


@task
def htest_start_vowel(**settings: Unpack[Settings]) -> Task:
    """A if begins with a vowel letter, B if begins with a consonant letter; `Settings` has the arguments."""
    return _htest("start_vowel", settings)


@task
def htest_end_punctuation(**settings: Unpack[Settings]) -> Task:
    """A if ends in . ? ! or ..., B if the mark stands inside; `Settings` has the arguments."""
    return _htest("end_punctuation", settings)


@task
def htest_palindrome(**settings: Unpack[Settings]) -> Task:
    """A if reads the same backwards, B if does not; `Settings` has the arguments."""
    return _htest("palindrome", settings)


@task
def htest_end_ly(**settings: Unpack[Settings]) -> Task:
    """A if last word is an adverb in -ly, B if last word is another adverb; `Settings` has the arguments."""
    return _htest("end_ly", settings)


@task
def htest_spelled_math(**settings: Unpack[Settings]) -> Task:
    """A if operator in words, B if operator as a symbol; `Settings` has the arguments."""
    return _htest("spelled_math", settings)


@task
def htest_spelled_number(**settings: Unpack[Settings]) -> Task:
    """A if number in words, B if number in digits; `Settings` has the arguments."""
    return _htest("spelled_number", settings)


@task
def htest_rhyme(**settings: Unpack[Settings]) -> Task:
    """A if the two words rhyme, B if they do not; `Settings` has the arguments."""
    return _htest("rhyme", settings)


@task
def htest_repeated_word(**settings: Unpack[Settings]) -> Task:
    """A if one word stands twice in a row, B if no word does; `Settings` has the arguments."""
    return _htest("repeated_word", settings)


@task
def htest_hyphenated_word(**settings: Unpack[Settings]) -> Task:
    """A if holds a hyphenated word, B if holds none; `Settings` has the arguments."""
    return _htest("hyphenated_word", settings)


@task
def htest_letter_geometry(
    items: str = "official",
    seed: int = 0,
    item_set: str | None = None,
    temperature: float = 0.7,
    max_tokens: int = 1,
    system: str = "",
) -> Task:
    """H-Test letter geometry: four symbols to choose from, no shots.

    Args:
        items: "official", "fresh", or the path of items: a file or folder, as in `sources.load_path`.
        seed: of fresh items, and of the sampling.
        item_set: which set of items to take, where the file has several.
        temperature: the paper's is 0.7.
        max_tokens: longest reply.
        system: a system message.
    """
    _, asked = _load(items, seed, LETTER_GEOMETRY, item_set)
    condition = Condition(
        model="",
        form=LETTER_GEOMETRY,
        k=0,
        temperature=temperature,
        max_tokens=max_tokens,
        seed=seed,
        system=system,
    )
    return make_task(asked, render(asked, [], LETTER_GEOMETRY), condition)


HTEST: dict[str, Callable[..., Task]] = {name: globals()[f"htest_{name}"] for name in TASKS}
