"""What rows begin with: what was put in front of them, and none of their text."""

import numpy as np
import pytest

from saelib.language.corpus.beginning import row_beginning
from saelib.language.corpus.rows import Corpus, ShuffledRows
from tests.helpers.small_models import small_tokenizer


@pytest.mark.parametrize(
    ("sink", "prepend_bos", "expected"), [(None, False, []), (None, True, [0]), (7, False, [7]), (7, True, [7, 0]),
                                          (0, True, [0])]
)  # fmt: skip
@pytest.mark.parametrize("row_count", [1, 2])
def test_rows_begin_with_the_sink_token_then_bos_and_no_text(
    sink: int | None, prepend_bos: bool, expected: list[int], row_count: int
) -> None:
    rows = np.array([[*expected, 9, 9]] * row_count, np.int32)  # all rows begin with the same text, too
    corpus = Corpus("text", ShuffledRows(rows, 0), rows, 3, "", {}, prepend_bos, None if sink is None else "first")
    assert row_beginning(corpus, small_tokenizer()) == expected  # 0 is the tokenizer's BOS
