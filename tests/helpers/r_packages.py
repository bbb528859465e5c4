"""Small packages of R on disk, in the bytes that R writes: each object's size, then its zlib-packed serialisation."""

import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

NATIVE = struct.pack(">i", 5) + b"UTF-8"
HEADER = b"X\n" + struct.pack(">iii", 3, 0x040201, 0x030500) + NATIVE  # version 3, by R 4.2.1, readable from R 3.5
OLD_HEADER = b"X\n" + struct.pack(">iii", 2, 0x030603, 0x020300)
ASCII, UTF_8, LATIN_1 = 0x40009, 0x8009, 0x4009  # flags of a string, its type 9 in the last byte


def serialised(*texts: bytes, flags: int = ASCII, header: bytes = HEADER, kind: int = 16) -> bytes:
    """A vector of texts, as R's `serialize` has it."""
    entries = b"".join(struct.pack(">ii", flags, len(text)) + text for text in texts)
    return header + struct.pack(">ii", kind, len(texts)) + entries


def stored(*objects: bytes) -> bytes:
    """Objects as they stand in a package's `Rdata.rdb`."""
    return b"".join(struct.pack(">i", len(one)) + zlib.compress(one) for one in objects)


def write_package(library: Path, novels: Sequence[Sequence[str]], version: str = "1.0.0") -> Path:
    """The package janeaustenr, with novels of one's own."""
    package = library / "janeaustenr"
    (package / "data").mkdir(parents=True)
    (package / "DESCRIPTION").write_text(f"Package: janeaustenr\nVersion: {version}\nBuilt: R 4.2.1; ; 'Thu'; unix\n")
    vectors = (serialised(*(line.encode() for line in lines), flags=UTF_8) for lines in novels)
    (package / "data" / "Rdata.rdb").write_bytes(stored(*vectors))
    return package
