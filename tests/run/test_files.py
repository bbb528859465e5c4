"""What is written is whole or absent, and what cannot be read says where."""

import errno
import hashlib
import json
import math
import os
import shutil
import time
from pathlib import Path

import pytest

from saelib.run.files import (
    PROJECT,
    cache_folder,
    path_part,
    remove_leftovers,
    replace_folder,
    runs_folder,
    sha256_of_file,
    write_atomically,
    write_json,
    write_json_lines,
)
from saelib.run.reading import read_json


def test_folders_lie_beside_the_library_or_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert (PROJECT / "pyproject.toml").is_file()
    monkeypatch.delenv("SAELIB_RUNS")
    assert runs_folder() == PROJECT / "runs"
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path))
    assert (runs_folder(), cache_folder()) == (tmp_path, tmp_path / "cache")
    for blank in ("", " "):
        monkeypatch.setenv("SAELIB_RUNS", blank)
        assert runs_folder() == PROJECT / "runs"


def test_a_folder_of_runs_that_can_be_none_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SAELIB_RUNS", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"^SAELIB_RUNS='.*file' is a file; give a folder"):
        runs_folder()
    monkeypatch.setenv("SAELIB_RUNS", "~nobody-of-this-name/runs")
    with pytest.raises(ValueError, match=r"^SAELIB_RUNS='~nobody-of-this-name/runs': .*Give the folder's full path"):
        runs_folder()


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


def test_no_line_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_json_lines(path, [{"n": 1}, {"m": 2}])
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


def test_an_old_folder_is_moved_aside_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill while the old one is deleted leaves the new one in its place, and no half of the old one."""
    folder = tmp_path / "sae"
    replace_folder(folder, lambda temporary: (temporary / "first").write_text("1"))

    def killed(path: Path, **_: object) -> None:
        assert (path / "old" / "first").is_file()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "rmtree", killed)
        replace_folder(folder, lambda temporary: (temporary / "second").write_text("2"))
    assert [path.name for path in folder.iterdir()] == ["second"]
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [folder]
    assert folder.stat().st_mode & 0o777 == 0o755


def renamed_up_to(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Has an error come where a new folder is renamed into its place."""
    rename = Path.rename

    def rename_or_fail(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", rename_or_fail)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "Input/output error")])
def test_where_the_new_folder_does_not_get_to_its_place_the_old_one_is_there_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    folder = tmp_path / "sae"
    replace_folder(folder, lambda temporary: (temporary / "first").write_text("1"))
    with monkeypatch.context() as patch, pytest.raises(type(error)):
        renamed_up_to(patch, error)
        replace_folder(folder, lambda temporary: (temporary / "second").write_text("2"))
    assert list(tmp_path.iterdir()) == [folder]
    assert [path.name for path in folder.iterdir()] == ["first"]


@pytest.mark.parametrize("name", ["64", "a.b", "tiny"])
def test_killed_between_its_two_renames_it_is_put_back_by_who_comes_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = tmp_path / "saes" / name
    replace_folder(folder, lambda temporary: (temporary / "first").write_text("1"))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        renamed_up_to(patch, KeyboardInterrupt())
        patch.setattr("saelib.run.files._put_back", lambda *_: None)  # nothing runs any more after `kill -9`
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        replace_folder(folder, lambda temporary: (temporary / "second").write_text("2"))
    (left,) = folder.parent.iterdir()
    (left / "old" / ".cfg.json.x.temporary").write_text("half, of an earlier one")
    remove_leftovers(tmp_path)
    assert list(folder.parent.iterdir()) == [folder]
    assert [path.name for path in folder.iterdir()] == ["first"]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EDQUOT, "quota"),
                                   RuntimeError("I/O error: No space left on device (os error 28)")])  # fmt: skip
def test_a_full_disk_names_the_place_and_the_remedy(tmp_path: Path, error: Exception) -> None:
    """Whatever library writes; an unfinished file is gone, so that its space is free."""

    def full(temporary: Path) -> None:
        raise error

    for write in (write_atomically, replace_folder):
        with pytest.raises(OSError, match="is full; free some space and run again.*/a.table'") as raised:
            write(tmp_path / "a.table", full)
        assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "a.table"))
    assert list(tmp_path.iterdir()) == []


def test_another_error_of_a_writer_stays_as_it_is(tmp_path: Path) -> None:
    def broken(temporary: Path) -> None:
        raise ZeroDivisionError("one's own")

    with pytest.raises(ZeroDivisionError, match="one's own"):
        write_atomically(tmp_path / "a", broken)


def leftovers_in(folder: Path) -> list[Path]:
    """What a killed process leaves of a file, of a folder, and deeper inside."""
    found: list[Path] = []

    def note(temporary: Path) -> None:
        found.append(temporary)
        raise KeyboardInterrupt

    for write, path in ((write_atomically, folder / "a.json"), (replace_folder, folder / "saes" / "64")):
        with pytest.raises(KeyboardInterrupt):
            write(path, note)
    file, inside = found
    file.write_text("half")
    inside.mkdir(parents=True)
    (inside / f".cfg.json.x{file.suffix}").write_text("half")
    return [file, inside]


def test_what_killed_processes_left_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    kept = [tmp_path / "a.json", tmp_path / "saes" / "64" / "cfg.json", tmp_path / "notes.temporary", tmp_path / ".old"]
    left = leftovers_in(tmp_path)
    for path in kept:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("whole")
    remove_leftovers(tmp_path)
    assert not any(path.exists() for path in left)
    assert all(path.read_text() == "whole" for path in kept)
    remove_leftovers(tmp_path / "absent")


def test_where_others_write_only_the_old_is_left_over(tmp_path: Path) -> None:
    file, inside = leftovers_in(tmp_path)
    yesterday = time.time() - 100_000
    os.utime(inside.parent, (yesterday, yesterday))
    remove_leftovers(tmp_path, seconds=86_400)
    assert file.exists() and not inside.parent.exists()
    os.utime(file, (time.time() + 100_000,) * 2)  # the clock was set back
    remove_leftovers(tmp_path)
    assert not file.exists()


@pytest.mark.parametrize("name", ["tiny", "a-1.b_c", "ä", "2x", "version1", "n" * 100])
def test_a_name_that_stays_in_its_folder_may_be_a_path(tmp_path: Path, name: str) -> None:
    assert path_part(name, "run") == name
    write_atomically(tmp_path / name, lambda temporary: temporary.write_text("1"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../evil", "../../../evil", "a/b", "/etc/passwd", "a\\b", "C:x", "-x", ".hidden", "a b",
             "a\n", "a\0", "~", "$HOME", "a;b", "*", "n" * 101, "漢" * 100, "\ud800", None, 3, ["a"]]
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_refused_with_what_it_names(name: str) -> None:
    with pytest.raises(ValueError, match=r"^version=.*(use letters, digits|has 10. signs)"):
        path_part(name, "version")
    with pytest.raises(ValueError, match="^(use letters|has 10)"):
        path_part(name)
