"""Stored replies become accuracies, each with the hash of its items and where it comes from."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from saelib.htest.items.item import hash_items, select
from saelib.htest.scoring.readings import KEYS
from saelib.htest.scoring.stored import read_scores, score_study
from saelib.htest.stages import ask
from saelib.htest.study import Study
from saelib.htest.tasks import TASKS
from tests.helpers.small_studies import OTHER, TEST_ITEMS, Listener, items_of_two_sets, respondent, small_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    return small_study(tmp_path, monkeypatch, items_of_two_sets())


def test_all_stored_replies_are_scored_into_one_file(study: Study) -> None:
    ask(study, respondent(Listener(), "always A"), 4)
    ask(study, respondent(Listener(lambda item: item.label), "knows"), 4, ["rhyme"], item_sets=["fresh-2"])
    table = score_study(study)
    stored = pd.read_parquet(study.folder / "htest.parquet")
    assert stored["shuffle_seed"].isna().all()
    pd.testing.assert_frame_equal(*(found.drop(columns="shuffle_seed") for found in (stored, table)), check_dtype=False)
    strict = table[table["reader"] == "strict"].set_index(["model", "item_set", "task"])
    assert strict.index.is_unique
    assert len(strict) == 2 * len(TASKS) + 1
    assert strict.loc["always A", "accuracy"].eq(0.5).all()
    assert strict.loc[("knows", "fresh-2", "rhyme"), "accuracy"] == 1
    assert set(table["items"]) == {TEST_ITEMS}


def test_every_row_says_where_it_comes_from(study: Study) -> None:
    ask(study, respondent(Listener()), 4)
    table = score_study(study)
    assert set(table["config_sha256"]) == {study.config.sha256()}
    assert table["commit"].str.len().gt(0).all()
    assert "torch" in json.loads(table["versions"].iloc[0])
    assert table[[*KEYS, "items_sha256"]].drop(columns="shuffle_seed").notna().all(axis=None)


def test_every_row_has_the_hash_of_the_items_it_was_asked(study: Study) -> None:
    for k, seed in ((0, None), (4, None), (4, 1)):
        ask(study, respondent(Listener()), k, shuffle_seed=seed)
    ask(study, respondent(Listener()), 6, ["rhyme"], limit=2)
    table = score_study(study)
    for line in table.itertuples():
        items = select(study.items, line.task, "test", line.item_set)[: 2 if line.k == 6 else TEST_ITEMS]
        assert line.items_sha256 == hash_items(items)
    full = table[(table["k"] != 6) & (table["reader"] == "strict")]
    assert full.groupby("items_sha256").size().eq(3).all()  # the same items under three conditions, one hash
    assert full["items_sha256"].nunique() == 2 * len(TASKS)
    assert set(table["item_set"]) == {OTHER, "fresh-2"}


def test_released_and_shuffled_shots_are_scored_apart(study: Study) -> None:
    ask(study, respondent(Listener(lambda item: item.label)), 4, ["rhyme"])
    ask(study, respondent(Listener()), 4, ["rhyme"], shuffle_seed=3)
    table = score_study(study)
    strict = table[(table["reader"] == "strict") & (table["item_set"] == OTHER)]
    assert strict["shuffle_seed"].isna().sum() == 1
    assert strict.sort_values("shuffle_seed")["accuracy"].tolist() == [0.5, 1]  # the released order comes last


def test_scoring_again_counts_what_was_asked_since(study: Study) -> None:
    ask(study, respondent(Listener()), 4, ["rhyme"], limit=2)
    assert set(score_study(study)["items"]) == {2}
    ask(study, respondent(Listener()), 4, ["rhyme"])
    assert set(score_study(study)["items"]) == {TEST_ITEMS}
    assert set(pd.read_parquet(study.folder / "htest.parquet")["items"]) == {TEST_ITEMS}


def test_nothing_asked_is_refused(study: Study) -> None:
    with pytest.raises(ValueError, match="there are no replies to read"):
        score_study(study)
    assert not (study.folder / "htest.parquet").exists()


@pytest.mark.parametrize("spoil", [
    lambda path: path.unlink(), lambda path: path.write_bytes(b""),
    lambda path: path.write_bytes(path.read_bytes()[:99]),
    lambda path: path.write_bytes(path.read_bytes().replace(path.read_bytes()[20:60], bytes(40))),
])  # fmt: skip
def test_the_table_is_made_again_where_it_is_not_that_of_the_replies(
    study: Study, spoil: Callable[[Path], object]
) -> None:
    """A process was killed before it was written, or the file was damaged."""
    ask(study, respondent(Listener()), 4, ["rhyme"], limit=2)
    score_study(study)
    path = study.folder / "htest.parquet"
    whole = path.stat().st_mtime_ns
    assert set(read_scores(study)["items"]) == {2} and path.stat().st_mtime_ns == whole
    spoil(path)
    assert set(read_scores(study)["items"]) == {2}
    assert set(pd.read_parquet(path)["items"]) == {2}
    ask(study, respondent(Listener()), 4, ["rhyme"])  # and killed here
    assert set(read_scores(study)["items"]) == {TEST_ITEMS}
