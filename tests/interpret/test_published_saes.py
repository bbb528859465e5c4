"""What is looked at in SAEs that were fetched: in their own folder, at all layers, out of a hub-shaped cache."""

from collections.abc import Iterator

import numpy as np
import pytest

from saelib.interpret.features.profiles import make_profiles, read_profile
from saelib.interpret.interpretation import Interpretation, open_interpretation
from saelib.interpret.likeness.study import make_likeness
from saelib.interpret.subjects import Subject
from saelib.transfer.stages import train_phase
from tests.helpers.small_releases import papers_hub, released

END, LAST = 500_002_816, 999_997_440
SMALL = {"preset": "pythia-160m", "saes": "published", "context_length": 64, "expansion_factor": 2, "chunk_rows": 64,
         "held_out_rows": 4, "evaluation_batch_rows": 2, "scratch": {"checkpoints": [0, END, LAST]},
         "transfer": {"checkpoints": [0, END]}, "features": 5, "circuit_layers": None}  # fmt: skip


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Interpretation]:
    """Small stand-ins of the model, of the data set and of the released SAEs, fetched; no network."""
    with papers_hub(tmp_path_factory.mktemp("hub")), pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAELIB_RUNS", str(tmp_path_factory.mktemp("runs")))
        interpretation = open_interpretation(**SMALL)
        for phase in ("scratch", "transfer"):
            train_phase(interpretation.experiment, phase)
        yield interpretation


def test_what_is_said_of_them_lies_where_they_do(opened: Interpretation) -> None:
    assert opened.config.run == opened.experiment.config.run == "pythia-160m-published"
    assert opened.folder == opened.experiment.folder
    assert opened.folder.name == "pythia-160m-published"
    named = open_interpretation(**SMALL | {"run": "mine"})
    assert named.folder == named.experiment.folder and named.folder.name == "mine"


def test_their_decoders_are_compared(opened: Interpretation) -> None:
    table = make_likeness(opened)
    assert (opened.folder / "interpret" / "likeness.parquet").is_file()
    mine, theirs = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (released(arm, 2, END).W_dec.detach().double().numpy() for arm in ("forward", "scratch"))
    )
    row = table.query("arm == 'forward' and act_layer == 2 and reference == 'scratch_equal' and measure == 'mmcs'")
    assert row.loc[row["features"] == "all", "value"].item() == pytest.approx((mine @ theirs.T).max(1).mean(), abs=1e-5)
    assert {*table["act_layer"]} == {0, 1, 2}


def test_their_features_have_profiles(opened: Interpretation) -> None:
    make_profiles(opened)
    lineages = opened.lineages()
    assert {(one.arm, one.act_layer) for one in lineages} == {("forward", 1), ("forward", 2), ("backward", 0),
                                                              ("backward", 1)}  # fmt: skip
    profile = read_profile(opened, Subject("backward", 0, 0, 42, END))
    assert profile.features["shown"].sum() >= 5 and profile.contexts["held_out"].all()
