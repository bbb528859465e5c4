"""H-Test alone: one command asks the named models, prints their accuracies with the mean, and goes on where it was."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from saelib.htest.__main__ import asked_as, main
from saelib.htest.asking.replies import read_replies
from saelib.run.files import PROJECT
from saelib.run.reading import read_json
from tests.helpers.framed_tokenizers import BOS, framed_tokenizer, random_model, save

SMALL = "{official: none, test_items: 4, tasks: [rhyme, uppercase], shots: [2]}"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SAELIB_BATCH", "1")
    return tmp_path / "runs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(random_model(framed_tokenizer(), context=2048), tmp_path_factory.mktemp("models") / "my model")


def replies(runs: Path) -> dict[str, float]:
    return {str(path.relative_to(runs)): path.stat().st_mtime_ns for path in runs.rglob("replies/*/*.jsonl")}


def test_models_are_asked_and_their_accuracies_printed_with_the_mean(
    runs: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(folder), "--htest", SMALL])
    printed = capsys.readouterr().out
    assert f"{folder}: 2 tasks, fresh items" in printed
    table = pd.read_csv(runs / "htest" / "tables" / "htest_alone_2_shots.csv")
    assert table["task, 2 shots"].tolist() == ["uppercase", "rhyme", "mean of tasks"]
    found = [reply for path in runs.rglob("replies/*/*.jsonl") for reply in read_replies(path)]
    chances = [reply.log_probabilities or {} for reply in found]
    right = [max(chance, key=lambda option: chance[option]) == reply.item.label
             for chance, reply in zip(chances, found, strict=True)]  # fmt: skip
    assert table[str(folder)].iloc[-1].startswith(f"{sum(right) / len(right):.2f} (")
    assert {reply.condition.first_token for reply in found} == {BOS}
    assert (runs / "htest" / "htest.parquet").is_file()


def test_a_model_that_cannot_be_asked_does_not_keep_the_others_from_their_table(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = str(tmp_path / "absent")
    with pytest.raises(SystemExit, match=absent):
        main(["embedded", absent, "--preset", "smoke", "--htest", "{tasks: [rhyme]}"])
    assert "mean of tasks" in capsys.readouterr().out


def test_the_same_command_asks_only_what_is_new(runs: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(folder), "--htest", SMALL])
    first = replies(runs)
    main([str(folder), "embedded", "--htest", SMALL])
    grown = replies(runs)
    assert len(grown) == 2 * len(first)
    assert {path: grown[path] for path in first} == first
    assert "embedded, 2 shots" in capsys.readouterr().out


def test_only_the_most_shots_of_the_preset_are_asked_where_none_are_named(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["embedded", "--dry-run", "--htest", "{official: none}"])
    printed = capsys.readouterr().out
    assert "embedded: 2,000 prompts\n" in printed
    assert "This command would send nothing to an API." in printed
    assert not list(runs.rglob("*.jsonl"))  # nothing was asked, nothing written


@pytest.mark.parametrize(
    ("models", "manner"),
    [
        (["smollm2"], {"form": "completion", "other_forms": ["chat"], "other_form_items": 30, "calibration": True}),
        (["embedded", "smollm2"],
         {"form": "completion", "other_forms": ["chat"], "other_form_items": 30, "calibration": True}),
        (["embedded"], {}),
        (["my/model"], {}),
        (["smollm2", "api:mockllm/model"], {}),  # a form that suits one of them need not suit the others
        ([], {}),
    ],
)  # fmt: skip
def test_models_of_presets_are_asked_as_these_have_it(models: list[str], manner: dict[str, Any]) -> None:
    assert asked_as(models) == manner


def test_what_is_typed_goes_before_what_a_preset_has(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = "{official: none, test_items: 40, tasks: [rhyme], calibration: false, other_form_items: 10}"
    main(["--models", "smollm2", "--preset", "tiny", "--dry-run", "--htest", fields])
    printed = capsys.readouterr().out
    assert "50 shots; asked to complete the pattern and in chat (preset tiny)." in printed
    assert "smollm2: 50 prompts\n" in printed
    main(["smollm2", "--dry-run", "--htest", "{official: none, tasks: [rhyme, palindrome]}"])
    printed = capsys.readouterr().out
    assert "to complete the pattern and in chat, calibrated (preset tiny)" in printed
    assert f"smollm2: {2 * (200 + 3 + 30 + 3)} prompts\n" in printed


def test_a_run_that_another_preset_has_begun_refuses_nobody(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["embedded", "--htest", SMALL])
    main(["embedded", "--preset", "smoke", "--htest", SMALL])
    main(["embedded", "--preset", "smoke", "--htest", SMALL])
    main(["embedded", "--htest", SMALL])
    assert sorted(path.name for path in runs.glob("htest*")) == ["htest", "htest-smoke"]
    assert read_json(runs / "htest" / "htest" / "config.json")["preset"] == "tiny"
    with pytest.raises(SystemExit, match="holds a run with another config .preset was 'tiny', is 'smoke'"):
        main(["embedded", "--preset", "smoke", "--run", "htest", "--htest", SMALL])  # which is what was typed
    capsys.readouterr()


@pytest.mark.parametrize(
    ("fields", "prompts"),
    [
        ("form: completion, other_forms: [chat], other_form_items: 10", 4 + 4),  # no more than there are
        ("form: completion, other_forms: [chat], other_form_items: 2", 4 + 2),
        ("form: auto, other_forms: [completion], other_form_items: 2", 4),  # it has no chat template
        ("form: auto, other_forms: [completion, chat], other_form_items: 2, calibration: true", 4 + 3 + 2 + 3),
    ],
)
def test_a_dry_run_counts_each_form_once(
    runs: Path, fields: str, prompts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    some = f"{{official: none, test_items: 4, tasks: [rhyme], shots: [2], {fields}}}"
    main(["embedded", "control:coin", "api:mockllm/model", "--dry-run", "--htest", some])
    printed = capsys.readouterr().out
    assert f"embedded: {prompts} prompts\n" in printed
    if "calibration" in fields:  # neither is asked questions without content
        assert "control:coin: 6 prompts\n" in printed and "api:mockllm/model: 6 prompts\n" in printed


def test_a_dry_run_covers_the_whole_study_with_its_judge(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fields = (
        "{official: none, test_items: 4, tasks: [rhyme], shots: [2], chain_of_thought_items: 4, "
        "ablation_model: 'api:mockllm/model', judge: 'api:mockllm/judge'}"
    )
    main(["api:mockllm/model", "--dry-run", "--htest", fields])
    printed = capsys.readouterr().out
    for stage in ("main table", "number of shots", "order of shots", "chain of thought", "letter geometry", "judge"):
        assert stage in printed


def test_a_dry_run_counts_the_items_that_are_there(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "rhyme.csv"
    own.write_text("text,label\n" + "".join(f"night kite{n},{'AB'[n % 2]}\n" for n in range(12)))  # 6 shots, 6 to ask
    fields = f"{{official: '{own}', test_items: 8, shots: [2, 4], ablation_model: 'api:mockllm/model'}}"
    main(["embedded", "--dry-run", "--htest", fields])
    printed = capsys.readouterr().out
    assert "embedded: 172 prompts\n" in printed  # two numbers of shots, 6 items of one task and 8 of ten
    assert "cannot be asked as it is set: k=14: the dev split holds [3, 3] items" in printed


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nowhere/at/all"], "nowhere/at/all does not exist"),
        (["embedded", "--htest", "{tasks: [rhymes]}"], "rhymes"),
        (["embedded", "--htest", "{task: rhyme}"], "task"),
        (["api:mockllm/model", "--htest", SMALL], "api_requests"),
        (["embedded", "--seed", "1e3"], "seed='1e3'"),
        (["--models", "it's"], 'MODELS="it\'s": No closing quotation; put a name that holds blanks'),
    ],
)
def test_what_is_wrong_is_said_in_one_line(runs: Path, arguments: list[str], problem: str) -> None:
    with pytest.raises(SystemExit, match=problem):
        main(arguments)


def test_make_passes_every_value_to_the_letter(tmp_path: Path) -> None:
    fake = tmp_path / ".venv" / "bin" / "python"  # in the environment of the folder where make is called
    fake.parent.mkdir(parents=True)
    fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    fake.chmod(0o755)
    (tmp_path / ".venv" / ".ready").touch()
    models = "embedded 'my model' $(touch made) `touch made`"
    done = subprocess.run(
        ["make", "--no-print-directory", "-f", str(PROJECT / "Makefile"), "-o", ".venv/.ready", "htest",
         f"MODELS={models}", "RUN=1e5", "DRY=1"],
        cwd=tmp_path, env=os.environ | {"MAKEFLAGS": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["-m", "saelib.htest", f"--models={models}", "--preset=tiny", "--run=1e5",
                                        "--seed=", "--htest=", "--dry-run"]  # fmt: skip
    assert not (tmp_path / "made").exists()
