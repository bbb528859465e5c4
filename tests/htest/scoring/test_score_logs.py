"""The accuracies of Inspect's logs on the command line."""

import json
from typing import Any

import pytest
from inspect_ai import Task
from inspect_ai import eval as evaluate
from inspect_ai.dataset import Sample

from saelib.htest.engines.inspect_tasks import make_task
from saelib.htest.scoring.score_logs import main
from saelib.htest.tasks import TASKS
from tests.helpers.asked import asked, items_of, mock_model, run_task


def right(prompt: str) -> str:
    return "BA"[int(prompt.split("“")[-1].split("”")[0]) % 2]


def rows_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[list[dict[str, Any]], str]:
    """Rows of the strict parser, and what was said on standard error."""
    capsys.readouterr()  # what Inspect said while the logs were made
    main([*arguments, "--json"])
    said = capsys.readouterr()
    return [row for row in json.loads(said.out) if row["reader"] == "strict"], said.err


def test_logs_become_a_table_by_both_parsers(tmp_path, capsys):
    run_task(make_task(*asked("")), mock_model(lambda prompt: "I cannot tell"), tmp_path)
    main([str(tmp_path)])
    heads, _, *lines = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()
    ]
    rows = {row["reader"]: row for row in (dict(zip(heads, line, strict=True)) for line in lines)}
    assert rows.keys() == {"paper", "strict"}
    # a refusal has an "a" and no "b"
    assert (rows["paper"]["accuracy"], rows["paper"]["share_a"]) == ("0.500", "1.000")
    assert (rows["strict"]["accuracy"], rows["strict"]["share_none"]) == ("0.000", "1.000")
    assert {row["model"] for row in rows.values()} == {"api:mockllm/model"}


def test_bad_logs_spoil_nothing_and_are_named(tmp_path, capsys):
    def broken(prompt: str) -> str:
        raise OSError("the line went dead")

    run_task(make_task(*asked("")), mock_model(lambda prompt: "A"), tmp_path)
    run_task(make_task(*asked("")), mock_model(right), tmp_path, limit=4)
    failed = run_task(make_task(*asked("", k=2)), mock_model(broken), tmp_path)
    foreign = Task(dataset=[Sample(id="1", input="hello")])
    (other,) = evaluate(
        foreign, mock_model(lambda prompt: "A"), log_dir=str(tmp_path), display="none", ctl_server=False
    )
    (tmp_path / "2030-01-01T00-00-00-00-00_cut_x.eval").write_bytes(b"PK\x03\x04 cut")
    (tmp_path / "2030-01-01T00-00-00-00-00_empty_x.json").write_text("{}")
    (row,), said = rows_of(capsys, str(tmp_path))
    # ten items of which A is right on five; the newer trial is right on its four, of which A was right on two
    assert (row["items"], row["accuracy"], row["k"]) == (10, 0.7, 4)
    names = [log.location.rsplit("/", 1)[-1] for log in (failed, other)]
    for part in (f"{names[0]}: left out, ended as 'error'", f"{names[1]}: left out, sample 1 has no item",
                 "_cut_x.eval: left out, cannot be read", "_empty_x.json: left out, cannot be read",
                 "4 of its 10 samples are in a newer log too, which counts"):  # fmt: skip
        assert part in said


def test_several_epochs_count_by_item(tmp_path, capsys):
    """Replies that are always alike say no more than one; replies that change with the epoch say more."""
    task = make_task(*asked("", count=8))
    run_task(task, mock_model(lambda prompt: "A"), tmp_path / "one")
    run_task(task, mock_model(lambda prompt: "A"), tmp_path / "same", epochs=4)
    once, same = (rows_of(capsys, str(tmp_path / name))[0][0] for name in ("one", "same"))
    assert (once["samples"], same["samples"], same["items"], same["correct"]) == (1, 4, 8, 16)
    assert [same[name] for name in ("accuracy", "low", "high")] == [once[name] for name in ("accuracy", "low", "high")]


def test_the_ten_tasks_have_a_mean(tmp_path, capsys):
    for name in TASKS:
        prompts, condition = asked("", count=2)[1:]
        say = (lambda prompt: "A") if name == "rhyme" else right
        run_task(make_task(items_of(count=2, task=name), prompts, condition), mock_model(say), tmp_path)
    rows, said = rows_of(capsys, str(tmp_path))
    assert said == "" and len(rows) == 11
    assert (rows[-1]["task"], rows[-1]["items"]) == ("mean of 10 tasks", 20)
    assert rows[-1]["accuracy"] == pytest.approx(0.95)
    main([str(tmp_path), "--csv"])
    assert len(capsys.readouterr().out.splitlines()) == 1 + 2 * 11


def test_a_folder_without_a_usable_log_is_an_error(tmp_path, capsys):
    (tmp_path / "2030-01-01T00-00-00-00-00_cut_x.eval").write_bytes(b"")
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    said = capsys.readouterr().err
    assert "_cut_x.eval: left out" in said and "no log can be scored" in said
