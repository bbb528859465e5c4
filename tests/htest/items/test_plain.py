"""Plain files load as items, and what is wrong in them is named by file and line."""

import json
from pathlib import Path

import pytest

from saelib.htest.items.item import Item, write_items
from saelib.htest.items.sources import load_path, official_items

TABLE = 'text,label,task\n"night, kite",A,rhyme\n\n"say ""boo""",B,rhyme\n'


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def facts(items: list[Item]) -> list[tuple[str, str, int, str, str]]:
    return [(item.task, item.split, item.row, item.text, item.label) for item in items]


def test_a_table_with_quotes_commas_blank_lines_and_a_mark_in_front(tmp_path: Path) -> None:
    items = load_path(written(tmp_path, "my items.csv", b"\xef\xbb\xbf" + TABLE.encode()))
    assert facts(items) == [("rhyme", "test", 1, "night, kite", "A"), ("rhyme", "test", 2, 'say "boo"', "B")]
    assert len({item.item_set for item in items}) == 1
    assert items[0].item_set.startswith("my-items-")
    other = load_path(written(tmp_path, "my items.csv", TABLE.replace("kite", "knight")))
    assert other[0].item_set != items[0].item_set


@pytest.mark.parametrize("sign", [";", "\t"])
def test_other_signs_part_the_columns_where_the_first_line_has_no_comma(tmp_path: Path, sign: str) -> None:
    content = 'text|label|task\n"night, kite"|A|rhyme\n"night; day"|B|rhyme\n'.replace("|", sign)
    items = load_path(written(tmp_path, "mine.csv", content))
    assert facts(items) == [("rhyme", "test", 1, "night, kite", "A"), ("rhyme", "test", 2, "night; day", "B")]


def test_tabs_part_the_columns_of_a_tsv(tmp_path: Path) -> None:
    items = load_path(written(tmp_path, "rhyme.tsv", "label\tTEXT\tsplit\nA\tnight, kite\tdev\nB\tnight day\ttest\n"))
    assert facts(items) == [("rhyme", "dev", 1, "night, kite", "A"), ("rhyme", "test", 1, "night day", "B")]


def test_the_train_files_of_the_authors_are_chat_messages(tmp_path: Path) -> None:
    lines = [{"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": label}]}
             for text, label in (("night byte", "A"), ("find ask", "B"), ("night byte", "A"))]  # fmt: skip
    written(tmp_path, "rhyme_train.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    wanted = [("rhyme", "train", 1, "night byte", "A"), ("rhyme", "train", 2, "find ask", "B"),
              ("rhyme", "train", 3, "night byte", "A")]  # fmt: skip
    assert facts(load_path(tmp_path / "rhyme_train.jsonl")) == facts(load_path(tmp_path)) == wanted
    with pytest.raises(ValueError, match="there are no test items"):
        official_items(str(tmp_path))


def test_one_released_file_alone(tmp_path: Path) -> None:
    line = {"question": "Owl sings.", "options": ["A", "B"], "correct_options": [0]}
    items = load_path(written(tmp_path, "start_vowel_test.jsonl", json.dumps(line)))
    assert facts(items) == [("start_vowel", "test", 1, "Owl sings.", "A")]


