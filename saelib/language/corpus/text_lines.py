"""The lines of a text file, gzipped or not, or an error that says where it is no UTF-8 text and what to do.

In: a path. Out: lines as a stream. An encoding is never guessed: a text read by the wrong one trains as well as the
right one, on other words.
"""

import gzip
import io
import re
import shlex
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

from saelib.run.reading import DamagedFileError

TABLES = (".csv", ".tsv", ".json")
GZIP = b"\x1f\x8b"
PACKED = {b"PK\x03\x04": "zip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh91AY": "bzip2", b"%PDF-": "PDF"}
# The mark of UTF-32 begins with that of UTF-16.
MARKS = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
LINE_END = re.compile(rb"\r\n?|\n")


def text_lines(path: Path) -> Iterator[str]:
    r"""The lines of a UTF-8 text without its byte order mark; each ends in `\n`, whatever its end is on disk.

    Raises:
        ValueError: the file is a table, or packed in another way than by gzip.
        DamagedFileError: the file is not UTF-8, holds NUL bytes, or is a damaged gzip file; the message names file,
            line and byte, and a command that mends it.
    """
    if ending(path) in TABLES:
        raise ValueError(
            f"{path}: {ending(path)} is a table and no text; write one JSON object a line, for instance by pandas: "
            'table.to_json("corpus.jsonl", orient="records", lines=True)'
        )
    try:
        yield from _decoded(path)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFileError(f"{path} is a damaged gzip file, or a part of one ({error}); copy it again") from error


def _decoded(path: Path) -> Iterator[str]:
    try:
        with _opened(path) as stream, io.TextIOWrapper(stream, "utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                if "\0" in line:
                    raise DamagedFileError(
                        f"{path}, line {number}, holds a NUL byte: it is no text, or UTF-16 without a mark; "
                        f"convert it: {_conversion(path, 'UTF-16LE')}"
                    )
                yield line
    except UnicodeDecodeError as error:
        raise DamagedFileError(_first_wrong_byte(path)) from error


def ending(path: Path) -> str:
    """What the name says of the content: `.jsonl` for `a.jsonl` and for `a.jsonl.gz`."""
    return (path.with_suffix("").suffix or path.suffix if path.suffix == ".gz" else path.suffix).lower()


def _opened(path: Path) -> IO[bytes]:
    with path.open("rb") as stream:
        start = stream.read(8)
    if start.startswith(GZIP):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if kind := _by_mark(start, PACKED):
        raise ValueError(f"{path} is a {kind} file; unpack it, or save its text as UTF-8 (gzip is read as it is)")
    return path.open("rb")


def _first_wrong_byte(path: Path) -> str:
    """Where a file stops being UTF-8, and how to convert it."""
    line, place = 1, 0
    with _opened(path) as stream:
        for content in stream:
            encoding = (_by_mark(content, MARKS) if place == 0 else None) or _without_mark(content)
            try:
                content.decode()
            except UnicodeDecodeError as error:
                line += len(LINE_END.findall(content[: error.start]))
                byte = f"byte {place + error.start} of the file, 0x{content[error.start]:02x},"
                return (
                    f"{path}, line {line}: {byte} is not UTF-8; convert the file: {_conversion(path, encoding)} "
                    f"(if {encoding} is its encoding; `file {shlex.quote(str(path))}` makes a guess)"
                )
            line, place = line + len(LINE_END.findall(content)), place + len(content)
    return f"{path} changed while it was read; run again"


def _without_mark(content: bytes) -> str:
    """A guess: Western letters of UTF-16 have a NUL byte each, the larger byte, and no other encoding has any."""
    return "WINDOWS-1252" if b"\0" not in content else "UTF-16BE" if content.startswith(b"\0") else "UTF-16LE"


def _by_mark(start: bytes, kinds: dict[bytes, str]) -> str | None:
    return next((kind for mark, kind in kinds.items() if start.startswith(mark)), None)


def _conversion(path: Path, encoding: str) -> str:
    """A shell command that writes the text as UTF-8 beside the file."""
    name, target = shlex.quote(str(path)), shlex.quote(f"{path.with_name(path.name.partition('.')[0])}.utf8.txt")
    if path.suffix == ".gz":
        return f"gunzip -c {name} | iconv -f {encoding} -t UTF-8 > {target}"
    return f"iconv -f {encoding} -t UTF-8 {name} > {target}"
