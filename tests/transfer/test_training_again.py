"""An SAE that trained on divided streams is, biases folded once, the one of streams that were divided beforehand."""

from pathlib import Path
from typing import Any

import pytest
import torch

from saelib.transfer.stages import train_phase
from saelib.transfer.training_again import first_budget, trained_again
from tests.transfer.conftest import OpenSmall

PHASE = {"checkpoints": [0, 768, 1024, 2048], "learning_rate": 1e-2}


@pytest.mark.parametrize(
    "changes",
    [{"activation_scale": "norm"}, {"activation_scale": 5.5, "skip_first": 1, "l1_warm_up_share": 0.2}],
)  # fmt: skip
def test_training_again_gives_what_was_kept_and_would_not_with_biases_folded_otherwise(
    open_small: OpenSmall, changes: dict[str, Any], empty_runs: Path
) -> None:
    experiment = open_small(run="again", schedule="wsd", scratch=PHASE, transfer=PHASE, **changes)
    train_phase(experiment, "scratch")
    layer, tokens = experiment.layers[1], first_budget(experiment)
    assert tokens == 1024  # 768 ends no chunk
    again, kept = trained_again(experiment, layer), experiment.sae("scratch", layer, tokens=tokens)
    for (name, mine), weight in zip(again.named_parameters(), kept.parameters(), strict=True):
        assert torch.allclose(mine, weight, rtol=1e-5), name
    scale = experiment.activation_scales[layer]
    for wrong in (kept.fold_scale(scale), kept.unfold_scale(scale)):  # twice, and not at all
        for mine, bias in ((again.b_enc, wrong.b_enc), (again.b_dec, wrong.b_dec)):
            assert (mine - bias).abs().max() > 0.5 * bias.abs().max()  # notebook 11 allows a twentieth
    assert not list(empty_runs.glob("cache/.again-*"))
