"""The command that errors advise is the one that goes on with the run: a shell and make read nothing into it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from saelib.run.command import make_command
from saelib.run.files import PROJECT
from tests.helpers.batch_project import environment_of_a_test

SAY = "import json, os; print(json.dumps({n: os.environ[n] for n in ('PRESET', 'RUN', 'SEED', 'INTERPRET', 'HTEST')}))"


def test_the_command_to_continue_names_what_differs_from_the_defaults() -> None:
    assert make_command("tiny", "tiny", None) == "make reproduce"
    assert make_command("smoke", "smoke", None) == "make reproduce PRESET=smoke"
    assert make_command("tiny", "second try", 1) == "make reproduce RUN='second try' SEED=1"
    assert make_command("tiny", "tiny", None, {"htest": {"shots": [4]}}) == """make reproduce HTEST='{"shots": [4]}'"""
    assert make_command("tiny", "tiny", None, {"interpret": {"features": None}, "htest": {}}) == (
        """make reproduce INTERPRET='{"features": null}'"""
    )


@pytest.fixture
def arrived(tmp_path: Path):
    """What a program of `make reproduce` finds in its environment, when a command is pasted into a shell."""
    say = tmp_path / "say.py"
    say.write_text(SAY)
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{say}"\n')
    (folder / "python").chmod(0o755)

    def paste(command: str) -> dict[str, str]:
        options = f"--no-print-directory -f '{PROJECT / 'Makefile'}' -o .venv/.ready BIN='{folder}'"
        done = subprocess.run(
            ["sh", "-c", command.replace("make reproduce", f"make {options} reproduce")],
            cwd=tmp_path, env=environment_of_a_test(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "say.py"]  # nothing ran
        found: dict[str, str] = json.loads(done.stdout)
        return found

    return paste


NAMES = [
    "2024",
    "1e5",
    "2024-01-01",
    "true",
    "null",
    "007",
    "0x10",
    "~",
    "it's",
    'a "b"',
    "$HOME",
    "$$",
    "$(touch x)",
    "`touch x`",
    "$(shell touch x)",
    "${RUN}",
    "a;touch x",
    "a&&touch x",
    "a|b>x",
    "back\\slash\\",
    "a\nb",
    "a  b ",
    "#a",
    "größe 🙂",
    "%d {x}",
    "-n",
    "*",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_arrives_to_the_letter(arrived, name: str) -> None:
    assert arrived(make_command("smoke", name, 3)) == {
        "PRESET": "smoke", "RUN": name, "SEED": "3", "INTERPRET": "", "HTEST": ""
    }  # fmt: skip


@pytest.mark.parametrize("text", NAMES)
def test_settings_of_htest_arrive_to_the_letter(arrived, text: str) -> None:
    fields = {"system": text, "models": [text]}
    found = arrived(make_command(text, "tiny", None, {"htest": fields, "interpret": {text: text}}))
    assert found["PRESET"] == text
    assert json.loads(found["HTEST"]) == fields
    assert json.loads(found["INTERPRET"]) == {text: text}
