"""What may be told of the interpretation, and what is refused."""

import pytest

from saelib.interpret.config import PRESETS, TASKS, InterpretConfig, resolve_interpret_config
from saelib.transfer.presets import PRESETS as TRANSFER_PRESETS
from saelib.transfer.published import D_SAE, published_feature_transfer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": 0}, "features=0"),
        ({"features": 2.5}, "features=2.5"),
        ({"feature_layers": []}, "name at least one layer; None takes all"),
        ({"feature_layers": [3, 1]}, "name each layer once, from the first to the last: [1, 3]"),
        ({"circuit_layers": [1, 1]}, "name each layer once"),
        ({"feature_arms": ["scratch"]}, "['scratch'] are no arms of transfers"),
        ({"feature_arms": ["forward", "forward"]}, "name at least one, and each once"),
        ({"circuit_tasks": ["sums"]}, "circuit_tasks"),
        ({"circuit_tasks": []}, "name at least one, and each once"),
        ({"faithfulness_shares": [0.5, 0.2]}, "name each share once, from the first to the last"),
        ({"completeness_shares": [0.5, 1.0]}, "shares of the features lie above 0 and below 1"),
        ({"dense_share": 0.0}, "dense_share=0.0"),
        ({"ablation": "zero"}, "ablation='zero'"),
        ({"integrated_steps": 0}, "integrated_steps=0"),
        ({"baselines": ["best"]}, "baselines"),
        ({"signed": 1}, "signed=1"),
        ({"featurs": 3}, "did you mean features?"),
    ],
)
def test_what_is_wrong_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        resolve_interpret_config(preset="tiny", **changes)
    assert message in str(refused.value)


def test_the_defaults_are_those_of_tiny() -> None:
    assert PRESETS["tiny"] == InterpretConfig(preset="tiny", run="tiny", seed=0)
    assert resolve_interpret_config(features=None).features is None
    assert resolve_interpret_config(circuit_tasks=[TASKS[0]]).circuit_tasks == (TASKS[0],)


def test_the_papers_own_model_has_the_papers_counts() -> None:
    """K = 123, 246, 368, 492 and 4, 36, 68, 100 of 6144 features; 488 features; 1024 prompts; layers 1 to 10."""
    paper = PRESETS["pythia-160m"]
    d_sae = TRANSFER_PRESETS["pythia-160m"].expansion_factor * 768
    assert d_sae == D_SAE
    assert [round(share * d_sae) for share in paper.faithfulness_shares] == [123, 246, 368, 492]
    assert [round(share * d_sae) for share in paper.completeness_shares] == [4, 36, 68, 100]
    assert (paper.features, paper.circuit_prompts) == (488, 1024)
    assert paper.circuit_layers == tuple(range(1, 11))


def test_every_transfer_of_the_papers_feature_transfer_is_looked_at() -> None:
    """Its layers 1 to 10 are the source's: transfers end at 2 to 11 (forward) and at 0 to 9 (backward)."""
    looked_at = PRESETS["pythia-160m"].feature_layers
    wanted = set(published_feature_transfer()["act_layer"])
    assert wanted == set(range(12))
    assert looked_at is None or wanted <= set(looked_at)


def test_what_may_grow_decides_which_parts_there_are_and_no_number_of_them() -> None:
    assert {*InterpretConfig.GROWS} == {
        f"{what}_{which}" for what in ("feature", "circuit") for which in ("layers", "seeds")
    } | {"feature_arms", "circuit_tasks"}
