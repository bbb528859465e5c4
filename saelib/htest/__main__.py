"""H-Test alone: `python -m saelib.htest MODEL ...` asks models and prints their accuracies, without SAEs or notebooks.

    python -m saelib.htest embedded path/to/model
    python -m saelib.htest embedded --htest '{shots: [4, 50], tasks: [rhyme], dtype: bfloat16}' --run mine
    python -m saelib.htest api:openai/gpt-4o-mini --dry-run      # what it would take; nothing is sent

In: names of models, as `HTestConfig.models` takes them, and fields of the config. Out: a run under `runs/<run>/`
(items, replies, `htest.parquet`), and tables that are printed too: accuracy by task with the mean beneath, and what
stands behind the mean. Call it again to go on where it was stopped; what has been asked is not asked again, and a run
takes in more models under the same name.
"""

import argparse
import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from saelib.htest import budget, stages
from saelib.htest.ablations.whole_study import study_cost
from saelib.htest.asking.replies import Reply
from saelib.htest.config import PRESETS, HTestConfig, expand, resolve_htest_config
from saelib.htest.items.item import CONTENT_FREE_TEXTS
from saelib.htest.items.item import select as select_items
from saelib.htest.respondents import form_for
from saelib.htest.scoring import main_table, select, stored, tables
from saelib.htest.scoring.accuracy import accuracies_of
from saelib.htest.scoring.names import counted_tasks, shown_items
from saelib.htest.scoring.readings import readings_of
from saelib.htest.study import Study, open_study
from saelib.results.tables import as_markdown, write_tables
from saelib.run.config import RunConfig
from saelib.run.files import runs_folder
from saelib.run.lock import RunInUseError
from saelib.run.reading import read_json_object
from saelib.run.typed import typed_fields, typed_seed

if TYPE_CHECKING:
    import pandas as pd

RUN = "htest"
FORMS = {"auto": "as it suits each", "completion": "to complete the pattern", "chat": "in chat"}
MANNER = ("form", "other_forms", "other_form_items", "calibration")  # fields that say how a model is asked
REFUSED = (ValueError, OSError, RunInUseError)


def main(arguments: Sequence[str] | None = None) -> None:
    """Ask, score and print; or say what it would take."""
    options = _parser().parse_args(arguments)
    try:
        study = open_study(**parameters(options))
        print(described(study))
        if options.dry_run:
            print_cost(study)
            return
        replies, refused = asked(study)
        for table in accuracies(study, replies):
            print("\n" + as_markdown(table))
        print(f"Everything is in {study.folder}; the same command again asks only what is new.")
    except REFUSED as error:
        raise SystemExit(str(error)) from error
    if refused:
        raise SystemExit("\n".join(refused))


def parameters(options: argparse.Namespace) -> dict[str, Any]:
    """What `open_study` takes.

    With no word on shots only the most of the preset, which the main table is about; with none on how models are asked,
    as the preset has it that they stand in.
    """
    preset = options.preset or "tiny"
    given = typed_fields("htest", options.htest, RunConfig.model_fields)
    given |= {"shots": options.shots} if options.shots else {}
    models = [*options.models, *_split(options.more_models)]
    usual = {"shots": [max(resolve_htest_config(preset=preset).shots)]} | asked_as(models)
    usual |= {"models": models} if models else {}
    return {"preset": preset, "run": options.run or _free_run(preset), "seed": typed_seed(options.seed)} | usual | given


def asked_as(models: Sequence[str]) -> dict[str, Any]:
    """How presets ask these models, where that is not the usual way; nothing where a model stands in no preset."""
    members, presets = {*expand(tuple(models))}, PRESETS.values()
    if not members <= {model for preset in presets for model in expand(preset.models)}:
        return {}  # the form that suits one of them need not suit the others
    of_them = [preset.as_dict() for preset in presets if members & {*expand(preset.models)}]
    usual = HTestConfig.defaults()
    return {name: kept[name] for kept in of_them for name in MANNER if kept[name] != usual[name]}


def _free_run(preset: str) -> str:
    """The usual run; where another preset has begun it, one of the preset's own."""
    path = runs_folder() / RUN / "htest" / "config.json"
    begun_by = read_json_object(path).get("preset") if path.is_file() else preset
    return RUN if begun_by == preset else f"{RUN}-{preset}"


def _split(models: str) -> list[str]:
    try:
        return shlex.split(models)
    except ValueError as error:
        raise ValueError(f"MODELS={models!r}: {error}; put a name that holds blanks in a pair of quotes") from error


