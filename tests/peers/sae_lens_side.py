"""What sae-lens says about SAEs and vectors that the kit wrote; runs in the peers' environment (sae-lens 6).

In: an exchange folder with `model/`, `rows.safetensors` (rows), `vectors.safetensors` (vectors) and `ours/`, an SAE
folder of the kit; in the hub's cache the same SAE, pushed. Out, in the same folder: `theirs.safetensors`,
`theirs.json`, `theirs/<name>/`, SAE folders that sae-lens saved or reads as its older versions wrote them, and
`refused/<name>/`, of other architectures.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.sae_lens_runners import hooked_transformer, rows_as_dataset

LAYER = 1  # whose vectors they are
PUSHED, PLACE = "me/saes", "forward/L1/seed0"  # the same SAE as others get it from the hub
TRAINED = {"subtracting": True, "plain": False}  # saved SAEs by whether b_dec is subtracted from the input


def standard_sae(d_model: int, d_sae: int, subtracting: bool) -> Any:
    """A training SAE of sae-lens with every parameter away from its start, as after training."""
    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig

    torch.manual_seed(1)
    sae = StandardTrainingSAE(StandardTrainingSAEConfig(d_model, d_sae, apply_b_dec_to_input=subtracting))
    for parameter in sae.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    sae.cfg.metadata.hook_name, sae.cfg.metadata.model_name = f"blocks.{LAYER}.hook_resid_post", "random"
    return sae


OLD: dict[str, dict[str, Any]] = {
    "version 3": {"architecture": "standard", "hook_name": f"blocks.{LAYER}.hook_resid_post", "hook_layer": LAYER,
                  "hook_head_index": None, "activation_fn_str": "relu", "activation_fn_kwargs": {},
                  "dtype": "torch.float32",
                  "finetuning_scaling_factor": False, "normalize_activations": "none", "apply_b_dec_to_input": False,
                  "prepend_bos": True, "context_size": 32, "model_name": "random"},
    "version 2": {"hook_point": f"blocks.{LAYER + 1}.hook_resid_pre", "hook_point_layer": LAYER + 1, "dtype": "float16",
                  "hook_point_head_index": None, "activation_fn": "relu", "normalize_activations": False},
    "authors": {"architecture": "jumprelu", "hook_name": f"blocks.{LAYER}.hook_resid_post", "hook_layer": LAYER,
                "activation_fn_str": "relu", "dtype": "bfloat16", "apply_b_dec_to_input": False},
}  # fmt: skip
"""Configs as versions of sae-lens before 6 wrote them; what one lacks has the default that sae-lens gives it."""


def save_old_saes(folder: Path, d_model: int, d_sae: int) -> None:
    """SAE folders with the configs `OLD`; their weights are as exact as the config's dtype."""
    from sae_lens.util import str_to_dtype

    for name, config in OLD.items():
        weights = dict(standard_sae(d_model, d_sae, subtracting=False).state_dict())
        if config.get("architecture") == "jumprelu":
            weights["threshold"] = torch.zeros(d_sae)
        (folder / name).mkdir(parents=True)
        exact = {key: weight.to(str_to_dtype(config["dtype"])) for key, weight in weights.items()}
        save_file(exact, folder / name / "sae_weights.safetensors")
        (folder / name / "cfg.json").write_text(json.dumps({"d_in": d_model, "d_sae": d_sae} | config))


def save_other_saes(folder: Path, d_model: int, d_sae: int) -> None:
    """SAE folders of architectures that the kit has not."""
    import sae_lens

    made = {
        "topk": sae_lens.TopKSAE(sae_lens.TopKSAEConfig(k=4, d_in=d_model, d_sae=d_sae)),
        "jumprelu": sae_lens.JumpReLUSAE(sae_lens.JumpReLUSAEConfig(d_in=d_model, d_sae=d_sae)),
        "gated": sae_lens.GatedSAE(sae_lens.GatedSAEConfig(d_in=d_model, d_sae=d_sae)),
        "transcoder": sae_lens.Transcoder(sae_lens.TranscoderConfig(
            d_in=d_model, d_sae=d_sae, d_out=d_model, apply_b_dec_to_input=False)),
        "batchtopk": sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(k=4, d_in=d_model, d_sae=d_sae)),
        "layer_norm": sae_lens.StandardSAE(sae_lens.StandardSAEConfig(
            d_in=d_model, d_sae=d_sae, normalize_activations="layer_norm")),
    }  # fmt: skip
    made["jumprelu"].threshold.data += 0.5
    made["batchtopk"].topk_threshold += 0.25  # saved as the threshold of a jumprelu
    for name, sae in made.items():
        save = sae.save_inference_model if isinstance(sae, sae_lens.TrainingSAE) else sae.save_model
        save(folder / name)


def evaluation(sae: Any, folder: Path) -> dict[str, float]:
    """sae-lens's own evaluation of the SAE on all rows at once, as plain numbers."""
    from sae_lens import ActivationsStore
    from sae_lens.evals import EvalConfig, run_evals
    from sae_lens.training.activation_scaler import ActivationScaler

    model, rows = hooked_transformer(folder / "model"), rows_as_dataset(folder)
    store = ActivationsStore.from_sae(model, sae, rows, streaming=False, store_batch_size_prompts=len(rows))
    config = EvalConfig(
        n_eval_reconstruction_batches=1,
        n_eval_sparsity_variance_batches=1,
        compute_ce_loss=True,
        compute_sparsity_metrics=True,
        compute_variance_metrics=True,
    )
    metrics, _ = run_evals(sae, store, model, ActivationScaler(), config, exclude_special_tokens=False)
    return {name: value for group in metrics.values() for name, value in group.items()}


def main() -> None:
    """Fill the exchange folder that the command line names."""
    from sae_lens import SAE

    folder = Path(sys.argv[1])
    vectors = load_file(folder / "vectors.safetensors")["vectors"]
    ours = SAE.load_from_disk(folder / "ours")
    with torch.no_grad():
        answers = {"features": ours.encode(vectors), "reconstruction": ours(vectors)}
        answers["pushed"] = SAE.from_pretrained(PUSHED, PLACE)(vectors)
        for name, subtracting in TRAINED.items():
            sae = standard_sae(vectors.shape[1], 4 * vectors.shape[1], subtracting)
            sae.save_inference_model(folder / "theirs" / name)
        save_old_saes(folder / "theirs", vectors.shape[1], 4 * vectors.shape[1])
        for name in [*TRAINED, *OLD]:
            answers[name] = SAE.load_from_disk(folder / "theirs" / name, dtype="float32")(vectors)
        save_other_saes(folder / "refused", vectors.shape[1], 4 * vectors.shape[1])
        scores = evaluation(ours, folder)
    save_file(answers, folder / "theirs.safetensors")
    report = {"class": type(ours).__name__, "metadata": ours.cfg.metadata.to_dict(), "scores": scores}
    (folder / "theirs.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
