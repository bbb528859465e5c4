"""The fine-tuning experiment of a study: one model for each task, tuned on fresh items, tested bare and with shots.

In: a study. Out: learning curves, tuned models under `htest/tuned/<task>/`, and their replies. Beside the paper's test
stands one that it could not make: items whose words the model did not see while it was tuned. A rule carries over to
them, memorised words do not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from saelib.htest.ablations.fine_tuning import fine_tune
from saelib.htest.asking.prompts import choose_shots
from saelib.htest.asking.replies import Reply
from saelib.htest.config import TUNED
from saelib.htest.items.generators import generate_items
from saelib.htest.items.item import Item, select
from saelib.htest.items.words import FRESH_SET, split_vocabulary
from saelib.htest.respondents import Respondent, local_respondent
from saelib.htest.scoring.names import shown_items
from saelib.htest.stages import ask_items, condition_of
from saelib.htest.study import Study
from saelib.htest.tasks import TASKS
from saelib.run.lock import writing
from saelib.run.progress import progress

if TYPE_CHECKING:
    import pandas as pd

SEEN_WORDS, FRESH_WORDS, TEST = "seen words", "fresh words", "test items"
SHOTS = 50  # with which the paper tests a tuned model


def item_set_of(probe: str) -> str:
    """The set that the items of a probe of fresh items belong to: "fresh-1-seen-words"."""
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
    """Where the model that was tuned on a task lies."""
    return study.folder / "htest" / "tuned" / task


def tune_task(study: Study, task: str) -> "pd.DataFrame":
    """Tune the config's model on one task, or find what was tuned before; returns its learning curve."""
    config = study.config
    probes = probe_items(study, task)
    train = training_items(study, task, probes)
    recipe = config.fine_tuning.replace(seed=config.seed)
    folder = tuned_folder(study, task)
    with writing(study):
        curve = fine_tune(config.fine_tuning_model, None, train, probes, recipe, folder, config.device)
    return curve.assign(task=task)


def tune_all(study: Study) -> "pd.DataFrame":
    """Learning curves of all ten tasks: task, step, items_seen, probe, accuracy, loss (nats)."""
    import pandas as pd

    curves = []
    with progress("fine-tuning", len(TASKS), unit="task") as advance:
        for task in TASKS:
            curves.append(tune_task(study, task))
            advance(1)
    return pd.concat(curves, ignore_index=True)


def ask_tuned(study: Study, untuned: Respondent) -> list[Reply]:
    """Replies of each task's tuned model and of the untuned one, bare on all probes, and with 50 shots on the test.

    Args:
        untuned: the model before it was tuned, loaded.
    """
    from saelib.language.loading import load_language_model

    replies = []
    for task in TASKS:
        probes = probe_items(study, task)
        model = load_language_model(str(tuned_folder(study, task)), study.config.device)
        tuned = local_respondent(model, TUNED + study.config.fine_tuning_model, untuned.form)
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
    """Mean accuracy over the ten tasks, untuned beside tuned, one row for each test.

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
