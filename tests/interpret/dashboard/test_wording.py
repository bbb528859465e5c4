"""Tables for readers: names in words, arms in their order, each row of features with a link to its card."""

import re

import numpy as np
import pandas as pd

from saelib.interpret.dashboard.wording import COMPARISONS, cards_table, fates_table, likeness_table, transfer_table
from saelib.interpret.likeness.transfer_study import COMPARISONS as COMPARED
from tests.helpers.made_cards import made_cards

INTERVAL = {"mean": 0.25, "low": 0.2, "high": 0.3, "count": 3}


def test_arms_and_references_are_in_order_and_in_words() -> None:
    pairs = [("scratch", "scratch_other"), ("backward", "scratch_end"), ("forward", "scratch_end"),
             ("forward", "scratch_equal"), ("random", "scratch_end")]  # fmt: skip
    lines = [{"arm": arm, "reference": reference, "measure": measure} | INTERVAL
             for arm, reference in pairs for measure in ("one_to_one", "mmcs", "kept")]  # fmt: skip
    lines[6]["mean"] = lines[7]["mean"] = 0.26  # of forward with finished scratch
    table = likeness_table(pd.DataFrame(lines))
    assert list(table.columns) == ["arm", "compared with", "nearest row (MMCS)", "one to one"]
    assert table[["arm", "compared with"]].to_numpy().tolist() == [
        ["forward: copy", "scratch, as many tokens"],
        ["forward: copy", "finished scratch"],
        ["backward: copy", "finished scratch"],
        ["from scratch", "scratch of another replicate"],
    ]
    assert set(table["one to one"]) == {"0.250 (0.200 to 0.300)", "0.260 (0.200 to 0.300)"}


def test_finished_scratch_is_not_said_twice() -> None:
    lines = [{"arm": arm, "reference": reference, "measure": "mmcs"} | INTERVAL
             for arm, reference in (("forward", "scratch_equal"), ("forward", "scratch_end"),
                                    ("backward", "scratch_end"))]  # fmt: skip
    table = likeness_table(pd.DataFrame(lines))
    assert table["compared with"].tolist() == ["scratch, as many tokens", "finished scratch"]
    assert table["arm"].tolist() == ["forward: copy", "backward: copy"]


def test_shares_are_percents() -> None:
    lines = [{"arm": "forward", "reference": "source", "measure": measure} | INTERVAL
             for measure in ("kept", "by_index_median", "own_is_nearest")]  # fmt: skip
    (line,) = fates_table(pd.DataFrame(lines)).to_dict("records")
    assert line == {
        "arm": "forward: copy", "compared with": "its source", "kept": "25% (20% to 30%)",
        "median cosine": "0.250 (0.200 to 0.300)", "nearest to its own": "25% (20% to 30%)",
    }  # fmt: skip


def test_every_comparison_that_is_made_has_words() -> None:
    assert set(COMPARED) <= set(COMPARISONS)


def test_a_comparison_without_a_number_is_a_dash() -> None:
    alone = INTERVAL | {"low": np.nan, "high": np.nan}
    table = transfer_table(pd.DataFrame([
        {"arm": "forward", "comparison": "same_index"} | alone,
        {"arm": "forward_affine", "comparison": "other_feature"} | INTERVAL,
        {"arm": "forward", "comparison": "of another kind"} | INTERVAL,
    ]))  # fmt: skip
    assert table.to_dict("records") == [
        {"arm": "forward: copy", "same index": "25%", "another feature (null)": "-"},
        {"arm": "forward: affine map", "same index": "-", "another feature (null)": "25% (20% to 30%)"},
    ]


def test_every_row_leads_to_its_card() -> None:
    cards = made_cards(3)
    written = cards_table(cards)
    links = re.findall(r"^\| \[(\d+)\]\(\.\./interpret/dashboard\.html#(feature-\d+)\)", written, re.MULTILINE)
    assert links == [(str(card.feature), card.anchor) for card in cards]
    assert len(written.splitlines()) == 2 + len(cards)