def described(study: Study) -> str:
    """Who is asked what."""
    config, sets = study.config, " and ".join(map(_set_named, study.item_sets))
    forms = [FORMS[config.form], *(FORMS[form] for form in config.other_forms if form != config.form)]
    manner = f"asked {' and '.join(forms)}{', calibrated' if config.calibration else ''} (preset {config.preset})"
    absent = "" if study.own_set or study.has_official or config.official == "none" else (
        "\nThe released items are not here, so everything below is about fresh items. They are added by --htest "
        "'{official: released}' where there is a network, or by '{official: \"path/to/h-test\"}'."
    )  # fmt: skip
    return (
        f"{', '.join(config.models)}: {counted_tasks(len(config.tasks))}, {sets}, {config.test_items} items of each "
        f"task, {' and '.join(map(str, config.shots))} shots; {manner}.{absent}"
    )


def _set_named(item_set: str) -> str:
    shown = shown_items(item_set)
    return shown if shown == item_set else f"{shown} ({item_set})"


def print_cost(study: Study) -> None:
    """What the command would ask of each model, and what APIs would be sent by it and by the whole study."""
    config = study.config
    tests = [select_items(study.items, task, "test", item_set)
             for item_set in study.item_sets for task in study.tasks_of(item_set)]  # fmt: skip
    for model in expand(config.models):
        own = form_for(model, config.form, config.revision)
        count = 0
        for form, limit in stages.forms_of(config, own).items():
            free = len(CONTENT_FREE_TEXTS) * stages.is_calibrated(config, model, form)
            count += sum(len(items[:limit]) + free for items in tests)
        print(f"{model}: {count * config.samples * len(config.shots):,} prompts")
    _print_sent("This command", budget.api_cost(study, config.models, config.shots))
    whole = "The whole study with its ablations and judge (make reproduce)"
    try:
        _print_sent(whole, study_cost(study))
    except ValueError as error:  # shots that this command does not ask for, and the items are too few for
        print(f"\n{whole} cannot be asked as it is set: {error}")


def _print_sent(who: str, cost: "pd.DataFrame") -> None:
    what = "to APIs:\n\n" + as_markdown(cost) if len(cost) else "nothing to an API."
    print(f"\n{who} would send {what}")


def asked(study: Study) -> tuple[list[Reply], list[str]]:
    """Replies of whoever may be asked and can be; a sentence for each model that cannot.

    Raises:
        PermissionError, ValueError: nobody replied.
    """
    config = study.config
    models, left_out = budget.affordable(study, config.models, budget.api_cost(study, config.models, config.shots))
    if left_out:
        print(f"Left out, as api_requests={config.api_requests} does not allow them: {', '.join(left_out)}")
    if not models:
        raise PermissionError("nobody is left to ask; see --dry-run, and give --htest '{api_requests: NUMBER}'")
    replies: list[Reply] = []
    refused = []
    for model in models:  # one that does not fit must not keep the others from their table
        try:
            replies += stages.ask_models(study, [model], config.shots)
        except (ValueError, FileNotFoundError) as error:
            refused.append(f"{model}: {error}")
    if not replies:
        raise ValueError("\n".join(refused))
    return replies, refused


def accuracies(study: Study, replies: Sequence[Reply]) -> "list[pd.DataFrame]":
    """Score, and keep the tables with the run: by task, one for each number of shots; all."""
    config, found = study.config, accuracies_of(readings_of(replies))
    forms = {model: form_for(model, config.form, config.revision) for model in found["model"].unique()}
    shown = []
    for k in config.shots:
        rows = select.as_chosen(select.own_form(select.pick(found, item_set=study.item_sets[0], k=k), forms))
        shown.append(tables.wide_table(rows).rename(columns={"task": f"task, {k} shots"}))
        write_tables(study, f"htest_alone_{k}_shots", shown[-1])
    shown.append(main_table.main_table(main_table.main_lines(found)))
    write_tables(study, "htest_alone", shown[-1])
    stored.score_study(study)
    return shown


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m saelib.htest", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", help="the preset's if none is named")
    parser.add_argument("--models", dest="more_models", default="", help="several in one text, as make gives them")
    parser.add_argument("--shots", type=int, nargs="+", help="numbers of shots; the most of the preset if not given")
    parser.add_argument("--preset", default="", help="tiny if not given")
    parser.add_argument("--run", default="", help=f"the run's folder under runs/; {RUN}, or one of the preset's own")
    parser.add_argument("--seed", default="", help="of fresh items, shots and sampling; the preset's if not given")
    parser.add_argument("--htest", default="", help="fields of saelib.htest.config.HTestConfig, as YAML or JSON")
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked, and what it would take")
    return parser


if __name__ == "__main__":
    main()
