"""How a text becomes documents, documents are split, and documents become token ids."""

import numpy as np

from saelib.language.corpus.text import (
    HELD_OUT_SHARE,
    TEXT_DOCUMENT_CHARACTERS,
    Document,
    split_documents,
    text_documents,
    tokenize,
)
from tests.helpers.small_models import small_tokenizer

TOKENIZER = small_tokenizer()


def test_split_depends_on_the_name_alone() -> None:
    documents = [Document(f"folder/module{number}.py", ["text"]) for number in range(4000)]
    splits = split_documents(documents)
    held_out = {document.name for document in splits["held_out"]}
    assert len(splits["train"]) + len(held_out) == len(documents)
    assert 0.7 * HELD_OUT_SHARE < len(held_out) / len(documents) < 1.3 * HELD_OUT_SHARE
    some = [Document(document.name, ["other text"]) for document in documents[::3]]
    assert {document.name for document in split_documents(some)["held_out"]} == held_out & {one.name for one in some}


def test_text_is_cut_at_blank_lines_into_documents_of_some_length() -> None:
    paragraphs = [f"Paragraph {number} " + "x" * 700 for number in range(20)]
    documents = text_documents("\n\n  \n\n".join(paragraphs) + "\n")
    assert [paragraph for document in documents for paragraph in document.paragraphs] == paragraphs
    assert all(len("".join(document.paragraphs)) >= TEXT_DOCUMENT_CHARACTERS for document in documents[:-1])
    assert len(documents) == 4
    assert text_documents(" \n\n ") == []


def test_documents_are_joined_by_the_end_of_text_token() -> None:
    documents = [Document("a", ["ban ted", "king"]), Document("b", ["sor"])]
    first, second = (TOKENIZER(text)["input_ids"] for text in ("ban ted\nking", "sor"))
    end = TOKENIZER.eos_token_id
    assert tokenize(documents, TOKENIZER).tolist() == [*first, end, *second, end]
    assert tokenize([], TOKENIZER).dtype == np.int32
