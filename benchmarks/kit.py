"""This kit: `saelib.sae.training.train.train`, all layers in one pass, and the whole experiment in two.

Runs in the kit's own environment. The settings are those of a run (preset "smoke" with the comparison's sizes):
ReLU + L1 SAE, Adam, clipping, schedules, fp32, and the weights and resume points that a run writes. What is compiled
at its first use (numba's kernels) is compiled in the untimed warm-up.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from benchmarks.outcome import Trained, outcome
from benchmarks.workload import MODEL_FOLDER, Spent, Timing, Workload, read_rows, report, stopwatch
from saelib.language.corpus.rows import ShuffledRows
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.precision import Precision
from saelib.sae.autoencoder import SparseAutoencoder
from saelib.sae.config import TrainingPhase
from saelib.sae.folder import load_sae
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.train import train
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.plans import scratch_plans, transfer_plans
from saelib.transfer.presets import resolve_config

PACKAGES = ("transformer-lens", "numba")


def kit_config(
    work: Workload, folder: Path, scratch_tokens: int, transfer_tokens: int, precision: Precision = "float32"
) -> ExperimentConfig:
    """The comparison's sizes as a config of the kit."""
    return resolve_config(
        preset="smoke",
        run="benchmark",
        seed=work.seed,
        sae_seeds=work.seeds,
        schedule="paper",
        starts=("copy",),
        language_model=str(folder / MODEL_FOLDER),
        context_length=work.context,
        expansion_factor=work.d_sae // work.d_model,
        batch_tokens=work.batch_tokens,
        chunk_rows=work.chunk_tokens // work.context,
        l1_coefficient=work.l1_coefficient,
        scratch={"checkpoints": (0, scratch_tokens), "learning_rate": work.learning_rate},
        transfer={"checkpoints": (0, transfer_tokens), "learning_rate": work.learning_rate},
        precision=precision,
        device=work.device,
    )


def run_phase(plans: list[SaePlan], phase: TrainingPhase, config: ExperimentConfig, folder: Path, runs: Path) -> Spent:
    """What one training phase needs; all SAEs on one order of the data, as the peers have it."""
    model = loaded_model(config)
    rows = ShuffledRows(read_rows(folder), config.seed)
    plans = [replace(plan, data_seed=config.seed) for plan in plans]
    resume = runs / ("scratch" if phase is config.scratch else "transfer")
    with stopwatch(config.device) as spent:
        train(plans, phase, model, rows, config, PhaseFolders(runs / "saes", resume))
    return spent


def finished(plans: list[SaePlan], tokens: int, runs: Path, device: str) -> list[Trained]:
    """The SAEs of a phase as it left them on disk."""
    folders = PhaseFolders(runs / "saes", runs)
    return [
        trained(load_sae(folders.sae(plan.arm, plan.sae_layer, plan.seed, tokens), device), plan.sae_layer)
        for plan in plans
    ]


def trained(sae: SparseAutoencoder, layer: int) -> Trained:
    """An SAE as the comparison reads it."""

    def read(vectors: Tensor) -> tuple[Tensor, Tensor]:
        features = sae.encode(vectors)
        return features, sae.decode(features)

    return Trained(layer, read)


def loaded_model(config: ExperimentConfig) -> LanguageModel:
    """The language model, as every run of the kit loads it."""
    return load_language_model(config.language_model, device=config.device)


def one_pass(work: Workload, folder: Path, precision: Precision = "float32") -> Timing:
    """All layers from scratch."""
    config = kit_config(work, folder, work.tokens, work.tokens, precision)
    plans = scratch_plans(work.layer_indices, config)
    with TemporaryDirectory(dir=folder) as runs:
        spent = run_phase(plans, config.scratch, config, folder, Path(runs))
        found = outcome(finished(plans, work.tokens, Path(runs), work.device), folder, True, work.device)
    settings = f"train(), one pass; ReLU + L1; precision={precision!r}"
    return Timing(spent, len(plans) * work.tokens, found, settings, PACKAGES)


def one_pass_bfloat16(work: Workload, folder: Path) -> Timing:
    """All layers from scratch, factors of matrix products rounded to bfloat16; on a CPU the language model's only."""
    return one_pass(work, folder, "bfloat16")


def whole_experiment(work: Workload, folder: Path, arms: tuple[str, ...] = ("forward", "backward")) -> Timing:
    """All layers from scratch in one pass, then all transfers in a second one."""
    config = kit_config(work, folder, work.experiment_tokens, work.transfer_tokens)
    scratch = scratch_plans(work.layer_indices, config)
    transfers = [plan for plan in transfer_plans(work.layer_indices, config) if plan.arm in arms]
    with TemporaryDirectory(dir=folder) as runs:
        first = run_phase(scratch, config.scratch, config, folder, Path(runs))
        second = run_phase(transfers, config.transfer, config, folder, Path(runs))
        saes = finished(scratch, work.experiment_tokens, Path(runs), work.device)
        saes += finished(transfers, work.transfer_tokens, Path(runs), work.device)
        found = outcome(saes, folder, True, work.device)
    sae_tokens = len(scratch) * work.experiment_tokens + len(transfers) * work.transfer_tokens
    details = {"seconds_by_run": {"scratch": first.seconds, "transfer": second.seconds}}
    settings = f"train() twice: scratch, then {' + '.join(arms)}"
    return Timing(first + second, sae_tokens, found, settings, PACKAGES, details)


if __name__ == "__main__":
    report({"one_pass": one_pass, "one_pass_bfloat16": one_pass_bfloat16, "experiment": whole_experiment})
