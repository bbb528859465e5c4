"""Texts among the data of an installed R package, read without R: bytes and lengths, and nothing in them is run.

In: `data/Rdata.rdb`, where R keeps the data of a package that loads them when asked for ("LazyData"): for each object
its size in four bytes, then its serialisation, packed by zlib. Out: the character vectors. Any other kind of object is
refused. PyPI's `rdata` reads single files of R and not these, and would bring xarray. The format: R Internals, sections
"Serialization Formats" and, in `R_serialize`, the flags of strings.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from saelib.run.reading import naming_damage

XDR = b"X\n"  # the binary form, big-endian, in which R keeps objects
WITH_ENCODING = 3  # from this version on the native encoding's name stands in front
VECTOR, TEXT = 16, 9  # types of R: STRSXP, CHARSXP
KIND, LATIN_1 = 0xFF, 0x4000  # bits of an entry's flags


def character_vectors(path: Path, remedy: str) -> list[list[str]]:
    """Every object of the file, each a vector of texts, in the order in which they were stored.

    Args:
        remedy: what to do about a damaged file.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is cut off, or holds something else than vectors of texts.
    """
    with naming_damage(path, "no store of R's texts", remedy):
        try:
            return [_vector(value) for value in _values(path.read_bytes())]
        except (zlib.error, struct.error) as error:
            raise ValueError(str(error)) from error


def _values(content: bytes) -> Iterator[bytes]:
    while content:
        (size,) = struct.unpack_from(">I", content)
        stream = zlib.decompressobj()
        value = stream.decompress(content[4:], size + 1)
        if len(value) != size or not stream.eof:
            raise ValueError(f"an object has another size than {size:,} bytes")
        yield value
        content = stream.unused_data


def _vector(value: bytes) -> list[str]:
    stream = io.BytesIO(value)
    if (form := stream.read(len(XDR))) != XDR:
        raise ValueError(f"an object is stored in the form {form!r}, not in XDR")
    version, _, _ = _numbers(stream, 3)  # then R's own versions
    if version >= WITH_ENCODING:
        stream.read(*_numbers(stream, 1))
    kind, count = _numbers(stream, 2)
    if kind != VECTOR:
        raise ValueError(f"an object has the type {kind & KIND}, or attributes, and is no plain vector of texts")
    return [_text(stream) for _ in range(count)]


def _text(stream: io.BytesIO) -> str:
    flags, size = _numbers(stream, 2)
    if flags & KIND != TEXT or size < 0:
        raise ValueError("an entry is missing, or is no text")
    (content,) = struct.unpack(f"{size}s", stream.read(size))
    return str(content, "latin-1" if flags & LATIN_1 else "utf-8")


def _numbers(stream: io.BytesIO, count: int) -> tuple[int, ...]:
    return struct.unpack(f">{count}i", stream.read(4 * count))
