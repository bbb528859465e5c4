"""Documents of the files that a user has: plain text, JSON lines, parquet, gzipped or not, or a folder of them.

In: the name of a corpus. Out: documents, read as a stream.

- plain text (`.txt`, `.md`, any other ending): documents of some length, cut at blank lines
- `.jsonl`, `.ndjson`, `.parquet`: one document a record, from the column `text`, or as `file.jsonl:column` says
- a folder: all files in it with one of these endings; a plain text in it is one document
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from saelib.language.corpus.text import Document, text_documents, whole_documents
from saelib.language.corpus.text_lines import TABLES, ending, text_lines
from saelib.run.files import sha256_of_file
from saelib.run.reading import DamagedFileError, naming_damage

READING_VERSION = 1  # part of the cache key: raise it when the same files yield other documents
COLUMN = "text"
TEXT_ENDINGS = (".txt", ".text", ".md")


class TextSource(NamedTuple):
    """A file or folder, and the column that holds the text of its records."""

    path: Path
    column: str | None = None


class Record(NamedTuple):
    """One entry of a file of records: where it stands, what stands in the column, and what other columns there are."""

    place: str
    text: object
    columns: Iterable[str]


def text_source(name: str) -> TextSource | None:
    """What the name of a corpus means; None where it is no path, but a data set on the hub.

    Raises:
        FileNotFoundError: it looks like a path, and nothing is there.
    """
    path, (front, _, column) = Path(name).expanduser(), name.rpartition(":")
    if path.exists():
        return TextSource(path)
    if front and column and Path(front).expanduser().exists():
        return TextSource(Path(front).expanduser(), column)
    is_path = name.startswith((".", "~", "/")) or name.partition("@")[0].count("/") > 1
    if is_path or ending(Path(front or name)) in (*TEXT_ENDINGS, *READERS, *TABLES, ".gz"):
        raise FileNotFoundError(f"corpus {name!r}: no such text file or folder (looked at {path.resolve()})")
    return None


def files_of(source: TextSource) -> list[Path]:
    """The files that a source consists of, by name; hidden ones are left out.

    Raises:
        ValueError: a folder without any file of a known ending.
    """
    folder = source.path
    if not folder.is_dir():
        return [folder]
    endings = (*TEXT_ENDINGS, *READERS)
    inside = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if ending(path) in endings}
    files = [inside[name] for name in sorted(inside) if not name.startswith(".") and "/." not in name]
    if not files:
        raise ValueError(f"corpus folder {folder} holds no text; files are known by their ending: {', '.join(endings)}")
    return files


def content_key(source: TextSource) -> dict[str, str]:
    """Everything that decides the documents: content of the files, how they are read, and by which column."""
    files = [(_kind(path), sha256_of_file(path)) for path in files_of(source)]
    kind, text = files[0]
    if source.path.is_dir():
        kind, text = "folder", hashlib.sha256(json.dumps(files).encode()).hexdigest()
    return {"text": text, "kind": kind, "column": source.column or COLUMN, "reading": str(READING_VERSION)}


def read_documents(source: TextSource) -> Iterator[Document]:
    """The documents of a source, in the order of the files.

    Raises:
        ValueError: a file cannot be read (`text_lines`), or a record has no text; names the file and the line.
    """
    for path in files_of(source):
        if reader := READERS.get(_kind(path)):
            yield from _record_documents(path, source.column or COLUMN, reader)
        elif source.path.is_dir():
            yield from whole_documents("".join(text_lines(path)).strip())
        elif source.column is not None:
            raise ValueError(f"corpus {path}:{source.column}: plain text has no columns; leave :{source.column} out")
        else:
            yield from text_documents(text_lines(path))


def documents_of(source: TextSource, key: dict[str, str]) -> Iterator[Document]:
    """The documents of `read_documents`, if the files are those of a `content_key` until the last one is read.

    Raises:
        ValueError: they were changed meanwhile, or as `read_documents`.
    """
    yield from read_documents(source)
    if content_key(source) != key:
        raise ValueError(f"corpus {source.path} was changed while it was read; run again when nothing writes to it")


def _kind(path: Path) -> str:
    return ending(path) if ending(path) in READERS else "text"


def _record_documents(path: Path, column: str, reader: Callable[[Path, str], Iterator[Record]]) -> Iterator[Document]:
    for place, text, columns in reader(path, column):
        if not isinstance(text, str):
            raise ValueError(
                f"{path}, {place}, has no text in column {column!r} but {text!r:.40}; its columns: "
                f"{', '.join(columns) or 'none'}; to read another one: corpus='{path}:COLUMN'"
            )
        try:
            yield from whole_documents(text)
        except UnicodeEncodeError as error:
            raise ValueError(f"{path}, {place}, holds half a character ({error}); drop the record") from error


def _json_records(path: Path, column: str) -> Iterator[Record]:
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DamagedFileError(f"{path}, line {number}, is not JSON ({error}); mend it or drop the line") from error
        if not isinstance(entry, dict):
            raise ValueError(f"{path}, line {number}, is no JSON object but {entry!r:.40}; write one object a line")
        yield Record(f"line {number}", entry.get(column), entry)


def _parquet_records(path: Path, column: str) -> Iterator[Record]:
    import pyarrow.parquet

    row = 0
    with (
        naming_damage(path, "no whole parquet file", "copy or download it again"),
        pyarrow.parquet.ParquetFile(path) as table,
    ):
        columns = table.schema_arrow.names
        if column not in columns:
            yield Record("row 1", None, columns)
        for batch in table.iter_batches(batch_size=256, columns=[column]):
            for text in batch.column(0).to_pylist():
                row += 1
                yield Record(f"row {row}", text, columns)


READERS: dict[str, Callable[[Path, str], Iterator[Record]]] = {
    ".jsonl": _json_records,
    ".ndjson": _json_records,
    ".parquet": _parquet_records,
}
