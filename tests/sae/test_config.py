"""What a training reads is checked where it stands, whatever experiment it is for."""

from typing import Any

import pytest

from saelib.run.config import checked
from saelib.sae.config import TrainingConfig, TrainingPhase

NEEDED: dict[str, Any] = {"context_length": 64, "chunk_rows": 64}


def test_defaults_are_the_papers() -> None:
    config = TrainingConfig(**NEEDED)
    assert (config.batch_tokens, config.expansion_factor, config.l1_coefficient) == (4096, 8, 1.0)
    assert (config.adam_betas, config.gradient_clip) == ((0.0, 0.999), 1.0)
    assert (config.l1_warm_up_share, config.learning_rate_decay_share) == (0.05, 0.2)
    assert (config.precision, config.schedule) == ("float32", "paper")
    assert config.chunk_tokens == 4096


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"adam_betas": [0.0]}, "adam_betas=[0.0]: entry 2 is missing"),
        ({"adam_betas": [0.0, 0.9, 0.999]}, "adam_betas=[0.0, 0.9, 0.999]: should have 2 entries"),
        ({"adam_betas": [5.0, -1.0]},
         "adam_betas=[5.0, -1.0]: entry 1 should be below 1\n"
         "adam_betas=[5.0, -1.0]: entry 2 should be at least 0"),
        ({"adam_betas": [0.9, 1.0]}, "adam_betas=[0.9, 1.0]: entry 2 should be below 1"),
        ({"adam_betas": ["a", 0.5]}, "adam_betas=['a', 0.5]: entry 1 should be a number"),
        ({"adam_betas": 0.9}, "adam_betas=0.9: should be a list"),
        ({"adam_betas": {"a": [1]}}, "adam_betas={'a': [1]}: should be a list"),
        ({"precision": "low"}, "precision='low': should be 'float32', 'tf32' or 'bfloat16'"),
        ({"l1_warm_up_share": 2.0}, "l1_warm_up_share=2.0: should be at most 1"),
        ({"learning_rate_decay_share": -0.1}, "learning_rate_decay_share=-0.1: should be at least 0"),
        ({"gradient_clip": 0.0}, "gradient_clip=0.0: should be above 0"),
        ({"l1_coefficient": -1}, "l1_coefficient=-1: should be at least 0"),
        ({"l1_coefficient": float("nan")}, "l1_coefficient=nan: should be a finite number"),
        ({"expansion_factor": 0}, "expansion_factor=0: should be at least 1"),
        ({"batch_tokens": 1000}, "batch_tokens=1000 does not divide a chunk of chunk_rows=64 x context_length=64 = "
                                 "4096 tokens; 512 does"),
    ],
)  # fmt: skip
def test_mistakes_are_named(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as refused:
        checked(TrainingConfig, NEEDED | values)
    assert str(refused.value) == message


@pytest.mark.parametrize("checkpoints", [[], [0], [5], [5, 10], [0, 10, 10], [0, 20, 10], [0, -10]])
def test_checkpoints_start_at_0_and_rise(checkpoints: list[int]) -> None:
    with pytest.raises(ValueError, match="must start at 0 and rise, with the end of training as the last"):
        checked(TrainingPhase, {"checkpoints": checkpoints, "learning_rate": 1e-3})


def test_the_last_checkpoint_is_the_end_of_training() -> None:
    assert TrainingPhase(checkpoints=(0, 64, 256), learning_rate=1e-3).tokens == 256


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), "fast", True])
def test_a_learning_rate_is_a_positive_number(rate: Any) -> None:
    with pytest.raises(ValueError, match="^learning_rate="):
        checked(TrainingPhase, {"checkpoints": [0, 64], "learning_rate": rate})


def test_checkpoints_inside_a_chunk_are_refused_phase_by_phase() -> None:
    config = TrainingConfig(**NEEDED)
    config.check_phases(first=TrainingPhase(checkpoints=(0, 4096, 8192), learning_rate=1e-3))
    phases = {name: TrainingPhase(checkpoints=(0, tokens, 8192), learning_rate=1e-3)
              for name, tokens in (("first", 100), ("second", 4096), ("third", 4097))}  # fmt: skip
    with pytest.raises(ValueError) as refused:
        config.check_phases(**phases)
    assert str(refused.value).splitlines() == [
        "first.checkpoints: [100] are no multiples of a chunk's 4096 tokens; the nearest: [4096]",
        "third.checkpoints: [4097] are no multiples of a chunk's 4096 tokens; the nearest: [4096]",
    ]


def test_branches_may_end_inside_a_chunk_but_not_before_lambda_is_warm() -> None:
    config = TrainingConfig(**NEEDED, batch_tokens=512, schedule="wsd")
    config.check_phases(first=TrainingPhase(checkpoints=(0, 512, 4608, 8192), learning_rate=1e-3))
    with pytest.raises(ValueError) as refused:
        config.check_phases(first=TrainingPhase(checkpoints=(0, 500, 8192), learning_rate=1e-3),
                            second=TrainingPhase(checkpoints=(0, 512, 12288), learning_rate=1e-3),
                            third=TrainingPhase(checkpoints=(0, 4096, 4608), learning_rate=1e-3))  # fmt: skip
    assert str(refused.value).splitlines() == [
        "first.checkpoints: [500] are no multiples of a batch's 512 tokens; the nearest: [512]",
        "first.checkpoints: the first, 500, begins its decay before lambda has grown to its full size, at 409 tokens; "
        "leave it out, or set l1_warm_up_share to 0.048 at most",
        "second.checkpoints: the first, 512, begins its decay before lambda has grown to its full size, at 614 tokens; "
        "leave it out, or set l1_warm_up_share to 0.033 at most",
        "third.checkpoints: [4608] are no multiples of a chunk's 4096 tokens; the nearest: [4096]",
    ]
