"""A file with any bytes is a corpus, or refused by its name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saelib.language.corpus.load import load_corpus
from tests.helpers.small_models import small_tokenizer
from tests.properties.strategies import damaged, json_values, model_texts

PROSE = "\n\n".join(f"Paragraph {number} tells of {number * 7} small things." for number in range(400)).encode()
contents = (
    st.binary(max_size=400)
    | damaged(PROSE)
    | st.lists(model_texts, max_size=30).map(lambda texts: "\n\n".join(texts).encode("utf-8", "surrogatepass"))
    | st.lists(json_values, max_size=5).map(
        lambda values: "\n".join(map(repr, values)).encode("utf-8", "surrogatepass")
    )
)


@pytest.mark.parametrize("ending", ["txt", "md", "jsonl", "json", "parquet"])
@given(content=contents)
def test_a_text_file_is_a_corpus_or_refused_by_its_name(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"text.{ending}"
    path.write_bytes(content)
    try:
        corpus = load_corpus(str(path), small_tokenizer(), context_length=16, held_out_rows=2, seed=0)
    except ValueError as error:
        assert type(error).__name__ in ("ValueError", "DamagedFileError")
        assert path.name in str(error)
    else:
        assert len(corpus.held_out) == 2
        assert corpus.train_tokens is not None
        assert corpus.train_tokens >= 16
