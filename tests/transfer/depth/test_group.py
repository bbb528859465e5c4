"""One SAE for several layers: which vectors it learns from."""

import torch

from saelib.sae.folder import load_sae
from saelib.sae.training.courses import Courses
from saelib.sae.training.plan import SaePlan
from saelib.transfer.experiment import Experiment


def test_each_token_is_read_at_the_next_layer_in_turn() -> None:
    courses = object.__new__(Courses)
    courses.layers = [3, 4, 9]
    activations = torch.arange(15.0).reshape(3, 5, 1)  # layer by layer, token by token
    plan = SaePlan("group", 4, 0, 0, 1e-3, mixed_layers=(3, 9))
    assert courses._stream(activations, plan).flatten().tolist() == [0, 11, 2, 13, 4]
    alone = SaePlan("scratch", 4, 0, 0, 1e-3)
    assert courses._stream(activations, alone).data_ptr() == activations[1].data_ptr()  # no copy
    assert (plan.reads, alone.reads) == ((3, 9), (4,))


def test_a_plan_of_one_layer_is_described_as_before() -> None:
    assert "mixed_layers" not in SaePlan("scratch", 4, 0, 0, 1e-3).described()
    assert SaePlan("group", 4, 0, 0, 1e-3, mixed_layers=(3, 4)).described()["mixed_layers"] == (3, 4)


def test_the_sae_of_a_group_begins_as_the_source_and_is_another_one(deep: Experiment) -> None:
    saes = deep.folder / "saes"
    start, source = (load_sae(saes / arm / "L0" / "seed0" / "0") for arm in ("depth_group", "scratch"))
    assert torch.equal(start.W_enc, source.W_enc)
    ends = [load_sae(saes / arm / "L0" / "seed0" / "2048") for arm in ("depth_group", "scratch")]
    assert not torch.allclose(ends[0].W_enc, ends[1].W_enc, rtol=1e-2)
    assert ends[0].lineage["mixed_layers"] == [0, 1]
