"""Vectors of texts in R's store of a package's data, byte by byte; anything else is refused by the file's name."""

from pathlib import Path

import pytest

from saelib.language.corpus.r_texts import character_vectors
from saelib.run.reading import DamagedFileError
from tests.helpers.r_packages import HEADER, LATIN_1, OLD_HEADER, UTF_8, serialised, stored

# The beginning of the novel Emma in Debian's r-cran-janeaustenr 1.0.0-1, cut to three lines (0x3f6b are there).
EMMA = bytes.fromhex(
    "580a 00000003 00040201 00030500 00000005 5554462d38"
    "00000010 00000003 00040009 00000004 454d4d41 00040009 00000000 00040009 0000000e 4279204a616e652041757374656e"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "Rdata.rdb"


def test_the_bytes_of_the_real_package_are_read(path: Path) -> None:
    path.write_bytes(stored(EMMA))
    assert character_vectors(path, "") == [["EMMA", "", "By Jane Austen"]]


def test_vectors_come_in_the_order_of_the_file(path: Path) -> None:
    path.write_bytes(stored(serialised(b"one", b"two"), serialised(), serialised(b"three", header=OLD_HEADER)))
    assert character_vectors(path, "") == [["one", "two"], [], ["three"]]


def test_each_text_says_its_encoding(path: Path) -> None:
    path.write_bytes(stored(serialised("£20,000 für".encode(), flags=UTF_8),
                            serialised("£20,000 für".encode("latin-1"), flags=LATIN_1)))  # fmt: skip
    assert character_vectors(path, "") == [["£20,000 für"], ["£20,000 für"]]


WHOLE = stored(serialised(b"one", b"two"))
SIZE = len(serialised(b"one", b"two"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (WHOLE[:-9], f"an object has another size than {SIZE} bytes"),
        (WHOLE[:3], "requires a buffer of at least 4 bytes"),
        ((SIZE - 1).to_bytes(4, "big") + WHOLE[4:], f"another size than {SIZE - 1} bytes"),
        ((SIZE + 1).to_bytes(4, "big") + WHOLE[4:], f"another size than {SIZE + 1} bytes"),
        (WHOLE[:4] + b"no zlib" + WHOLE[4:], "incorrect header check"),
        (stored(b"A\n3\n"), r"in the form b'A\\n', not in XDR"),
        (stored(serialised(kind=19)), "has the type 19"),  # a list
        (stored(serialised(b"a", kind=0x210)), "has the type 16, or attributes"),
        (stored(serialised(b"a")[:-1]), "requires a buffer of 1 bytes"),
        (stored(HEADER + bytes.fromhex("00000010 7fffffff 00040009 00000001 61")), "requires a buffer of 8 bytes"),
        (stored(serialised()[:-4] + bytes.fromhex("00000001 00000009 ffffffff")), "an entry is missing"),  # NA
        (stored(serialised(b"\xff", flags=UTF_8)), "0xff is not UTF-8"),
    ],
)
def test_what_is_no_vector_of_texts_is_refused_by_name(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=words) as raised:
        character_vectors(path, "install it again")
    assert str(raised.value).startswith(f"{path} is no store of R's texts (")
    assert str(raised.value).endswith("); install it again")


def test_a_text_that_unpacks_to_more_than_it_says_is_not_unpacked(path: Path) -> None:
    """As of a file that was made to fill the memory."""
    path.write_bytes((100).to_bytes(4, "big") + stored(b"\0" * 10_000_000)[4:])
    with pytest.raises(DamagedFileError, match="another size than 100 bytes"):
        character_vectors(path, "")


def test_a_file_that_is_not_there_stays_a_missing_file(path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        character_vectors(path, "")
