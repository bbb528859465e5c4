"""What the name of a corpus means on disk, and the documents of records and folders."""

import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from saelib.language.corpus.text_files import TextSource, content_key, documents_of, read_documents, text_source
from saelib.run.reading import DamagedFileError

STORIES = ["First story,\n\nwith two parts.", "Größe: 漢字 🙂", "  ", "Third."]
TOLD = [STORIES[0], STORIES[1], STORIES[3]]


def texts(source: TextSource) -> list[str]:
    return ["\n\n".join(document.paragraphs) for document in read_documents(source)]


def json_lines(column: str = "text") -> bytes:
    lines = [json.dumps({"id": number, column: story}) for number, story in enumerate(STORIES)]
    return "\n".join([*lines[:2], "", *lines[2:]]).encode()


def refused(source: TextSource) -> str:
    with pytest.raises(ValueError) as error:
        list(read_documents(source))
    return str(error.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_a_line_of_json_is_a_document(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for column, source in (("text", TextSource(path)), ("body", TextSource(path, "body"))):
        content = json_lines(column)
        path.write_bytes(gzip.compress(content) if name.endswith("gz") else content)
        assert texts(source) == TOLD


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"body": "x", "id": 3}', "line 5, has no text in column 'text' but None; its columns: body, id; to read"),
        (b'{"text": null}', "line 5, has no text in column 'text' but None; its columns: text; to read"),
        (b'{"text": ["x"]}', "line 5, has no text in column 'text' but ['x']"),
        (b'["x"]', "line 5, is no JSON object but ['x']; write one object a line"),
        (b"7", "line 5, is no JSON object but 7; write one object a line"),
        (b'{"doc": {"text": "x"}}', "line 5, has no text in column 'text' but None; its columns: doc; to read"),
        (b'{"text": "x"', "line 5, is not JSON (Expecting"),
        (b'{"text": "x\\ud83d"}', "line 5, holds half a character"),
        (b'{"text": "\xe9"}', "line 5: byte"),
    ],
)
def test_a_record_without_text_is_named_by_its_line(tmp_path: Path, line: bytes, problem: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "good"}\n' * 2 + b"\n\n" + line + b'\n{"text": "good"}\n')
    assert refused(TextSource(path)).startswith(f"{path}, {problem}")


def test_a_row_of_parquet_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": range(4), "text": STORIES, "body": ["a", "b", "c", "d"]}).to_parquet(path, row_group_size=2)
    assert texts(TextSource(path)) == TOLD
    assert texts(TextSource(path, "body")) == ["a", "b", "c", "d"]
    pd.DataFrame({"text": pd.Categorical(["a", "b", "a"])}).to_parquet(path)
    assert texts(TextSource(path)) == ["a", "b", "a"]


def test_parquet_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"id": [1, 2], "words": ["a", None]}).to_parquet(path)
    assert "row 1, has no text in column 'text' but None; its columns: id, words; to read" in refused(TextSource(path))
    assert f"{path}, row 2, has no text in column 'words' but None" in refused(TextSource(path, "words"))
    assert "row 1, has no text in column 'id' but 1" in refused(TextSource(path, "id"))
    path.write_bytes(path.read_bytes()[:-20])
    assert refused(TextSource(path)).startswith(f"{path} is no whole parquet file")


