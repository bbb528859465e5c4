"""What is looked at on a GPU is what the CPU shows: SAEs, maps, decoders, features and attributions, end to end."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from saelib.interpret.circuits import asking, study
from saelib.interpret.circuits.facts import Questions
from saelib.interpret.interpretation import Interpretation
from saelib.interpret.likeness.study import make_likeness
from saelib.interpret.likeness.transfer_study import make_feature_transfer
from tests.helpers.small_interpretations import trained_interpretation

pytestmark = pytest.mark.cuda
SUBJECT = ["arm", "act_layer", "seed", "tokens"]


@pytest.fixture(scope="module")
def both(random_model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Interpretation]:
    text = tmp_path_factory.mktemp("both") / "prose.txt"
    return [trained_interpretation(text, random_model_folder, run=name, device=device, facts=5)
            for name, device in {"on_cpu": "cpu", "on_gpu": "cuda"}.items()]  # fmt: skip


def beside(tables: list[pd.DataFrame], keys: list[str], value: str) -> tuple[np.ndarray, np.ndarray]:
    ours, theirs = (table.set_index(keys)[value].sort_index() for table in tables)
    assert ours.index.equals(theirs.index)
    return ours.to_numpy(float), theirs.to_numpy(float)


def test_decoders_are_as_alike(both: list[Interpretation]) -> None:
    tables = [make_likeness(one) for one in both]
    ours, theirs = beside(tables, [*SUBJECT, "reference", "measure", "features"], "value")
    assert np.allclose(theirs, ours, atol=0.02, equal_nan=True)


def test_features_share_as_many_tokens(both: list[Interpretation]) -> None:
    shares = []
    for table in map(make_feature_transfer, both):
        table["share"] = table[["shared_top", "shared_bottom", "shared_maximal"]].sum(axis=1) / table["out_of"]
        shares.append(table.groupby(["arm", "act_layer", "comparison"], as_index=False)["share"].mean())
    ours, theirs = beside(shares, ["arm", "act_layer", "comparison"], "share")
    assert np.allclose(theirs, ours, atol=0.05)


def test_attributions_are_the_same(both: list[Interpretation], monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    prompts = tuple(tuple(random.integers(300, size=length).tolist()) for length in (9, 7, 9, 8, 7))
    known = Questions("facts", prompts, np.arange(5), np.arange(5) + 10, 1.0, 8)
    monkeypatch.setattr(asking, "questions_for", lambda *arguments: known)
    tables = [study.run_attribution(one) for one in both]
    ours, theirs = beside(tables, [*SUBJECT, "prompt"], "score")
    assert np.allclose(theirs, ours, rtol=0.05, atol=1e-3)
