"""The fine-tuning experiment of a study: one model for each task, tuned on fresh items, tested bare and with shots.

In: a study. Out: learning curves, tuned models under `htest/tuned/`, and their replies. Beside the paper's test
stands one that it could not make: items whose words the model did not see while it was tuned. A rule carries over to
them, memorised words do not.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from saelib.htest.ablations.fine_tuning import fine_tune, is_asked_for
from saelib.htest.ablations.tuned_folder import check_whole, read_description
from saelib.htest.asking.prompts import choose_shots
from saelib.htest.asking.replies import Reply
from saelib.htest.config import TUNED
from saelib.htest.items.generators import generate_items
from saelib.htest.items.item import Item, hash_items, select
from saelib.htest.items.words import FRESH_SET, split_vocabulary
from saelib.htest.respondents import Respondent, local_respondent, split_revision
from saelib.htest.scoring.names import shown_items, shown_task
from saelib.htest.stages import ask_items, condition_of
from saelib.htest.study import Study
from saelib.run.lock import writing
from saelib.run.progress import progress

if TYPE_CHECKING:
    import pandas as pd

SEEN_WORDS, FRESH_WORDS, TEST = "seen words", "fresh words", "test items"
SHOTS = 50  # with which the paper tests a tuned model


def item_set_of(probe: str) -> str:
    """The set that the items of a probe of fresh items belong to: "fresh-2-seen-words"."""
    return f"{FRESH_SET}-{probe.replace(' ', '-')}"


def probe_items(study: Study, task: str) -> dict[str, list[Item]]:
    """Three tests of a tuned model: texts of training words, texts of other words, and the study's own test items."""
    seen, fresh = split_vocabulary()
    count, seed = study.config.test_items, study.config.seed
    probes = {}
    for name, vocabulary in ((SEEN_WORDS, seen), (FRESH_WORDS, fresh)):
        items = generate_items(task, count, seed, "test", vocabulary)
        probes[name] = [replace(item, item_set=item_set_of(name)) for item in items]
    return probes | {TEST: select(study.items, task, "test", study.item_sets[0])[:count]}


def training_items(study: Study, task: str, probes: Mapping[str, list[Item]]) -> list[Item]:
    """Fresh items of the training words whose texts are in no probe and not among the study's shots."""
    seen, _ = split_vocabulary()
    tested = [item for items in probes.values() for item in items] + [item for item in study.items if item.task == task]
    recipe = study.config.fine_tuning
    return generate_items(task, recipe.items, study.config.seed, "train", seen, frozenset(item.text for item in tested))


def tuned_folder(study: Study, task: str) -> Path:
    """Where the model that is tuned on a task lies; what another config of the run has tuned lies beside it."""
    return _folder(study, task, _asked(study, task))


def _folder(study: Study, task: str, asked: dict[str, Any]) -> Path:
    first = study.folder / "htest" / "tuned" / task
    if not first.is_dir() or is_asked_for(first, **asked):
        return first
    items = [hash_items(asked["train"]), *map(hash_items, asked["probes"].values())]
    named = [asked["source"], asked["revision"], asked["first_token"], asked["recipe"].as_stored(), items]
    digest = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:8]
    return first.with_name(f"{task}-{digest}")


def _asked(study: Study, task: str) -> dict[str, Any]:
    """Arguments of `fine_tune`, for what the run's config says."""
    config, probes = study.config, probe_items(study, task)
    source, revision = split_revision(config.fine_tuning_model, config.revision)
    return {
        "source": source,
        "revision": revision,
        "train": training_items(study, task, probes),
        "probes": probes,
        "recipe": config.fine_tuning.replace(seed=config.seed),
        "first_token": config.first_token,
    }


def tune_task(study: Study, task: str) -> "pd.DataFrame":
    """Tune the config's model on one task, or find what was tuned before; returns its learning curve.

    Raises:
        FileExistsError: the run was made from another model of this name.
    """
    config, asked = study.config, _asked(study, task)
    pin = partial(study.pin, f"model {config.fine_tuning_model}")
    with writing(study):
        curve = fine_tune(**asked, folder=_folder(study, task, asked), device=config.device, check=pin)
    return curve.assign(task=task)


