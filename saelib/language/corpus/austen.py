"""Jane Austen's six novels as plain prose, one document for each chapter: English that is no software documentation.

In: Debian's package r-cran-janeaustenr (J. Silge's janeaustenr, MIT; the texts are Project Gutenberg's, in the public
domain), of which only the data are read, without R. Out: documents of unwrapped paragraphs, as `docstrings` gives them.
"""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from saelib.language.corpus.r_texts import character_vectors
from saelib.language.corpus.text import Document
from saelib.run.files import sha256_of_file
from saelib.run.reading import DamagedFileError

PACKAGE = "janeaustenr"
DEBIAN = f"r-cran-{PACKAGE}"
LIBRARIES = ("/usr/local/lib/R/site-library", "/usr/lib/R/site-library")  # of R on Debian and Ubuntu
EXTRACTION_VERSION = 1  # part of the corpus hash: raise it when the same package yields other text

CHAPTER = re.compile(r"chapter [ivxl\d]+", re.IGNORECASE)
NO_PROSE = re.compile(r"volume [ivxl]+|finis|the end", re.IGNORECASE)
REMEDY = f"install the package again: `apt install --reinstall {DEBIAN}`"


def package_folder() -> Path:
    """Where the package is: in a library that R_LIBS names, as for R itself, or in one of Debian's.

    Raises:
        FileNotFoundError: nowhere; the message says how to have it.
    """
    libraries = [*filter(None, os.environ.get("R_LIBS", "").split(os.pathsep)), *LIBRARIES]
    for package in (Path(library) / PACKAGE for library in libraries):
        if (package / "DESCRIPTION").is_file():
            return package
    raise FileNotFoundError(
        f"corpus 'austen' is read from the Debian package {DEBIAN}, which is not in {' or '.join(libraries)}: "
        f"`apt install --no-install-recommends {DEBIAN}` (31 MB, R among them), or without R (1.6 MB) "
        f"`apt download {DEBIAN} && dpkg -x {DEBIAN}_*.deb austen && export R_LIBS=$PWD/austen/usr/lib/R/site-library`"
    )


def sources(package: Path) -> dict[str, str]:
    """Version of the package and hash of its texts, as the corpus hash records them.

    Raises:
        DamagedFileError: it does not say its version.
    """
    description = package / "DESCRIPTION"
    version = re.search(r"^Version: *(\S+)$", description.read_text(encoding="utf-8", errors="replace"), re.MULTILINE)
    if version is None:
        raise DamagedFileError(f"{description} names no version; {REMEDY}")
    return {PACKAGE: version[1], "text": sha256_of_file(_store(package)), "extraction": str(EXTRACTION_VERSION)}


def documents(package: Path) -> list[Document]:
    """All chapters, novel by novel.

    Raises:
        FileNotFoundError, DamagedFileError: as `r_texts.character_vectors`.
    """
    return [chapter for lines in character_vectors(_store(package), REMEDY) for chapter in chapters(lines)]


def chapters(lines: Sequence[str]) -> list[Document]:
    """The chapters of a novel, named by its first line, which is its title, and counted over all volumes.

    What stands before the first chapter is left out, and so are headings.
    """
    found: list[list[str]] = []
    for paragraph in _paragraphs(lines):
        if CHAPTER.fullmatch(paragraph):
            found.append([])
        elif found and not NO_PROSE.fullmatch(paragraph):
            found[-1].append(paragraph)
    title = next(iter(lines), "").title()
    return [Document(f"{title}/{number}", text) for number, text in enumerate(found, start=1) if text]


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """What stands between blank lines, on one line and without the underscores around words in italics."""
    for block in re.split(r"\n\s*\n", "\n".join(lines)):
        if text := " ".join(block.replace("_", "").split()):
            yield text


def _store(package: Path) -> Path:
    return package / "data" / "Rdata.rdb"
