"""What is written is whole or absent, and what cannot be read says where."""

import hashlib
import json
import math
from pathlib import Path

import pytest

from saelib.run.files import (
    PROJECT,
    cache_folder,
    read_json,
    read_json_lines,
    replace_folder,
    runs_folder,
    sha256_of_file,
    write_atomically,
    write_json,
    write_json_lines,
)


def test_folders_lie_beside_the_library_or_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (PROJECT / "pyproject.toml").is_file()
    monkeypatch.delenv("SAELIB_RUNS")
    assert runs_folder() == PROJECT / "runs"
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    assert (runs_folder(), cache_folder()) == (tmp_path, tmp_path / "cache")


def test_a_write_that_breaks_down_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "values.json"
    write_json(path, [1])

    def half(temporary: Path) -> None:
        temporary.write_text("[2")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, half)
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, math.nan)
    assert read_json(path) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_json_comes_back(tmp_path: Path) -> None:
    value = {"text": "ä", "list": [1, 2.5, None, True]}
    write_json(tmp_path / "below" / "a.json", value)
    assert read_json(tmp_path / "below" / "a.json") == value
    assert (tmp_path / "below" / "a.json").stat().st_mode & 0o777 == 0o644


def test_broken_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json is not valid JSON .* delete it and run again"):
        read_json(tmp_path / "a.json")


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_json_lines(path, [{"n": 1}, {"m": 2}])
    assert read_json_lines(path, dict) == [{"n": 1}, {"m": 2}]
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2, cannot be read \(KeyError: 'n'\)"):
        read_json_lines(path, lambda value: value["n"])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_lines(path, [{"n": math.inf}])
    assert len(path.read_text().splitlines()) == 2


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    folder = tmp_path / "sae"
    replace_folder(folder, lambda temporary: (temporary / "old").write_text("1"))

    def half(temporary: Path) -> None:
        (temporary / "new").write_text("2")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_folder(folder, half)
    assert [path.name for path in folder.iterdir()] == ["old"]
    replace_folder(folder, lambda temporary: (temporary / "new").write_text("2"))
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [folder]


def test_the_sum_is_of_the_bytes(tmp_path: Path) -> None:
    content = json.dumps(list(range(1000))).encode()
    (tmp_path / "a").write_bytes(content)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
