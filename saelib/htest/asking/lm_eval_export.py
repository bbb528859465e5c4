"""The same prompts for EleutherAI's lm-evaluation-harness (`lm_eval`): a task group as YAML, with its data.

    python -m saelib.htest.asking.lm_eval_export FOLDER --items runs/x/htest/items.jsonl --k 50
    lm_eval --model hf --model_args pretrained=MODEL,dtype=float32 --include_path FOLDER --tasks htest_k50

In: items, the number of shots, a form. Out: FOLDER with one file for each task, one for the group, and the rendered
prompts and answers as JSON lines. The harness's own few-shot machinery is not used, and nothing stands between prompt
and answer, so it reads the bytes that `prompts.render` wrote. The data files are named by their absolute path: export
again after a move. The chat form is for `--apply_chat_template`; where a template ends in a blank or a line break, the
harness counts it as a part of every answer, which adds the same number to each log-probability. The harness has the
tokenizer put its special token first, as the setting `first_token="auto"` does here; `add_bos_token=False` among its
model's arguments is "none".
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.items.item import Item, select
from saelib.htest.items.sources import load_path
from saelib.htest.tasks import TASKS
from saelib.run.files import replace_folder, write_json, write_json_lines

EXPORTED_FORMS = ("completion", "chat")


def group_name(k: int, form: str) -> str:
    """What `--tasks` takes: "htest_k50", or "htest_chat_k50"."""
    return f"htest_k{k}" if form == "completion" else f"htest_{form}_k{k}"


def export(
    folder: Path, items: Sequence[Item], k: int, form: str = "completion", tasks: Sequence[str] | None = None
) -> str:
    """Make `folder`, or replace it whole; returns the group's name.

    Args:
        tasks: None takes those that the items hold.

    Raises:
        ValueError: an unknown form, items of several sets, a task without test items or with too few shots, or
            an existing folder that is no export.
    """
    if form not in EXPORTED_FORMS:
        raise ValueError(f"form {form!r} cannot be exported; choose one of {', '.join(EXPORTED_FORMS)}")
    group, tasks = group_name(k, form), _held(items) if tasks is None else tasks
    _check_folder(folder)
    _check_items(items, tasks)
    documents = {task: _documents(items, task, k, form) for task in tasks}
    replace_folder(folder, lambda made: _fill(made, folder.resolve(), group, documents))
    return group


def _held(items: Sequence[Item]) -> list[str]:
    if tasks := [task for task in TASKS if select(items, task, "test")]:
        return tasks
    raise ValueError("no test items of any of the ten tasks; make or load them first")


def _fill(made: Path, folder: Path, group: str, documents: dict[str, list[dict[str, Any]]]) -> None:
    names = {task: f"{group}_{task}" for task in documents}
    for task, name in names.items():
        write_json_lines(made / f"{name}.jsonl", documents[task])
        write_json(made / f"{name}.yaml", _task(name, folder / f"{name}.jsonl"))
    average = [{"metric": "acc", "weight_by_size": False}]  # the mean over tasks, as in the paper's tables
    members = {"group": group, "task": list(names.values()), "aggregate_metric_list": average}
    write_json(made / f"{group}.yaml", members | {"metadata": {"version": 1}})


def _task(name: str, data: Path) -> dict[str, Any]:
    """A task as YAML reads it; JSON is YAML."""
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "doc_to_choice": "answers",
        "doc_to_target": "target",
        "target_delimiter": "",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": 1},
    }


def _documents(items: Sequence[Item], task: str, k: int, form: str) -> list[dict[str, Any]]:
    test = select(items, task, "test")
    if not test:
        raise ValueError(f"no test items of task {task!r}; make or load them first")
    try:
        prompts = render(test, choose_shots(select(items, task, "dev"), k), form)
    except ValueError as error:
        raise ValueError(f"task {task!r}: {error}") from error
    return [
        {"key": item.key, "prompt": text, "answers": list(answers), "target": item.options.index(item.label)}
        for item, (text, answers) in zip(test, prompts, strict=True)
    ]


def _check_items(items: Sequence[Item], tasks: Sequence[str]) -> None:
    item_sets = sorted({item.item_set for item in items if item.task in tasks and item.split in ("dev", "test")})
    if len(item_sets) > 1:
        raise ValueError(f"the items are of {len(item_sets)} sets ({', '.join(item_sets)}); choose one of them")


def _check_folder(folder: Path) -> None:
    """Refuse to replace anything but an earlier export."""
    strange = sorted(path.name for path in folder.iterdir() if not path.name.startswith("htest_")) if folder.is_dir() \
        else [folder.name] if folder.exists() else []  # fmt: skip
    if strange:
        raise ValueError(f"{folder} holds {strange[0]!r}, which is no export of H-Test; give a folder of its own")


def main(arguments: Sequence[str] | None = None) -> None:
    """Export from the command line, and say how to run it."""
    parser = argparse.ArgumentParser(
        prog="python -m saelib.htest.asking.lm_eval_export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="made, or replaced where it is an earlier export")
    parser.add_argument("--items", type=Path, required=True, help="any file or folder of dev and test items")
    parser.add_argument("--k", type=int, default=50, help="shots before each question (default: 50)")
    parser.add_argument("--form", choices=EXPORTED_FORMS, default="completion")
    parser.add_argument("--item-set", help="which set of items to take where the file holds several")
    options = parser.parse_args(arguments)
    try:
        items = [item for item in load_path(options.items) if options.item_set in (None, item.item_set)]
        group = export(options.folder, items, options.k, options.form)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error
    chat = " --apply_chat_template" if options.form == "chat" else ""
    model = "--model hf --model_args pretrained=MODEL,dtype=float32"
    print(f"lm_eval {model} --include_path {options.folder} --tasks {group}{chat}  # `make peers`: .venv-peers/bin")


if __name__ == "__main__":
    main()
