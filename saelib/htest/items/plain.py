"""Items of one's own: any JSON lines, CSV or TSV with texts and labels.

In: a file with the columns `text` and `label` (A or B), and `task` and `split` if they are there; or JSON lines as the
authors released them: questions with options, or chat messages, of which the user's is the text and the assistant's the
label. Out: items.

A CSV whose first line has no comma may have semicolons or tabs, as spreadsheets write it. Texts are UTF-8.
Without a column `task` the file's name says it: `rhyme.csv`, `rhyme_train.jsonl`. Without a split in either, the first
25 texts of each label of a task are its shots (dev), though never more than half of them, and the others are asked
(test). The labels of a task take turns as far as they go, so that the first items are of all labels, however the file
is sorted.
"""

import contextlib
import csv
import hashlib
import io
import json
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from saelib.htest.items.item import SPLITS, Item, check_keys, item_of
from saelib.htest.items.official import TEXT_KEYS as AUTHORS_KEYS
from saelib.htest.items.official import label_and_options
from saelib.htest.items.sealed import check_whole, unsealed
from saelib.htest.tasks import LETTERS
from saelib.run.files import path_part, sha256_of_file
from saelib.run.reading import CONTENT_ERRORS

DELIMITERS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
ENDINGS = (*JSON_LINES, *DELIMITERS)
SHOTS = 25  # of each label: what the largest prompt of the paper has
TEXT_KEYS = ("text", *AUTHORS_KEYS)
WRITTEN = {field.name for field in fields(Item)} - {"item_set"}  # earlier releases have another name for it
MARKS = (b"\xff\xfe", b"\xfe\xff")  # of UTF-16


class Row(NamedTuple):
    """What a line says of an item."""

    text: str
    label: str
    options: tuple[str, ...] = LETTERS
    task: str = ""
    split: str = ""


def read_plain(paths: Sequence[Path]) -> list[Item]:
    """The items of some files, as one set that is called by the first file's name and their content.

    A file that `item.write_items` wrote keeps its own sets, seeds, rows and order. A text that stands there more than
    once is asked each time; a warning says so.

    Raises:
        ValueError: a file is no UTF-8, has no such columns, or a line is no item; the message names file and line.
        DamagedFileError: a file that `item.write_items` wrote is not what it wrote.
    """
    content = hashlib.sha256("".join(map(sha256_of_file, paths)).encode()).hexdigest()[:7]
    name = paths[0].stem if len(paths) == 1 else paths[0].absolute().parent.name
    item_set = path_part(f"{_fit_for_a_path(name)}-{content}", "item_set")
    counts: Counter[tuple[str, str]] = Counter()
    items = [item for path in paths for item in _items(path, item_set, counts)]
    check_keys(paths[0] if len(paths) == 1 else paths[0].parent, items)
    _warn_of_repeats(name, [item for item in items if item.item_set == item_set])
    return _in_turns(items, item_set)


def _warn_of_repeats(name: str, items: Sequence[Item]) -> None:
    labels: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for item in items:
        labels[item.task, item.text, item.options].append(item.label)
    if repeated := [key for key, those in labels.items() if len(those) > 1]:
        disputed = sum(len(set(labels[key])) > 1 for key in repeated)
        warnings.warn(
            f"{name}: texts that stand there more than once: {len(repeated)}, with several labels: {disputed} (the "
            f"first is {repeated[0][1]!r:.60}); take out what is too many; `python -m saelib.htest.audit` counts them",
            stacklevel=3,
        )


def _items(path: Path, item_set: str, counts: Counter[tuple[str, str]]) -> Iterator[Item]:
    """The items of one file; `counts` are the rows of each task and split so far."""
    lines = list(_objects(path))
    if not lines:
        raise ValueError(f"{path}: the file holds no items")
    if lines[0][1].keys() >= WRITTEN:
        yield from _written_items(path, lines)
        return
    task, split = _named(path)
    rows = []
    for number, values in lines:
        with _naming(path, number):
            row = _row(values)
            rows.append(row._replace(task=row.task or task, split=row.split or split))
    for (number, _), row, row_split in zip(lines, rows, _splits(rows), strict=True):
        counts[row.task, row_split] += 1
        with _naming(path, number):
            yield Item(row.task, row_split, counts[row.task, row_split], row.text, row.label, row.options, 0, item_set)


def _written_items(path: Path, lines: Sequence[tuple[int, dict[str, Any]]]) -> Iterator[Item]:
    """Items as `item.write_items` writes them, or somebody by hand."""
    seals = []
    for number, values in lines:
        with _naming(path, number):
            plain, seal = unsealed(values)
            seals.append(seal)
            yield item_of(plain)
    check_whole(path, seals)


def _in_turns(items: Sequence[Item], item_set: str) -> list[Item]:
    """The first items of each label of a task and split, then the second ones; those of other sets as they are."""
    seen: Counter[tuple[str, str, str]] = Counter()
    turns = []
    for item in items:
        kind = (item.task, item.split, item.label)
        seen[kind] += item.item_set == item_set
        turns.append(seen[kind])
    return [item for _, item in sorted(zip(turns, items, strict=True), key=lambda pair: pair[0])]


