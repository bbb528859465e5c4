"""What sae-lens says about SAEs and vectors that the kit wrote; runs in the peers' environment (sae-lens 6).

In: an exchange folder with `model/`, `rows.safetensors` (rows), `vectors.safetensors` (vectors) and `ours/`, an SAE
folder of the kit. Out, in the same folder: `theirs.safetensors`, `theirs.json`, and `theirs/<name>/`, SAE folders
that sae-lens saved.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.sae_lens_runners import hooked_transformer, rows_as_dataset

TRAINED = {"subtracting": True, "plain": False}  # saved SAEs by whether b_dec is subtracted from the input


def standard_sae(d_model: int, d_sae: int, subtracting: bool) -> Any:
    """A training SAE of sae-lens with every parameter away from its start, as after training."""
    from sae_lens import StandardTrainingSAE, StandardTrainingSAEConfig

    torch.manual_seed(1)
    sae = StandardTrainingSAE(StandardTrainingSAEConfig(d_model, d_sae, apply_b_dec_to_input=subtracting))
    for parameter in sae.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return sae


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
        for name, subtracting in TRAINED.items():
            sae = standard_sae(vectors.shape[1], 4 * vectors.shape[1], subtracting)
            sae.save_inference_model(folder / "theirs" / name)
            answers[name] = SAE.load_from_disk(folder / "theirs" / name)(vectors)
        scores = evaluation(ours, folder)
    save_file(answers, folder / "theirs.safetensors")
    report = {"class": type(ours).__name__, "metadata": ours.cfg.metadata.to_dict(), "scores": scores}
    (folder / "theirs.json").write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
