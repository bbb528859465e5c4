"""Text files in every encoding and packing that users bring: read right, or refused by file, line, byte and remedy."""

import gzip
import shutil
import subprocess
from pathlib import Path

import pytest

from saelib.language.corpus.text_lines import ending, text_lines
from saelib.run.reading import DamagedFileError

LINES = ["First line\n", "Größe, 漢字, 🙂\n", "\n", "last without end"]
TEXT = "".join(LINES)


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "BOM"])
@pytest.mark.parametrize("packed", [False, True])
def test_line_ends_marks_and_gzip_make_no_difference(tmp_path: Path, end: str, mark: bytes, packed: bool) -> None:
    content = mark + TEXT.replace("\n", end).encode()
    path = written(tmp_path / "a.txt", gzip.compress(content[:9]) + gzip.compress(content[9:]) if packed else content)
    assert list(text_lines(path)) == LINES


def test_empty_files_have_no_lines(tmp_path: Path) -> None:
    assert list(text_lines(written(tmp_path / "a.txt", b""))) == []
    assert list(text_lines(written(tmp_path / "a.txt", b"\xef\xbb\xbf"))) == []
    assert list(text_lines(written(tmp_path / "a.txt.gz", gzip.compress(b"")))) == []


@pytest.mark.parametrize(
    ("content", "problem", "encoding"),
    [
        ("ab\ncdé".encode("latin-1"), "line 2: byte 5 of the file, 0xe9,", "WINDOWS-1252"),
        ("ab\n\n“c”".encode("cp1252"), "line 3: byte 4 of the file, 0x93,", "WINDOWS-1252"),
        ("ab\r\ncdé".encode("latin-1"), "line 2: byte 6 of the file, 0xe9,", "WINDOWS-1252"),
        ("ab\rcd\ré".encode("latin-1"), "line 3: byte 6 of the file, 0xe9,", "WINDOWS-1252"),
        ("x\n" * 100_000 + "é", "line 100001: byte 200000 of the file, 0xe9,", "WINDOWS-1252"),
        ("ab\ncd 🙂".encode()[:-1], "line 2: byte 6 of the file, 0xf0,", "WINDOWS-1252"),
        ("ab\ncd".encode("utf-16"), "line 1: byte 0 of the file, 0xff,", "UTF-16"),
        (b"\xfe\xff" + "ab\ncd".encode("utf-16-be"), "line 1: byte 0 of the file, 0xfe,", "UTF-16"),
        ("ab\ncd".encode("utf-32"), "line 1: byte 0 of the file, 0xff,", "UTF-32"),
        ("ok\nab\ncd".encode("utf-16-le"), "line 1, holds a NUL byte", "UTF-16LE"),
        (b"ok\nthis is \0 binary", "line 2, holds a NUL byte", "UTF-16LE"),
        ("naïve\né".encode("utf-16-le"), "line 1: byte 4 of the file, 0xef,", "UTF-16LE"),
        ("naïve\né".encode("utf-16-be"), "line 1: byte 5 of the file, 0xef,", "UTF-16BE"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_is_not_utf8_is_refused_by_place_with_a_command(
    tmp_path: Path, content: bytes | str, problem: str, encoding: str, packed: bool
) -> None:
    raw = content.encode("latin-1") if isinstance(content, str) else content
    path = written(tmp_path / ("it's a.txt.gz" if packed else "it's a.txt"), gzip.compress(raw) if packed else raw)
    with pytest.raises(ValueError, match=f"iconv -f {encoding} -t UTF-8") as refused:
        list(text_lines(path))
    assert str(refused.value).startswith(f"{path}, {problem}")


@pytest.mark.skipif(shutil.which("iconv") is None, reason="iconv is not installed")
@pytest.mark.parametrize("name", ["it's a.txt", "b.txt.gz"])
def test_the_command_mends_the_file(tmp_path: Path, name: str) -> None:
    raw = TEXT.replace("漢字, 🙂", "“quoted”").encode("cp1252")
    path = written(tmp_path / name, gzip.compress(raw) if name.endswith("gz") else raw)
    with pytest.raises(ValueError) as refused:
        list(text_lines(path))
    command = str(refused.value).partition("convert the file: ")[2].partition(" (if ")[0]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path)
    mended = tmp_path / f"{name.partition('.')[0]}.utf8.txt"
    assert "".join(text_lines(mended)) == TEXT.replace("漢字, 🙂", "“quoted”")


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    whole = gzip.compress(TEXT.encode() * 100)
    flipped = whole[:60] + bytes([whole[60] ^ 255]) + whole[61:]
    for content in (whole[:-9], whole[:30], flipped, whole + b"more"):
        path = written(tmp_path / "a.txt.gz", content)
        with pytest.raises(ValueError, match=f"{path} is a damaged gzip file"):
            list(text_lines(path))


@pytest.mark.parametrize(
    ("start", "kind"),
    [(b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd"), (b"\xfd7zXZ\0", "xz"), (b"BZh91AY&SY", "bzip2"),
     (b"%PDF-1.7", "PDF")],
)  # fmt: skip
def test_other_packings_are_named(tmp_path: Path, start: bytes, kind: str) -> None:
    path = written(tmp_path / "a.txt", start + b"...")
    with pytest.raises(ValueError, match=f"{path} is a {kind} file; unpack it"):
        list(text_lines(path))


@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.json", "a.csv.gz"])
def test_tables_are_no_text(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name, b"text\nwords\n")
    with pytest.raises(ValueError, match=r"is a table and no text; write one JSON object a line.*lines=True"):
        list(text_lines(path))


def test_the_ending_is_that_of_the_content() -> None:
    names = {"a.txt": ".txt", "a.b.JSONL.gz": ".jsonl", "a.gz": ".gz", "a": "", ".hidden": "", "a.parquet": ".parquet"}
    assert {name: ending(Path(name)) for name in names} == names


def test_a_gzip_file_that_is_damaged_behind_a_wrong_byte_is_named(tmp_path: Path) -> None:
    """Looking for the place of the wrong byte, the damage is met."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"\xff without end")[:-8] + bytes(8))  # the checksum
    with pytest.raises(DamagedFileError, match=rf"{path} is a damaged gzip file, or a part of one \(CRC"):
        list(text_lines(path))
