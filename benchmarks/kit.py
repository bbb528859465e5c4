"""This kit: `saelib.sae.training.train.train`, all layers in one pass, and the whole experiment in two.

Runs in the kit's own environment. The settings are those of a run (preset "smoke" with the comparison's sizes):
ReLU + L1 SAE, Adam, clipping, schedules, fp32, and the weights and resume points that a run writes.
"""

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.workload import MODEL_FOLDER, Timing, Workload, read_rows, report, stopwatch
from saelib.language.corpus.rows import ShuffledRows
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.sae.config import TrainingPhase
from saelib.sae.training.plan import PhaseFolders, SaePlan
from saelib.sae.training.train import train
from saelib.transfer.config import ExperimentConfig, resolve_config
from saelib.transfer.plans import scratch_plans, transfer_plans

PACKAGES = ("transformer-lens",)
BATCHES_IN_CHUNK = 2  # 8,192 tokens at the default sizes: what the peers' buffers hold, too


def kit_config(
    work: Workload, folder: Path, scratch_tokens: int, transfer_tokens: int, matmul_precision: str = "highest"
) -> ExperimentConfig:
    """The comparison's sizes as a config of the kit."""
    return resolve_config(
        preset="smoke",
        run="benchmark",
        seed=work.seed,
        sae_seeds=1,
        language_model=str(folder / MODEL_FOLDER),
        context_length=work.context,
        expansion_factor=work.d_sae // work.d_model,
        batch_tokens=work.batch_tokens,
        chunk_rows=BATCHES_IN_CHUNK * work.batch_tokens // work.context,
        scratch={"checkpoints": (0, scratch_tokens)},
        transfer={"checkpoints": (0, transfer_tokens)},
        matmul_precision=matmul_precision,
        device=work.device,
    )


def run_phase(plans: list[SaePlan], phase: TrainingPhase, config: ExperimentConfig, folder: Path, runs: Path) -> float:
    """Seconds of one training phase."""
    model = loaded_model(config)
    rows = ShuffledRows(read_rows(folder), config.seed)
    resume = runs / ("scratch" if phase is config.scratch else "transfer")
    with stopwatch(config.device) as elapsed:
        train(plans, phase, model, rows, config, PhaseFolders(runs / "saes", resume))
    return elapsed[0]


def loaded_model(config: ExperimentConfig) -> LanguageModel:
    """The language model, as every run of the kit loads it."""
    return load_language_model(config.language_model, device=config.device)


def one_pass(work: Workload, folder: Path, matmul_precision: str = "highest") -> Timing:
    """All layers from scratch."""
    config = kit_config(work, folder, work.tokens, work.tokens, matmul_precision)
    plans = scratch_plans(work.layer_indices, config)
    with TemporaryDirectory(dir=folder) as runs:
        seconds = run_phase(plans, config.scratch, config, folder, Path(runs))
    settings = f"train(), one pass; ReLU + L1; matmul_precision={matmul_precision!r}"
    return Timing(seconds, len(plans) * work.tokens, settings, PACKAGES)


def one_pass_medium(work: Workload, folder: Path) -> Timing:
    """All layers from scratch, products of the SAEs rounded to bfloat16 inside where the hardware can."""
    return one_pass(work, folder, "medium")


def whole_experiment(work: Workload, folder: Path, arms: tuple[str, ...] = ("forward", "backward")) -> Timing:
    """All layers from scratch in one pass, then all transfers in a second one."""
    config = kit_config(work, folder, work.experiment_tokens, work.transfer_tokens)
    scratch = scratch_plans(work.layer_indices, config)
    transfers = [plan for plan in transfer_plans(work.layer_indices, config) if plan.arm in arms]
    with TemporaryDirectory(dir=folder) as runs:
        first = run_phase(scratch, config.scratch, config, folder, Path(runs))
        second = run_phase(transfers, config.transfer, config, folder, Path(runs))
    sae_tokens = len(scratch) * work.experiment_tokens + len(transfers) * work.transfer_tokens
    details = {"seconds_by_run": {"scratch": first, "transfer": second}}
    return Timing(first + second, sae_tokens, f"train() twice: scratch, then {' + '.join(arms)}", PACKAGES, details)


if __name__ == "__main__":
    report({"one_pass": one_pass, "one_pass_medium": one_pass_medium, "experiment": whole_experiment})
