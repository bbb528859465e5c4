"""A file gives its value, or one error that names the file, the place and the remedy, whatever library reads it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from saelib.run.files import write_json, write_json_lines
from saelib.run.reading import (
    DamagedFileError,
    as_object,
    naming_damage,
    read_arrays,
    read_json,
    read_json_lines,
    read_json_object,
    read_table,
    read_tensors,
)


def test_what_is_whole_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"text": "ä"})
    assert read_json(tmp_path / "a.json") == read_json_object(tmp_path / "a.json") == {"text": "ä"}
    assert read_json(tmp_path / "a.json", lambda value: value["text"]) == "ä"
    write_json_lines(tmp_path / "a.jsonl", [{"n": 1}, {"n": 2}])
    assert read_json_lines(tmp_path / "a.jsonl", lambda value: value["n"]) == [1, 2]
    table = pd.DataFrame({"n": [1, 2], "text": ["a", "ä"]})
    table.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), table)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet", ["text"]), table[["text"]])
    save_file({"x": torch.arange(3)}, tmp_path / "a.safetensors")
    assert read_tensors(tmp_path / "a.safetensors")["x"].tolist() == [0, 1, 2]
    assert np.array_equal(read_arrays(tmp_path / "a.safetensors")["x"], np.arange(3))


def test_a_mark_of_windows_before_utf_8_is_no_part_of_a_value(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[1]")
    assert read_json(tmp_path / "a.json") == [1]


READERS: list[Callable[[Path], Any]] = [read_json, read_json_object, read_table, read_tensors, read_arrays,
                                        lambda path: read_json_lines(path, as_object)]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_not_there_is_not_damaged(tmp_path: Path, reader: Callable[[Path], Any]) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        reader(tmp_path / "absent")
    with pytest.raises(OSError, match="folder"):
        (tmp_path / "folder").mkdir()
        reader(tmp_path / "folder")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"{", b"PAR1", b"\x08" + bytes(7) + b"nonsense", b"[" * 100_000,
                                     b"9" * 5000, bytes(1000), b"\xff" * 1000])  # fmt: skip
def test_nonsense_is_damage_with_the_name_of_the_file(
    tmp_path: Path, reader: Callable[[Path], Any], content: bytes
) -> None:
    (tmp_path / "a.file").write_bytes(content)
    with pytest.raises(DamagedFileError, match=rf"{tmp_path}/a\.file.*(;|:) "):
        reader(tmp_path / "a.file")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", r"a\.json is not valid JSON \(Expecting property name .*line 1 column 2 .*\); put it back .* run again"),
        (b'{"a":\n"\xe4"}', r"a\.json is not valid JSON \(line 2, byte 7: 0xe4 is not UTF-8\); put it back"),
        (b'{"a": NaN}', r"NaN is no JSON value"),
        (b"[-Infinity]", r"-Infinity is no JSON value"),
        (b"", "line 1 column 1"),
    ],
)
def test_json_that_is_none_is_named_with_its_place(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DamagedFileError, match=told):
        read_json(tmp_path / "a.json")


@pytest.mark.parametrize("value", [[], [{}], 3, "a", None, True])
def test_a_value_of_another_kind_is_named(tmp_path: Path, value: object) -> None:
    write_json(tmp_path / "a.json", value)
    with pytest.raises(DamagedFileError, match=r"a\.json is not what .* in place of an object .*; delete it"):
        read_json_object(tmp_path / "a.json", "delete it")


@pytest.mark.parametrize("parse", [lambda value: value["m"], lambda value: value.m, lambda value: value + 1,
                                   lambda value: int(value["n"]), lambda value: 1 / 0])  # fmt: skip
def test_what_a_parser_does_not_take_is_named(tmp_path: Path, parse: Callable[[Any], Any]) -> None:
    write_json(tmp_path / "a.json", {"n": "one"})
    with pytest.raises(DamagedFileError, match=r"a\.json is not what it should be \(.+\); put it back"):
        read_json(tmp_path / "a.json", parse)
    write_json_lines(tmp_path / "a.jsonl", [{"n": "one"}])
    with pytest.raises(DamagedFileError, match=r"a\.jsonl, line 1, cannot be read"):
        read_json_lines(tmp_path / "a.jsonl", parse)


def test_an_error_that_is_none_of_the_file_s_stays_as_it_is(tmp_path: Path) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    write_json(tmp_path / "a.json", 1)
    with pytest.raises(KeyboardInterrupt):
        read_json(tmp_path / "a.json", interrupted)
    with pytest.raises(MemoryError), naming_damage(tmp_path, "too large"):
        raise MemoryError


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_json_lines(path, [{"n": 1}, {"m": 2}])
    with pytest.raises(
        DamagedFileError, match=r"a\.jsonl, line 2, cannot be read \(KeyError: 'n'\); mend it, or delete"
    ):
        read_json_lines(path, lambda value: value["n"])
    path.write_bytes(b'{"n": 1}\n{"n": "\xe4"}\n')
    with pytest.raises(DamagedFileError, match=r"line 2, cannot be read \(UnicodeDecodeError: "):
        read_json_lines(path, as_object)


@pytest.mark.parametrize("damage", ["cut", "half zero", "end zero", "empty", "no end"])
@pytest.mark.parametrize("name", ["a.parquet", "a.safetensors"])
def test_half_a_binary_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    path = tmp_path / name
    if path.suffix == ".parquet":
        pd.DataFrame({"n": np.arange(5000.0), "text": ["ä"] * 5000}).to_parquet(path)
    else:
        save_file({"x": torch.randn(1000)}, path)
    content, size = path.read_bytes(), path.stat().st_size
    path.write_bytes(
        {
            "cut": content[: size // 2],
            "half zero": bytes(size // 2) + content[size // 2 :]
            if path.suffix != ".parquet"
            else content[:200] + bytes(size - 200),
            "end zero": content[:-60] + bytes(60) if path.suffix == ".parquet" else bytes(60) + content[60:],
            "empty": b"",
            "no end": content[:-5],
        }[damage]
    )
    kind = "parquet" if path.suffix == ".parquet" else "safetensors"
    with pytest.raises(DamagedFileError, match=rf"{path} is no whole {kind} file \(.+\); delete it"):
        read_table(path, remedy="delete it") if kind == "parquet" else read_tensors(path, remedy="delete it")


def test_a_column_that_is_missing_is_named(tmp_path: Path) -> None:
    pd.DataFrame({"n": [1]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(DamagedFileError, match=r"a\.parquet is no whole parquet file .*seed"):
        read_table(tmp_path / "a.parquet", ["n", "seed"])


@pytest.mark.skipif(os.geteuid() == 0 if hasattr(os, "geteuid") else True, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_not_damaged(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    (tmp_path / "a.json").chmod(0)
    with pytest.raises(PermissionError, match=r"a\.json"):
        read_json(tmp_path / "a.json")
