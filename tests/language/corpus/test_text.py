"""How a text becomes documents, and documents are split."""

import pytest

from saelib.language.corpus.text import (
    HELD_OUT_SHARE,
    LONGEST_DOCUMENT,
    LONGEST_PARAGRAPH,
    TEXT_DOCUMENT_CHARACTERS,
    Document,
    split_of,
    text_documents,
    whole_documents,
)


def documents_of(text: str) -> list[Document]:
    return list(text_documents(text.splitlines(keepends=True)))


def test_split_depends_on_the_name_alone() -> None:
    documents = [Document(f"folder/module{number}.py", ["text"]) for number in range(4000)]
    assert {split_of(document) for document in documents} == {"train", "held_out"}
    held_out = {document.name for document in documents if split_of(document) == "held_out"}
    assert 0.7 * HELD_OUT_SHARE < len(held_out) / len(documents) < 1.3 * HELD_OUT_SHARE
    some = [Document(document.name, ["other text"]) for document in documents[::3]]
    assert {document.name for document in some if split_of(document) == "held_out"} == held_out & {
        one.name for one in some
    }


def test_text_is_cut_at_blank_lines_into_documents_of_some_length() -> None:
    paragraphs = [f"Paragraph {number}\nof two lines " + "x" * 700 for number in range(20)]
    documents = documents_of("\n\n  \n\n".join(paragraphs) + "\n")
    assert [paragraph for document in documents for paragraph in document.paragraphs] == paragraphs
    assert all(len("".join(document.paragraphs)) >= TEXT_DOCUMENT_CHARACTERS for document in documents[:-1])
    assert len(documents) == 4
    assert documents_of(" \n\n ") == documents_of("") == []


def test_a_line_of_blanks_is_a_blank_line() -> None:
    assert documents_of("one\n \t\ntwo\nlines\n\n")[0].paragraphs == ["one", "two\nlines"]


SENTENCE = "Some words that end here. "  # 26 characters


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("A line of verse\n" * 2000, "verse"),
        (SENTENCE * 2000, "here."),
        ("这里有一些字。" * 4000, "。"),
        ("word " * 8000, "word"),
        ("x" * 40_000, "x"),
    ],
)
def test_a_text_without_blank_lines_is_cut_by_length_at_the_best_place(text: str, end: str) -> None:
    documents = documents_of(text)
    pieces = [paragraph for document in documents for paragraph in document.paragraphs]
    assert "".join("".join(pieces).split()) == "".join(text.split())  # nothing is lost, nothing comes twice
    assert len(documents) == len(pieces) > 5
    assert all(TEXT_DOCUMENT_CHARACTERS - 1 <= len(piece) <= LONGEST_PARAGRAPH for piece in pieces[:-1])
    assert all(piece.endswith(end) for piece in pieces)
    assert len(set(text)) == 1 or len({document.name for document in documents}) > 1


def test_where_a_text_is_cut_does_not_depend_on_how_it_is_read() -> None:
    text = SENTENCE * 700 + "\n" + "verse without an end\n" * 400
    assert list(text_documents([text])) == documents_of(text)  # one string, line by line


def test_a_long_paragraph_is_whole_while_it_fits() -> None:
    fits = "y" * LONGEST_PARAGRAPH
    assert documents_of(f"short\n\n{fits}\n\nlast")[0].paragraphs == ["short", fits]
    assert documents_of(f"short\n\n{fits}\n\nlast")[1].paragraphs == ["last"]


def test_a_record_is_one_document_unless_it_is_very_long() -> None:
    assert [document.paragraphs for document in whole_documents(" one\n\ntwo ")] == [[" one\n\ntwo "]]
    assert list(whole_documents(" \n ")) == []
    book = list(whole_documents(SENTENCE * (2 * LONGEST_DOCUMENT // len(SENTENCE))))
    assert len(book) > 20 and max(len(paragraph) for part in book for paragraph in part.paragraphs) < 5001
    assert len(list(whole_documents("x" * LONGEST_DOCUMENT))) == 1
