"""sae-lens 6: its runner of many SAEs in one pass, and its single-SAE runner used as the paper's scripts used it.

Runs in the peers' environment. The SAE is sae-lens's `standard` one (ReLU + L1) with the paper's optimiser,
schedules and clipping; buffer, mixing and language-model batch are the library's defaults, precision is fp32
without autocast, and logging, evaluation and checkpoints are off.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.workload import MODEL_FOLDER, Timing, Workload, read_rows, report, stopwatch

if TYPE_CHECKING:
    from datasets import Dataset
    from sae_lens import StandardTrainingSAEConfig
    from transformer_lens import HookedTransformer

PACKAGES = ("sae-lens", "transformer-lens")
OPTIMISER = {"lr": 1e-3, "adam_beta1": 0.0, "adam_beta2": 0.999, "lr_scheduler_name": "constant"}
QUIET = {"n_checkpoints": 0, "checkpoint_path": None, "prepend_bos": False, "streaming": False}
HOOKED_TRANSFORMER, HUGGING_FACE = "HookedTransformer", "AutoModelForCausalLM"  # sae-lens's names of its model layers
HOOKS = {HOOKED_TRANSFORMER: "blocks.{}.hook_resid_post", HUGGING_FACE: "gpt_neox.layers.{}"}


def hooked_transformer(folder: Path, device: str = "cpu") -> "HookedTransformer":
    """The model of a local folder as a HookedTransformer, folded and centred.

    `HookedTransformer.from_pretrained` knows hub names only; these are its own steps.
    """
    from transformer_lens import HookedTransformer, loading_from_pretrained
    from transformer_lens.config import HookedTransformerConfig  # gone from 4.0 on
    from transformers import AutoModelForCausalLM

    details = loading_from_pretrained.convert_hf_model_config(str(folder)) | {"tokenizer_name": None}
    config = HookedTransformerConfig(**details, device=device)
    weights = AutoModelForCausalLM.from_pretrained(folder)
    model = HookedTransformer(config)
    model.load_and_process_state_dict(loading_from_pretrained.get_pretrained_state_dict(str(folder), config, weights))
    return model.to(device).eval()


def load_model(kind: str, work: Workload, folder: Path) -> Any:
    """The language model as sae-lens runs it, in one of its model layers."""
    if kind == HOOKED_TRANSFORMER:
        return hooked_transformer(folder / MODEL_FOLDER, work.device)
    from sae_lens.load_model import load_model as load

    hooks = [HOOKS[kind].format(layer) for layer in work.layer_indices]
    return load(kind, str(folder / MODEL_FOLDER), work.device, hook_names=hooks)


def rows_as_dataset(folder: Path) -> "Dataset":
    """The rows with the column name that sae-lens looks for."""
    from datasets import Dataset

    return Dataset.from_dict({"tokens": read_rows(folder)})


def sae_config(work: Workload, steps: int) -> "StandardTrainingSAEConfig":
    """The paper's SAE; the L1 warm-up is 5% of the steps."""
    from sae_lens import StandardTrainingSAEConfig

    return StandardTrainingSAEConfig(
        d_in=work.d_model,
        d_sae=work.d_sae,
        device=work.device,
        apply_b_dec_to_input=False,
        l1_coefficient=1.0,
        l1_warm_up_steps=steps // 20,
    )


def shared_settings(work: Workload, tokens: int) -> dict[str, Any]:
    """What both runners are given; the learning rate falls to 0 over the last fifth."""
    from sae_lens import LoggingConfig

    return {
        **OPTIMISER,
        **QUIET,
        "context_size": work.context,
        "training_tokens": tokens,
        "train_batch_size_tokens": work.batch_tokens,
        "lr_decay_steps": tokens // work.batch_tokens // 5,
        "device": work.device,
        "seed": work.seed,
        "logger": LoggingConfig(log_to_wandb=False),
    }


def one_pass(kind: str, work: Workload, folder: Path) -> Timing:
    """MultiSAETrainingRunner: all layers from one forward pass of the language model."""
    from sae_lens.multi_sae_training_runner import MultiSAETrainingRunner, MultiSAETrainingRunnerConfig

    names = [f"L{layer}" for layer in work.layer_indices]
    config = MultiSAETrainingRunnerConfig(
        saes={name: sae_config(work, work.tokens // work.batch_tokens) for name in names},
        hook_names={name: HOOKS[kind].format(layer) for layer, name in enumerate(names)},
        output_path=None,
        **shared_settings(work, work.tokens),
    )
    runner = MultiSAETrainingRunner(
        config, override_dataset=rows_as_dataset(folder), override_model=load_model(kind, work, folder)
    )
    with stopwatch(work.device) as elapsed:
        runner.run()
    settings = f"MultiSAETrainingRunner on {kind}, standard SAE; library defaults for buffer and mixing"
    return Timing(elapsed[0], work.layers * work.tokens, settings, PACKAGES)


def whole_experiment(work: Workload, folder: Path) -> Timing:
    """One LanguageModelSAETrainingRunner a run, as the paper's scripts: every layer, then each transfer.

    Every run is measured, none extrapolated. Only `run()` is timed: the scripts also started a process and loaded
    the model once a run, which is left out on both sides.
    """
    model, rows = load_model(HOOKED_TRANSFORMER, work, folder), rows_as_dataset(folder)
    seconds = {}
    for arm, source_step, tokens in (
        ("scratch", None, work.experiment_tokens),
        ("forward", -1, work.transfer_tokens),
        ("backward", +1, work.transfer_tokens),
    ):
        for layer in work.layer_indices:
            source = None if source_step is None else layer + source_step
            if source is None or source in work.layer_indices:
                start = None if source is None else folder / "sae_lens" / "scratch" / f"L{source}"
                output = folder / "sae_lens" / arm / f"L{layer}"
                seconds[f"{arm} L{layer}"] = single_run(work, tokens, layer, start, output, model, rows)
    sae_tokens = work.layers * work.experiment_tokens + 2 * (work.layers - 1) * work.transfer_tokens
    settings = "LanguageModelSAETrainingRunner on HookedTransformer, one run for each SAE; library defaults for buffer"
    return Timing(sum(seconds.values()), sae_tokens, settings, PACKAGES, {"seconds_by_run": seconds})


def single_run(
    work: Workload, tokens: int, layer: int, start: Path | None, output: Path, model: Any, rows: "Dataset"
) -> float:
    """Seconds of one single-SAE run, from scratch or from the SAE in `start`; the result is saved, as a source."""
    from sae_lens import LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner

    config = LanguageModelSAERunnerConfig(
        sae=sae_config(work, tokens // work.batch_tokens),
        hook_name=HOOKS[HOOKED_TRANSFORMER].format(layer),
        from_pretrained_path=None if start is None else str(start),
        output_path=str(output),
        verbose=False,
        **shared_settings(work, tokens),
    )
    runner = LanguageModelSAETrainingRunner(config, override_dataset=rows, override_model=model)
    with stopwatch(work.device) as elapsed:
        runner.run()
    return elapsed[0]


def one_pass_hooked_transformer(work: Workload, folder: Path) -> Timing:
    """One pass on sae-lens's default model layer, which the paper used."""
    return one_pass(HOOKED_TRANSFORMER, work, folder)


def one_pass_hugging_face(work: Workload, folder: Path) -> Timing:
    """One pass on the bare Hugging Face model, sae-lens's other model layer."""
    return one_pass(HUGGING_FACE, work, folder)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    report(
        {
            "one_pass": one_pass_hooked_transformer,
            "one_pass_hugging_face": one_pass_hugging_face,
            "experiment": whole_experiment,
        }
    )
