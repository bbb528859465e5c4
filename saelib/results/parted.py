"""A table that grows by parts, and what they are together, so that no kill and no full disk leaves less than the parts.

In: tables by name. Out: `<folder>/<part>.parquet`, each with its checksum in the folder's manifest, and
`<folder>.parquet`, a pure function of the parts, for who looks from outside: it says which parts it was made of, and is
made again whenever these are others. What is read here comes from the parts themselves, as long as there are any.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from saelib.results.provenance import write_table
from saelib.run.files import sha256_of_file
from saelib.run.manifest import check_part, forget_part, has_part, known_parts, note_part
from saelib.run.parquet import read_notes
from saelib.run.reading import DamagedFileError, read_table

MADE_OF = b"saelib_parts"  # in the schema of a joined table: SHA-256 of its parts
REMEDY = "put it back from a copy, or delete it to have it made again"


class PartedTable:
    """Parts in a folder; whoever writes holds the run."""

    def __init__(self, folder: Path, needed: Sequence[str] = ()) -> None:
        """Nothing is written yet.

        Args:
            needed: columns without which a file is another table.
        """
        self.folder, self.path, self.needed = folder, folder.with_name(f"{folder.name}.parquet"), needed

    def place(self, part: str) -> Path:
        """The file of a part."""
        return self.folder / f"{part}.parquet"

    def has(self, part: str) -> bool:
        """Whether it is finished; one that a killed process wrote and did not note is not."""
        return has_part(self.place(part))

    @property
    def parts(self) -> list[str]:
        """Those that are finished, by name."""
        return [path.stem for path in sorted(self.folder.glob("*.parquet")) if has_part(path)]

    def read(self, part: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A part, or some of its columns.

        Raises:
            DamagedFileError: it is not what was written.
        """
        check_part(self.place(part))
        return read_table(self.place(part), columns, REMEDY, self.needed if columns is None else ())

    def write(self, part: str, table: pd.DataFrame) -> None:
        """Keep a part, anew if it is there: it counts from when it is noted."""
        forget_part(self.folder, self.place(part).name)
        write_table(table, self.place(part))
        note_part(self.folder, self.place(part).name)

    def together(self, parts: Iterable[str] | None = None) -> pd.DataFrame:
        """All parts, or some, in the order of their names here; without any, the joined table, if that is all there is.

        Raises:
            FileNotFoundError: there is neither.
            DamagedFileError: one is not what was written.
        """
        names = self.parts if parts is None else [*parts]
        return concatenated(map(self.read, names)) if names else read_table(self.path, needed=self.needed)

    def sha256(self, parts: Iterable[str]) -> str:
        """Of some parts, by their names and bytes."""
        sums = {part: sha256_of_file(self.place(part)) for part in parts}
        return hashlib.sha256(json.dumps(sums, sort_keys=True).encode()).hexdigest()

    def is_joined(self, parts: Sequence[str]) -> bool:
        """Whether the joined table is there, and was made of these parts."""
        return made_of(self.path) == self.sha256(parts)

    def join(self, parts: Sequence[str], together: pd.DataFrame) -> None:
        """Make the joined table, where it is not that of these parts; and note them, where none was noted yet.

        Args:
            together: what the parts are together.
        """
        if parts and not known_parts(self.folder):  # its first part may be as far as a killed process came
            note_part(self.folder, self.place(parts[0]).name)
        if not self.is_joined(parts):
            write_made_of(together, self.path, self.sha256(parts))


def concatenated(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Tables one below the other, with the types that they have when they are written and read as one.

    A column of whole numbers that some lack stays one.
    """
    import pyarrow as pa

    found = [*tables]
    missing = {name: dtype for table in found for name, dtype in table.dtypes.items() if str(dtype) == "Int64"}
    whole = pd.concat(found, ignore_index=True).astype(missing)
    return pa.Table.from_pandas(whole, preserve_index=False).to_pandas()


def made_of(path: Path) -> str | None:
    """SHA-256 of what a table was made of; None where it does not say, is not there, or any of its bytes is damaged."""
    try:
        read_table(path)  # whole: what it says of its parts is no proof of its numbers
        return read_notes(path).get(MADE_OF, b"").decode() or None
    except (OSError, DamagedFileError):  # it can be made again
        return None


def write_made_of(table: pd.DataFrame, path: Path, sha256: str) -> None:
    """Write a table with the SHA-256 of what it was made of, atomically."""
    write_table(table, path, {MADE_OF: sha256.encode()})
