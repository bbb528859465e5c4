"""The export for lm-evaluation-harness: our bytes, in a form that needs no network, made whole or not at all."""

import json
from pathlib import Path

import pytest

from saelib.htest.asking.lm_eval_export import export, main
from saelib.htest.asking.prompts import choose_shots, render
from saelib.htest.items.item import Item, write_items
from saelib.run.reading import read_json_lines
from tests.helpers.made_items import made_items

TASK_NAMES = ["uppercase", "rhyme"]


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return [item for task in TASK_NAMES for item in [*made_items(8, "dev", task), *made_items(5, "test", task)]]


def read_yaml(path: Path) -> dict:
    """What is written as JSON is read as YAML."""
    import yaml

    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize(("form", "group"), [("completion", "htest_k4"), ("chat", "htest_chat_k4")])
def test_documents_hold_our_prompts_and_answers(items: list[Item], tmp_path: Path, form: str, group: str) -> None:
    assert export(tmp_path / "out", items, 4, form, TASK_NAMES) == group
    for task in TASK_NAMES:
        config = read_yaml(tmp_path / "out" / f"{group}_{task}.yaml")
        data = Path(config["dataset_kwargs"]["data_files"]["test"])
        documents = read_json_lines(data, dict)
        shots = choose_shots(made_items(8, "dev", task), 4)
        wanted = render(made_items(5, "test", task), shots, form)
        assert [(document["prompt"], tuple(document["answers"])) for document in documents] == wanted
        labels = [item.label for item in made_items(5, "test", task)]
        assert ["AB"[document["target"]] for document in documents] == labels
        assert (config["doc_to_text"], config["target_delimiter"], config["num_fewshot"]) == ("prompt", "", 0)
        assert config["dataset_path"] == "json"


def test_group_names_every_task(items: list[Item], tmp_path: Path) -> None:
    export(tmp_path / "out", items, 2, tasks=TASK_NAMES)
    group = read_yaml(tmp_path / "out" / "htest_k2.yaml")
    assert group["group"] == "htest_k2"
    tasks = [read_yaml(tmp_path / "out" / f"{name}.yaml")["task"] for name in group["task"]]
    assert tasks == group["task"] == ["htest_k2_uppercase", "htest_k2_rhyme"]


def test_only_tasks_that_the_items_hold_are_exported_where_none_are_named(items: list[Item], tmp_path: Path) -> None:
    export(tmp_path / "out", items, 2)
    assert read_yaml(tmp_path / "out" / "htest_k2.yaml")["task"] == ["htest_k2_uppercase", "htest_k2_rhyme"]
    with pytest.raises(ValueError, match="no test items of any of the ten tasks"):
        export(tmp_path / "none", [], 2)


def test_export_is_replaced_whole(items: list[Item], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    export(folder, items, 4, tasks=TASK_NAMES)
    export(folder, items, 2, tasks=["rhyme"])
    assert {path.name for path in folder.iterdir()} == {
        "htest_k2.yaml",
        "htest_k2_rhyme.yaml",
        "htest_k2_rhyme.jsonl",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_failed_export_leaves_the_earlier_one(items: list[Item], tmp_path: Path) -> None:
    export(tmp_path / "out", items, 2, tasks=["rhyme"])
    before = {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with pytest.raises(ValueError, match="task 'rhyme': k=10"):
        export(tmp_path / "out", items, 10, tasks=["rhyme"])
    assert {path: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_folder_of_something_else_is_left_alone(items: list[Item], tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.tex"):
        export(tmp_path, items, 2, tasks=["rhyme"])
    with pytest.raises(ValueError, match="no export"):
        export(tmp_path / "thesis.tex", items, 2, tasks=["rhyme"])
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_missing_task_and_wrong_form_are_named(items: list[Item], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no test items of task 'start_vowel'"):
        export(tmp_path / "out", items, 2, tasks=["start_vowel"])
    with pytest.raises(ValueError, match="bare"):
        export(tmp_path / "out", items, 2, "bare", TASK_NAMES)
    assert not (tmp_path / "out").exists()


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from saelib.htest.tasks import TASKS

    items = [item for task in TASKS for item in [*made_items(4, "dev", task), *made_items(2, "test", task)]]
    write_items(tmp_path / "items.jsonl", items)
    main([str(tmp_path / "out"), "--items", str(tmp_path / "items.jsonl"), "--k", "4"])
    assert f"--include_path {tmp_path / 'out'} --tasks htest_k4" in capsys.readouterr().out
    assert len(list((tmp_path / "out").glob("*.jsonl"))) == len(TASKS)


def test_command_line_names_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="absent"):
        main([str(tmp_path / "out"), "--items", str(tmp_path / "absent.jsonl")])


def test_two_sets_of_items_need_a_choice(items: list[Item], tmp_path: Path) -> None:
    from dataclasses import replace

    both = [*items, *(replace(item, item_set="made-2") for item in items)]
    with pytest.raises(ValueError, match="made-1, made-2"):
        export(tmp_path / "out", both, 2, tasks=TASK_NAMES)
    write_items(tmp_path / "items.jsonl", both)
    arguments = [str(tmp_path / "out"), "--items", str(tmp_path / "items.jsonl"), "--k", "2"]
    with pytest.raises(SystemExit, match="made-1, made-2"):
        main(arguments)
    main([*arguments, "--item-set", "made-2"])
    assert read_json_lines(tmp_path / "out" / "htest_k2_rhyme.jsonl", dict)[0]["key"].startswith("made-2/")


def test_data_are_valid_json_lines_with_every_sign(tmp_path: Path) -> None:
    from dataclasses import replace

    odd = [replace(item, text='{{ "quoted" }} {% raw %} é\\n') for item in made_items(4, "test", "rhyme")]
    export(tmp_path / "out", [*made_items(4, "dev", "rhyme"), *odd], 2, tasks=["rhyme"])
    lines = (tmp_path / "out" / "htest_k2_rhyme.jsonl").read_text(encoding="utf-8").splitlines()
    assert all(odd[0].text in json.loads(line)["prompt"] for line in lines)
