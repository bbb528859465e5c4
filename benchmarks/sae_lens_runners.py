"""sae-lens 6: its runner of many SAEs in one pass, and its single-SAE runner used as the paper's scripts used it.

Runs in the peers' environment. The SAE is sae-lens's `standard` one (ReLU + L1) with the paper's optimiser,
schedules and clipping, and the same lambda, learning rate and batch as every competitor; buffer, mixing and
language-model batch are the library's defaults, precision is fp32 without autocast, and logging, evaluation and
checkpoints are off.
"""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.outcome import Trained, outcome
from benchmarks.workload import MODEL_FOLDER, Spent, Timing, Workload, read_rows, report, stopwatch

if TYPE_CHECKING:
    from datasets import Dataset
    from sae_lens import StandardTrainingSAEConfig
    from torch import Tensor
    from transformer_lens import HookedTransformer

PACKAGES = ("sae-lens", "transformer-lens")
START = "decoder rows of norm 1 at the start"
OPTIMISER = {"adam_beta1": 0.0, "adam_beta2": 0.999, "lr_scheduler_name": "constant"}
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
        decoder_init_norm=1.0,  # the default of 0.1 takes three times as many tokens to reach the kit's L0
        apply_b_dec_to_input=False,
        l1_coefficient=work.l1_coefficient,
        l1_warm_up_steps=steps // 20,
    )


def shared_settings(work: Workload, tokens: int) -> dict[str, Any]:
    """What both runners are given; the learning rate falls to 0 over the last fifth."""
    from sae_lens import LoggingConfig

    return {
        **OPTIMISER,
        **QUIET,
        "lr": work.learning_rate,
        "context_size": work.context,
        "training_tokens": tokens,
        "train_batch_size_tokens": work.batch_tokens,
        "lr_decay_steps": tokens // work.batch_tokens // 5,
        "device": work.device,
        "seed": work.seed,
        "logger": LoggingConfig(log_to_wandb=False),
    }


def one_pass(kind: str, work: Workload, folder: Path, **settings: bool) -> Timing:
    """MultiSAETrainingRunner: all layers from one forward pass of the language model."""
    from sae_lens.multi_sae_training_runner import MultiSAETrainingRunner, MultiSAETrainingRunnerConfig

    names = [f"L{layer}" for layer in work.layer_indices]
    config = MultiSAETrainingRunnerConfig(
        saes={name: sae_config(work, work.tokens // work.batch_tokens) for name in names},
        hook_names={name: HOOKS[kind].format(layer) for layer, name in enumerate(names)},
        output_path=None,
        **shared_settings(work, work.tokens),
        **settings,
    )
    runner = MultiSAETrainingRunner(
        config, override_dataset=rows_as_dataset(folder), override_model=load_model(kind, work, folder)
    )
    with stopwatch(work.device) as spent:
        saes = runner.run()
    finished = [trained(saes[name], layer) for layer, name in enumerate(names)]
    found = outcome(finished, folder, kind == HOOKED_TRANSFORMER, work.device)
    words = f"MultiSAETrainingRunner on {kind}, standard SAE; library defaults for buffer and mixing; {START}"
    return Timing(spent, work.layers * work.tokens, found, words, PACKAGES)


def trained(sae: Any, layer: int) -> Trained:
    """An SAE as the comparison reads it."""

    def read(vectors: "Tensor") -> "tuple[Tensor, Tensor]":
        features = sae.encode(vectors)
        return features, sae.decode(features)

    return Trained(layer, read)


def whole_experiment(work: Workload, folder: Path) -> Timing:
    """One LanguageModelSAETrainingRunner a run, as the paper's scripts: every layer, then each transfer.

    Every run is measured, none extrapolated. Only `run()` is timed: the scripts also started a process and loaded
    the model once a run, which is left out on both sides.
    """
    model, rows = load_model(HOOKED_TRANSFORMER, work, folder), rows_as_dataset(folder)
    spent, seconds, saes = Spent(), {}, []
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
                run, sae = single_run(work, tokens, layer, start, output, model, rows)
                spent, seconds[f"{arm} L{layer}"] = spent + run, run.seconds
                saes.append(sae)
    found = outcome(saes, folder, True, work.device)
    sae_tokens = work.layers * work.experiment_tokens + 2 * (work.layers - 1) * work.transfer_tokens
    words = "LanguageModelSAETrainingRunner on HookedTransformer, one run for each SAE; library defaults for buffer"
    return Timing(spent, sae_tokens, found, f"{words}; {START}", PACKAGES, {"seconds_by_run": seconds})


def single_run(
    work: Workload, tokens: int, layer: int, start: Path | None, output: Path, model: Any, rows: "Dataset"
) -> tuple[Spent, Trained]:
    """One single-SAE run, from scratch or from the SAE in `start`; the result is saved, as a source."""
    from sae_lens import LanguageModelSAERunnerConfig, LanguageModelSAETrainingRunner

    sae = sae_config(work, tokens // work.batch_tokens)
    config = LanguageModelSAERunnerConfig(
        sae=sae,
        hook_name=HOOKS[HOOKED_TRANSFORMER].format(layer),
        output_path=str(output),
        verbose=False,
        **shared_settings(work, tokens),
    )
    copy = None if start is None else copied(start, sae)
    runner = LanguageModelSAETrainingRunner(config, override_dataset=rows, override_model=model, override_sae=copy)
    with stopwatch(work.device) as spent:
        finished = runner.run()
    return spent, trained(finished, layer)


def copied(folder: Path, config: "StandardTrainingSAEConfig") -> Any:
    """The SAE in `folder`, to be trained by `config`.

    `from_pretrained_path` would train it at sae-lens's default lambda of 1: a saved SAE does not carry its own.
    """
    from sae_lens import TrainingSAE

    sae = TrainingSAE.from_dict(config.to_dict())
    sae.load_state_dict(TrainingSAE.load_from_disk(folder, config.device).state_dict())
    return sae


def one_pass_hooked_transformer(work: Workload, folder: Path) -> Timing:
    """One pass on sae-lens's default model layer, which the paper used."""
    return one_pass(HOOKED_TRANSFORMER, work, folder)


def one_pass_autocast(work: Workload, folder: Path) -> Timing:
    """The same with bfloat16 autocast of model and SAEs, for the comparison on a GPU."""
    return one_pass(HUGGING_FACE, work, folder, autocast=True, autocast_lm=True)


def one_pass_hugging_face(work: Workload, folder: Path) -> Timing:
    """One pass on the bare Hugging Face model, sae-lens's other model layer."""
    return one_pass(HUGGING_FACE, work, folder)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    report(
        {
            "one_pass": one_pass_hooked_transformer,
            "one_pass_hugging_face": one_pass_hugging_face,
            "one_pass_autocast": one_pass_autocast,
            "experiment": whole_experiment,
        }
    )
