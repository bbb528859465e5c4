"""Order and hashes of rows, and how a corpus shows itself."""

from dataclasses import replace

import numpy as np
import pytest

from saelib.language.corpus.rows import Corpus, ShuffledRows, begin_with, check_ids, hash_tokens, shared_rows


def test_rows_are_a_pure_function_of_their_position() -> None:
    rows = np.arange(7 * 2, dtype=np.int32).reshape(7, 2)
    used = ShuffledRows(rows, seed=3)
    whole = used.take(0, 21)
    for start, count in [(5, 4), (0, 1), (13, 8), (6, 2), (20, 1), (4, 0)]:
        assert np.array_equal(used.take(start, count), whole[start : start + count])
        assert np.array_equal(ShuffledRows(rows, seed=3).take(start, count), whole[start : start + count])
    epochs = whole.reshape(3, 7, 2)
    assert all(np.array_equal(np.sort(epoch, axis=0), rows) for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(ShuffledRows(rows, seed=4).take(0, 21), whole)


def test_hash_covers_names_shapes_and_values() -> None:
    ids = np.arange(6, dtype=np.int32)
    reference = hash_tokens({"train": ids})
    assert hash_tokens({"train": ids.astype(">i4")}) == hash_tokens({"train": ids.astype(np.int64)}) == reference
    different: list[dict[str, np.ndarray]] = [
        {"held_out": ids},
        {"train": ids.reshape(2, 3)},
        {"train": ids[::-1]},
        {"train": ids, "more": ids},
    ]
    assert len({reference, *(hash_tokens(arrays) for arrays in different)}) == 5


def test_shared_rows() -> None:
    rows = np.arange(12, dtype=np.int32).reshape(3, 4)
    assert shared_rows(rows, rows[1:]) == 2
    assert shared_rows(rows, np.concatenate([rows, rows])) == 3
    assert shared_rows(rows, rows + 1) == 0


def test_a_corpus_shows_itself_in_one_line() -> None:
    rows = np.zeros((5, 16), np.int32)
    corpus = Corpus("mine.txt", ShuffledRows(rows, seed=0), rows[:3], 1_234_560, "0123456789abcdef", {})
    wanted = "Corpus('mine.txt', 1,234,560 training tokens, 3 held-out rows x 16, sha256 0123456789ab)"
    assert repr(corpus) == wanted
    assert repr(replace(corpus, train_tokens=None)) == wanted.replace("1,234,560 training tokens", "stream")


def test_training_rows_in_another_order_are_the_same_rows() -> None:
    rows = np.arange(14, dtype=np.int32).reshape(7, 2)
    corpus = Corpus("mine.txt", ShuffledRows(rows, seed=0), rows[:3], 14, "0123", {})
    other = corpus.in_order(5)
    assert isinstance(other, ShuffledRows) and other.rows is rows  # no second copy in memory
    assert np.array_equal(other.take(0, 9), ShuffledRows(rows, seed=5).take(0, 9))
    stream = replace(corpus, train=type("Stream", (), {"take": lambda self, start, count: rows[:count]})())
    assert stream.in_order(5) is stream.train


def test_rows_begin_with_what_they_are_told_to() -> None:
    rows = np.array([[7, 1, 2], [3, 4, 5], [3, 7, 1]], np.int32)
    assert begin_with(rows, [7]).tolist() == [[7, 1, 2], [7, 3, 4], [7, 3, 7]]
    assert begin_with(rows, [7, 1]).tolist() == [[7, 1, 2], [7, 1, 3], [7, 1, 3]]
    assert rows.tolist() == [[7, 1, 2], [3, 4, 5], [3, 7, 1]]


def test_ids_that_the_model_does_not_know_are_refused() -> None:
    check_ids(np.array([0, 9]), 10, "the text", "go on")
    check_ids(np.array([], np.int64), 10, "the text", "go on")
    for wrong in (10, -1, 2**32):
        with pytest.raises(ValueError, match=f"the text holds token id {wrong}, the model knows 10 ids; stop here"):
            check_ids(np.array([0, wrong, 9]), 10, "the text", "stop here")
