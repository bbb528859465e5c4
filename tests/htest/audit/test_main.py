"""The audit on the command line: `python -m saelib.htest.audit FILE`."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from saelib.htest.audit.__main__ import main
from saelib.htest.items.item import Item, write_items
from saelib.run.files import PROJECT
from tests.helpers.some_items import made, question

CLEAN = made("uppercase", "a Dog/the Cats", "A", "dev") + made("uppercase", "a dog/the cats", "B", "dev")
CLEAN += made("uppercase", "an Owl", "A") + made("uppercase", "an owl", "B")


def numbered(items: Iterable[Item]) -> list[Item]:
    return [replace(item, row=row) for row, item in enumerate(items, start=1)]


def test_the_command_prints_the_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "items.jsonl"
    write_items(path, numbered([*CLEAN, *made("uppercase", "a cow", "A"), question("one", "OE", "O")]))
    main([str(path)])
    printed = capsys.readouterr().out
    assert printed.count("\n## ") + printed.startswith("## ") == 3
    (line,) = [line for line in printed.splitlines() if "a cow" in line]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells == ["made", "0", "uppercase", "test", "7", "a cow", "A", "B"]
    assert "<NA>" not in printed
    assert "nan" not in printed


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="nowhere: no such file or folder"):
        main([str(tmp_path / "nowhere")])


def test_the_room_can_be_run(tmp_path: Path) -> None:
    write_items(tmp_path / "items.jsonl", numbered(CLEAN))
    command = [sys.executable, "-m", "saelib.htest.audit"]
    done = subprocess.run([*command, tmp_path / "items.jsonl"], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("## Audit\n\n| item_set")
    usage = subprocess.run([*command, "--help"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout
    assert usage.startswith("usage: python -m saelib.htest.audit ")
