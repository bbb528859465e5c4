"""Warnings fire where SAEs are garbage, name where, and say nothing of sound ones."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from saelib.run.stored import RESULTS
from saelib.transfer.soundness import concerns


def table(**changes: Any) -> pd.DataFrame:
    sound = pd.DataFrame({"arm": ["scratch", "scratch", "forward", "zero_shot"], "act_layer": [0, 1, 1, 1],
                          "tokens": [64, 64, 64, 0], "l0": 20.0, "dead_latents": 0.2, "ce_score": 0.9})  # fmt: skip
    return sound.assign(**changes)


def test_sound_saes_raise_no_concern() -> None:
    assert concerns(table(), 100) == []
    assert concerns(table(ce_score=[0.9, 0.9, 0.9, -3.0]), 100) == []  # untrained there
    start = table().assign(tokens=0, l0=90.0)
    assert concerns(pd.concat([table(), start]), 100) == []  # before training
    assert concerns(table(l0=[20, 20, 51, 20]), None) == []  # of how many features?
    assert concerns(pd.read_parquet(RESULTS / "tiny" / "evaluation.parquet"), 1024) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"l0": [20, 0.4, 20, 20]}, "L0 0.4 in from scratch at layer 1"),
        ({"l0": [20, 20, 51, 20]}, "L0 51 in forward: copy at layer 1"),
        ({"dead_latents": [0.9, 0.2, 0.2, 0.2]}, "share of 0.9 in from scratch at layer 0"),
        ({"ce_score": [0.9, 0.9, -0.5, 0.9]}, "-0.5 in forward: copy at layer 1"),
        ({"ce_score": [0.9, 1.2, 0.9, 0.9]}, "1.2 in from scratch at layer 1"),
        ({"ce_score": [np.nan, 0.9, 0.9, 0.9]}, "nan in from scratch at layer 0"),
    ],
)
def test_garbage_is_named_with_place_value_and_remedy(changes: dict[str, list[float]], said: str) -> None:
    (sentence,) = concerns(table(**changes), 100)
    assert said in sentence
    assert "1 of 3 finished SAEs" in sentence
    assert 'l1_unit="norm"' in sentence
    assert "target_l0=50" in sentence


def test_every_sae_that_diverged_is_named_with_its_step_and_is_no_other_fault() -> None:
    columns = {"sae_layer": [0, 1, 1, 1], "source_layer": [None, None, 0, 0], "seed": 2}
    stopped = table(l0=[np.nan, 20, np.nan, 20], ce_score=[np.nan, 0.9, np.nan, 0.9], **columns).astype(
        {"sae_layer": "Int64", "source_layer": "Int64"}
    )
    stopped["diverged_at_step"] = pd.array([7, None, 0, None], dtype="Int64")
    (sentence,) = concerns(stopped, 100)
    assert "2 of 3 SAEs were stopped" in sentence
    assert "from scratch at layer 0, seed 2 (step 7);" in sentence
    assert "forward: copy at layer 1, seed 2 (step 0, as its source diverged)." in sentence
    first, second = concerns(stopped.assign(dead_latents=0.9), 100)
    assert first == sentence
    assert "1 of 1 finished SAEs" in second
    assert concerns(table(**columns).assign(diverged_at_step=pd.NA), 100) == []


def test_two_sentences_are_enough_however_much_is_wrong() -> None:
    many = pd.concat([table(l0=0.0, ce_score=np.nan, dead_latents=1.0).assign(act_layer=layer) for layer in range(9)])
    sentences = concerns(many.reset_index(drop=True), 100)
    assert len(sentences) == 2
    assert all(len(sentence) < 600 for sentence in sentences)