def tune_all(study: Study) -> "pd.DataFrame":
    """Learning curves of the tasks that are tuned: task, step, items_seen, probe, accuracy, loss (nats).

    Raises:
        ValueError: the main set of items has none of these tasks.
    """
    import pandas as pd

    curves = []
    if not (tasks := study.tuned_tasks):
        raise ValueError(
            f"fine_tuning_tasks={[*study.config.fine_tuning_tasks]}: the set {study.item_sets[0]} has none of them; "
            f"name one of {', '.join(study.main_tasks)}"
        )
    with progress("fine-tuning", len(tasks), unit="task") as advance:
        for task in tasks:
            curves.append(tune_task(study, task))
            advance(1)
    return pd.concat(curves, ignore_index=True)


def budget_table(study: Study) -> "pd.DataFrame":
    """What was spent on each tuned model; what an earlier release did not note is "-"."""
    import pandas as pd

    recipe, rows = study.config.fine_tuning, []
    for task in study.tuned_tasks:
        kept = read_description(tuned_folder(study, task))
        learnt = f"{kept['trained_weights'] / kept['weights']:.2%}" if "trained_weights" in kept else "-"
        minutes = f"{kept['seconds'] / 60:.1f}" if "seconds" in kept else "-"
        rows.append({"task": shown_task(task), "items": recipe.items, "epochs": recipe.epochs,
                     "steps": recipe.epochs * recipe.steps_per_epoch, "items in a step": recipe.batch_size,
                     "learning rate": f"{recipe.learning_rate:g}", "learns, of all weights": learnt,
                     "minutes, probes scored": minutes})  # fmt: skip
    return pd.DataFrame(rows)


def ask_tuned(study: Study, untuned: Respondent) -> list[Reply]:
    """Replies of each task's tuned model and of the untuned one, bare on all probes, and with 50 shots on the test.

    Args:
        untuned: the model before it was tuned, loaded.
    """
    replies = []
    for task in study.tuned_tasks:
        probes = probe_items(study, task)
        folder = tuned_folder(study, task)
        check_whole(folder)
        model = study.local_settings.load(str(folder))
        tuned = local_respondent(model, TUNED + study.config.fine_tuning_model, untuned.form, study.local_settings)
        for respondent in (tuned, untuned):
            replies += _ask_both_ways(study, respondent, task, probes)
    return replies


def _ask_both_ways(
    study: Study, respondent: Respondent, task: str, probes: Mapping[str, Sequence[Item]]
) -> list[Reply]:
    shots = choose_shots(select(study.items, task, "dev", study.item_sets[0]), min(SHOTS, max(study.config.shots)))
    replies = []
    for items in probes.values():
        replies += ask_items(study, respondent, condition_of(study, respondent, "bare", 0), items, [])
    condition = condition_of(study, respondent, respondent.form, len(shots))
    return replies + ask_items(study, respondent, condition, probes[TEST], shots)


def tuned_table(accuracies: "pd.DataFrame", model: str) -> "pd.DataFrame":
    """Mean accuracy over tasks, untuned beside tuned, one row for each test.

    Args:
        accuracies: of the whole run.
        model: name of the model that was tuned.
    """
    import pandas as pd

    from saelib.htest.scoring.accuracy import mean_over_tasks
    from saelib.htest.scoring.select import as_chosen, pick
    from saelib.results.text import with_interval

    tuned = as_chosen(pick(accuracies, model=TUNED + model, shuffle_seed=None, judge=""))
    rows = []
    for (form, k, item_set), group in tuned.groupby(["form", "k", "item_set"], sort=False):
        line = {"prompt": "bare text" if form == "bare" else f"{k} shots", "items": shown_items(item_set)}
        untuned = as_chosen(
            pick(accuracies, model=model, form=form, k=k, item_set=item_set, shuffle_seed=None, judge="")
        )
        for name, table in (("untuned", untuned), ("tuned", group)):
            line[name] = with_interval(mean_over_tasks(table, []).iloc[0], 3)
        rows.append(line)
    return pd.DataFrame(rows)