@pytest.mark.parametrize(("of_each", "dev"), [(1, 0), (10, 5), (50, 25), (200, 25)])
def test_the_first_of_each_label_are_the_shots(tmp_path: Path, of_each: int, dev: int) -> None:
    lines = [json.dumps({"text": f"owl {n}", "label": "AB"[n % 2]}) for n in range(2 * of_each)]
    items = load_path(written(tmp_path, "uppercase.jsonl", "\n".join(lines)))
    shots = [item for item in items if item.split == "dev"]
    assert [item.text for item in shots] == [f"owl {n}" for n in range(2 * dev)]
    assert len({item.key for item in items}) == len(items) == 2 * of_each


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("rhyme.csv", "text,label\nnight kite,yes\n", "line 2: label 'yes' should be A or B"),
        ("rhyme.csv", "text,label\nnight, kite,A\n", "line 2: more fields than columns"),
        ("rhyme.csv", "text,label\nnight kite\n", "line 2: there is no label"),
        ("rhyme.csv", "sentence,label\nnight kite,A\n", "line 2: there is no text; name a column 'text'"),
        ("rhyme.csv", "text,label\n", "holds no items"),
        ("mine.csv", "text,label\nnight kite,A\n", "line 2: task 'mine' is unknown"),
        ("rhyme.csv", "text,label\n ,A\n", "line 2: .*the text is empty"),
        ("rhyme.csv", "text,label\nna\u00efve,A\n".encode("latin-1"), "line 2: the file is not UTF-8"),
        ("rhyme.csv", "text,label\nowl,A\n".encode("utf-16"), "it looks like UTF-16"),
        ("rhyme.txt", "owl", r"end in \.jsonl"),
        ("rhyme.csv", "text,label,text\nowl,A,elk\n", "line 1: more than one column is called 'text'"),
        ("rhyme.csv", "text,label\nnight kite,0\n", "line 2: label '0' should be A or B"),
        ("rhyme.jsonl", '{"text": "a b", "label": 1}', "line 1: text 'a b' and label 1 should both be texts"),
        ("rhyme.jsonl", "[1]\n", "line 1: .* is no JSON object"),
        ("rhyme.jsonl", '\n{"text": 7, "label": "A"}\n', "line 2: text 7 and label 'A' should both be texts"),
        ("rhyme.jsonl", '{"messages": [{"role": "user", "content": "a b"}]}', "line 1: 'assistant' is missing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, name: str, content: str | bytes, problem: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}.*{problem}"):
        load_path(written(tmp_path, name, content))


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "-x", "a\\b", ""])
def test_a_set_that_would_be_kept_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    line = {"task": "rhyme", "split": "test", "row": 1, "text": "a b", "label": "A", "options": ["A", "B"], "seed": 0}
    path = written(tmp_path, "items.jsonl", json.dumps(line | {"version": name}))
    with pytest.raises(ValueError, match=r"items\.jsonl, line 1: item_set="):
        load_path(path)


def test_labels_take_turns_however_the_file_is_sorted(tmp_path: Path) -> None:
    lines = "".join(f"test,{label} {row},{label}\n" for label, count in (("A", 4), ("B", 2)) for row in range(count))
    items = load_path(written(tmp_path, "rhyme.csv", "split,text,label\n" + lines))
    assert [item.text for item in items] == ["A 0", "B 0", "A 1", "B 1", "A 2", "A 3"]
    assert [item.row for item in items] == [1, 5, 2, 6, 3, 4]


def test_written_items_keep_their_order(tmp_path: Path) -> None:
    mine = [Item("rhyme", "test", row, f"text {row}", label, ("A", "B"), 0, "mine") for row, label in enumerate("AABB")]
    write_items(tmp_path / "items.jsonl", mine)
    assert load_path(tmp_path / "items.jsonl") == mine


def test_a_text_that_stands_twice_is_asked_twice_and_said(tmp_path: Path) -> None:
    path = written(tmp_path, "rhyme.csv", "split,text,label\ntest,a b,A\ntest,c d,B\ntest,a b,A\ntest,c d,A\n")
    with pytest.warns(UserWarning, match="rhyme: texts that stand there more than once: 2, with several labels: 1"):
        assert len(load_path(path)) == 4


@pytest.mark.parametrize("line", [
    '{"messages": 3}', '{"messages": [3]}', '{"messages": {"role": "user"}}', '{"messages": [{"role": []}]}',
    '{"question": "x", "options": 3, "correct_options": [0]}',
    '{"question": "x", "options": "AB", "correct_options": 0}',
    '{"question": "x", "options": [1, 2], "correct_options": [0]}',
    '{"question": "x", "options": ["A", "B"], "correct_options": [true]}',
    '{"text": "x", "label": "A", "task": [1]}', '{"text": "x", "label": "A", "task": "rhyme", "split": 3}', "[" * 9999,
    '{"text": "x", "label": "A", "row": NaN',
])  # fmt: skip
def test_json_of_another_shape_is_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(ValueError, match=r"rhyme\.jsonl, line 1: "):
        load_path(written(tmp_path, "rhyme.jsonl", line))