def test_plain_text_has_no_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    assert "plain text has no columns; leave :body out" in refused(TextSource(tmp_path / "a.txt", "body"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "texts"
    for name, content in {
        "b.txt": b"Second,\r\n\r\nin two parts.\n",
        "a.md": b"\xef\xbb\xbfFirst.",
        "deep/c.txt.gz": gzip.compress(b"Third."),
        "deep/d.jsonl": b'{"text": "Fourth."}\n{"text": "Fifth."}\n',
        "deep/empty.txt": b"",
        ".git/hidden.txt": b"never",
        ".hidden.txt": b"never",
        "picture.png": b"\x89PNG\0",
    }.items():
        (inside / name).parent.mkdir(parents=True, exist_ok=True)
        (inside / name).write_bytes(content)
    return inside


def test_a_file_in_a_folder_is_a_document(folder: Path) -> None:
    assert texts(TextSource(folder)) == ["First.", "Second,\n\nin two parts.", "Third.", "Fourth.", "Fifth."]


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "picture.png").touch()
    with pytest.raises(ValueError, match=f"corpus folder {tmp_path} holds no text; .*ending: .txt, .text, .md, .jsonl"):
        list(read_documents(TextSource(tmp_path)))


def test_names_mean_paths_where_something_is_there_or_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for name in ("a.txt", "plain", "odd.txt:name", "a.jsonl"):
        (tmp_path / name).write_text("{}")
        assert text_source(name) == TextSource(Path(name))
        assert text_source(f"~/{name}") == text_source(str(tmp_path / name)) == TextSource(tmp_path / name)
    assert text_source("~/a.jsonl:body") == TextSource(tmp_path / "a.jsonl", "body")
    assert text_source(".") == TextSource(Path())
    for name in ("NeelNanda/pile-small-tokenized-2b", "wikitext", "owner/name@refs/convert/parquet"):
        assert text_source(name) is None
    for name in ("none.txt", "x/none.jsonl", "none.jsonl:body", "none.csv", "none.txt.gz", "~/none", "./none", "a/b/c"):
        with pytest.raises(FileNotFoundError, match=rf"corpus '{name}': no such text file or folder \(looked at /"):
            text_source(name)


def test_the_key_names_everything_that_decides_the_documents(folder: Path, tmp_path: Path) -> None:
    first = content_key(TextSource(folder))
    assert content_key(TextSource(folder.rename(tmp_path / "moved"))) == first
    folder = tmp_path / "moved"
    (folder / "b.txt").write_text("Another second.")
    second = content_key(TextSource(folder))
    (folder / "deep" / "d.jsonl").rename(folder / "deep" / "d.txt")
    third = content_key(TextSource(folder))
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}')
    as_records, by_column = content_key(TextSource(path)), content_key(TextSource(path, "body"))
    as_text = content_key(TextSource(path.rename(tmp_path / "a.txt")))
    keys = [first, second, third, as_records, by_column, as_text]
    assert len({json.dumps(key) for key in keys}) == len(keys)


def test_files_that_change_while_they_are_read_are_refused(folder: Path) -> None:
    source = TextSource(folder)
    key = content_key(source)
    whole = list(read_documents(source))
    assert list(documents_of(source, key)) == whole
    documents = documents_of(source, key)
    next(documents)
    (folder / "b.txt").write_text("Another second.")
    with pytest.raises(ValueError, match=f"corpus {folder} was changed while it was read; run again when nothing"):
        list(documents)


@pytest.mark.parametrize("damage", ["cut", "empty", "half zero", "no UTF-8"])
def test_damaged_parquet_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.parquet"
    pd.DataFrame({"text": [f"word {number} ä" for number in range(400)]}).to_parquet(path, compression=None)
    content, half = path.read_bytes(), path.stat().st_size // 2
    path.write_bytes(
        {
            "cut": content[:half],
            "empty": b"",
            "half zero": content[:half] + bytes(len(content) - half),
            "no UTF-8": content.replace("ä".encode(), b"\xe4\xe4"),
        }[damage]
    )
    with pytest.raises(DamagedFileError, match=rf"{path} is no whole parquet file \(.+\); copy or download it again"):
        list(read_documents(TextSource(path)))


def test_json_that_is_nested_too_deep_is_named_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n' + "[" * 100_000 + "\n")
    with pytest.raises(DamagedFileError, match=r"a\.jsonl, line 2, is not JSON \(maximum recursion"):
        list(read_documents(TextSource(tmp_path / "a.jsonl")))
