"""What would fail hours later, found before the first notebook: all settings, held against what they name.

In: settings. Out: nothing, or one error with a line for each fault. Read are the models' configs without their weights,
and items and texts of one's own, whose tokens the notebooks then find in the cache; nothing else is written. What the
run has read before is not looked at again: a finished run needs no network.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from saelib.batch.preflight_transfer import check_transfer
from saelib.batch.settings import Settings
from saelib.htest.ablations.tuned_models import probe_items, training_items
from saelib.htest.asking.encoded import first_token_text
from saelib.htest.asking.prompts import choose_shots
from saelib.htest.asking.stored import has_answered
from saelib.htest.config import API, CONTROL, PARSER, UNTRAINED, HTestConfig, expand
from saelib.htest.engines.controls import control_engine
from saelib.htest.items.generators import DEV_ITEMS
from saelib.htest.items.item import select
from saelib.htest.items.kept import NAMED
from saelib.htest.items.sources import official_items
from saelib.htest.respondents import split_revision
from saelib.htest.study import Study, open_study
from saelib.interpret.interpretation import open_interpretation
from saelib.language.api import open_api_model
from saelib.run.files import runs_folder

SURELY_THERE = 1_500  # items of a task; of the words for tuning, some 3,000 pairs rhyme
REFUSED = (ValueError, OSError, RuntimeError)


class Named(NamedTuple):
    """A model of the H-Test config."""

    name: str
    fields: tuple[str, ...]
    """That name it."""


def check(settings: Settings) -> None:
    """Look at all that the notebooks of a run will read.

    Raises:
        ValueError: names every fault: the field or the file, its value, and the remedy.
    """
    try:
        interpretation = open_interpretation(**settings.parameters("transfer", "interpret"))
        study = open_study(**settings.parameters("htest"))
    except REFUSED as error:
        raise ValueError(str(error)) from error
    parts: list[Callable[[], None]] = [check_writable, partial(check_transfer, interpretation)]
    looks = (check_machine, check_shots, check_items, check_counts, check_tuned_tasks)
    parts += [partial(look, study) for look in looks]
    parts += [partial(check_model, study, model) for model in named_models(study.config)]
    if faults := [fault for part in parts for fault in _faults(part)]:
        raise ValueError("\n".join(faults))


def _faults(part: Callable[[], None]) -> Iterator[str]:
    try:
        part()
    except REFUSED as error:
        yield str(error)


def check_writable() -> None:
    """Whether the folder of all runs can be made and written.

    Raises:
        ValueError: it cannot.
    """
    folder = runs_folder()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir():
        raise ValueError(f"SAELIB_RUNS: {folder} cannot be made, since {there} is a file; give another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"SAELIB_RUNS: {there} is not yours to write in, and runs go to {folder}; give another folder")


def check_machine(study: Study) -> None:
    """Device and packages for local models of paper 2.

    Raises:
        ValueError: they are not here.
    """
    from saelib.language.device import choose_device
    from saelib.language.loading import check_device_map

    choose_device(study.config.device)
    if study.config.device_map is not None:
        check_device_map(study.config.device_map)


def check_shots(study: Study) -> None:
    """Whether there are as many fresh items as shall be shown as shots.

    Raises:
        ValueError: fewer.
    """
    shots = {"shots": study.config.shots, "ablation_shots": study.config.ablation_shots}
    if many := [f"{field}={[*numbers]}" for field, numbers in shots.items() if max(numbers) > DEV_ITEMS]:
        raise ValueError(f"{', '.join(many)}: a task has {DEV_ITEMS} items that are shown as shots; ask with fewer")


def check_items(study: Study) -> None:
    """Items of one's own, and among them shots enough of every task.

    Raises:
        ValueError, FileNotFoundError: they are not there, cannot be read, or are too few.
    """
    config = study.config
    if config.official in NAMED or f"official {config.official}" in study.inputs:
        return
    items, most = official_items(config.official), max(*config.shots, *config.ablation_shots)
    for item_set, task in dict.fromkeys((item.item_set, item.task) for item in items if item.split == "test"):
        if task in config.tasks:
            choose_shots(select(items, task, "dev", item_set), most)


def check_counts(study: Study) -> None:
    """Whether so many items can be made for tuning; where few are wanted it is known that they can.

    Raises:
        ValueError: a task has fewer.
    """
    test, training = study.config.test_items, study.config.fine_tuning.items
    if test + training <= SURELY_THERE:
        return
    try:
        for task in study.main_tasks:
            training_items(study, task, probe_items(study, task))
    except ValueError as error:
        raise ValueError(f"test_items={test}, fine_tuning.items={training}: {error}") from error


def check_tuned_tasks(study: Study) -> None:
    """Whether a task that models are tuned on is asked at all.

    Raises:
        ValueError: none is.
    """
    tuned, asked = study.config.fine_tuning_tasks, study.config.tasks
    if not {*tuned} & {*asked}:
        raise ValueError(f"fine_tuning_tasks={[*tuned]}: none of them is among tasks={[*asked]}; name one")


def named_models(config: HTestConfig) -> list[Named]:
    """The models that the notebooks ask or tune, each once."""
    fields: dict[str, list[str]] = {}
    for field in ("models", "family", "ablation_model", "fine_tuning_model", "judge"):
        value = getattr(config, field)
        for name in expand(value) if isinstance(value, tuple) else (value,):
            fields.setdefault(name, []).append(field)
    fields.pop(PARSER, None)
    return [Named(name, tuple(names)) for name, names in fields.items()]


def check_model(study: Study, model: Named) -> None:
    """Whether a name means somebody who can be asked.

    Raises:
        ValueError: nobody, or a key or an address is missing.
    """
    try:
        _look_up(study, model.name)
    except REFUSED as error:
        raise ValueError(f"{' and '.join(model.fields)}: {model.name!r}: {error}") from error


def _look_up(study: Study, name: str) -> None:
    from saelib.language.loading import load_config, load_tokenizer

    if name.startswith(CONTROL):
        control_engine(name.removeprefix(CONTROL), [])
    elif name.startswith(API):
        if study.config.api_requests and not has_answered(study.replies_folder, name):  # what is there needs no key
            open_api_model(name.removeprefix(API))
    elif f"model {name}" not in study.inputs:
        named = split_revision(name.removeprefix(UNTRAINED), study.config.revision)
        load_config(*named)
        if study.config.first_token not in ("auto", "none"):
            first_token_text(load_tokenizer(*named), study.config.first_token)