@contextlib.contextmanager
def _naming(path: Path, line: int) -> Iterator[None]:
    """Whatever cannot be read inside is an error that names file and line."""
    try:
        yield
    except CONTENT_ERRORS as error:
        problem = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ValueError(f"{path}, line {line}: {problem}") from error


def _row(values: dict[str, Any]) -> Row:
    if "messages" in values:
        return _checked(Row(*_said(values["messages"])))
    text = next((values[key] for key in TEXT_KEYS if key in values), None)
    if text is None:
        raise ValueError(f"there is no text; name a column {TEXT_KEYS[0]!r} (there are {', '.join(values)})")
    if "correct_options" in values:
        return _checked(Row(text, *label_and_options(values)))
    if values.get("label") is None:
        raise ValueError(f"there is no label; name a column 'label' (there are {', '.join(values)})")
    return _checked(Row(text, values["label"], LETTERS, values.get("task") or "", values.get("split") or ""))


def _said(messages: Any) -> tuple[Any, Any]:
    """What the user says in a chat, and what the assistant answers."""
    if not isinstance(messages, list) or not all(isinstance(message, dict) for message in messages):
        raise TypeError(f"messages={messages!r:.60} should be a list of objects with role and content")
    said = {str(message.get("role")): message.get("content") for message in messages}
    return said["user"], said["assistant"]


def _checked(row: Row) -> Row:
    if not all(isinstance(text, str) for text in (row.text, row.label, *row.options)):
        raise ValueError(
            f"text {row.text!r:.60} and label {row.label!r:.60} should both be texts, the label "
            f"{' or '.join(map(str, row.options))}"
        )
    if not isinstance(row.task, str) or not isinstance(row.split, str):
        raise ValueError(f"task {row.task!r:.60} and split {row.split!r:.60} should both be texts")
    if row.label.strip() not in row.options:
        raise ValueError(f"label {row.label!r} should be {' or '.join(row.options)}; rename the labels of the file")
    return row._replace(label=row.label.strip())


def _splits(rows: Sequence[Row]) -> list[str]:
    """The split of each row: its own, or dev for the first of each task and label that has none."""
    without = Counter((row.task, row.label) for row in rows if not row.split)
    seen: Counter[tuple[str, str]] = Counter()
    splits = []
    for row in rows:
        kind = (row.task, row.label)
        seen[kind] += not row.split
        splits.append(row.split or ("dev" if seen[kind] <= min(SHOTS, without[kind] // 2) else "test"))
    return splits


def _named(path: Path) -> tuple[str, str]:
    """Task and split by a file's name: ("rhyme", "train") for "rhyme_train.jsonl", ("rhyme", "") for "rhyme.csv"."""
    task, _, split = path.stem.rpartition("_")
    return (task, split) if split in SPLITS else (path.stem, "")


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Lines with their numbers, as objects; blank lines are left out."""
    text = _text(path)
    if path.suffix.lower() in DELIMITERS:
        yield from _table_lines(path, text)
        return
    for number, line in enumerate(text.split("\n"), start=1):  # other signs that end a line may stand in a text
        if line.strip():
            with _naming(path, number):
                value = json.loads(line)
                if not isinstance(value, dict):
                    raise ValueError(f"{value!r:.40} is no JSON object with a text and a label")
            yield number, value


def _table_lines(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    usual, header = DELIMITERS[path.suffix.lower()], text.partition("\n")[0]
    delimiter = next((sign for sign in (usual, ";", "\t") if sign in header), usual)  # spreadsheets of many countries
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        if twice := [name for name, count in Counter(reader.fieldnames).items() if name and count > 1]:
            raise ValueError(f"{path}, line 1: more than one column is called {twice[0]!r}; give each its own name")
        for values in reader:
            if None in values:
                raise ValueError(
                    f"{path}, line {reader.line_num}: more fields than columns ({', '.join(reader.fieldnames)}); put "
                    f"a text that holds a {delimiter!r} in double quotes"
                )
            yield reader.line_num, values
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: {error}; write a double quote inside a text twice"
        ) from error


def _text(path: Path) -> str:
    """The content of a UTF-8 file, without its byte order mark."""
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"{path}: items are read from files that end in {', '.join(ENDINGS)}")
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        found = "it looks like UTF-16" if content.startswith(MARKS) else f"byte 0x{content[error.start]:02x} is none"
        raise ValueError(f"{path}, line {line}: the file is not UTF-8 ({found}); save it as UTF-8") from error
    if "\0" in text:
        raise ValueError(f"{path}: the file holds NUL bytes, so it is no text in UTF-8; save it as UTF-8")
    return text


def plain_files(folder: Path) -> list[Path]:
    """Files of a folder that may hold items, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS and path.is_file())


def _fit_for_a_path(name: str) -> str:
    return re.sub(r"[^\w.-]+|^[\W_]+", "-", name).strip("-_.")[:60] or "items"
