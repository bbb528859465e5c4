"""eai-sparsify: its Trainer, which trains the SAEs of all layers from one forward pass.

Runs in the peers' environment. The library's own SAE (TopK with a fused encoder) and optimiser (schedule-free SignSGD)
with its defaults, but for k: it has no lambda, so k is set near the L0 that the others end at, lest it do less work.
The bare Hugging Face model without its head, as its command line loads it; fp32, since its autocast is for CUDA only;
no logging. It writes one checkpoint at the end, which cannot be turned off.
"""

import os
from pathlib import Path
from typing import Any

from benchmarks.outcome import Trained, outcome
from benchmarks.workload import MODEL_FOLDER, Timing, Workload, read_rows, report, stopwatch

K = 64  # active features of a token; the library's default is 32


def one_pass(work: Workload, folder: Path) -> Timing:
    """Train one TopK SAE for each layer."""
    from datasets import Dataset
    from sparsify import SaeConfig, TrainConfig, Trainer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder / MODEL_FOLDER).to(work.device)
    rows = Dataset.from_dict({"input_ids": read_rows(folder)[: work.tokens // work.context]}).with_format("torch")
    config = TrainConfig(
        SaeConfig(num_latents=work.d_sae, k=K),
        batch_size=work.batch_tokens // work.context,
        log_to_wandb=False,
        save_dir=str(folder / "sparsify"),
    )
    trainer = Trainer(config, rows, model)
    with stopwatch(work.device) as spent:
        trainer.fit()
    for optimizer in trainer.optimizers:
        optimizer.eval()  # a schedule-free optimiser keeps averaged weights beside those that it trains
    found = outcome(map(trained, trainer.saes.values(), work.layer_indices), folder, False, work.device)
    settings = f"Trainer, TopK with k = {K}, schedule-free SignSGD, else library defaults"
    return Timing(spent, work.layers * work.tokens, found, settings, ("eai-sparsify",))


def trained(sae: Any, layer: int) -> Trained:
    """An SAE as the comparison reads it."""

    def read(vectors: Any) -> tuple[Any, Any]:
        features, indices, _ = sae.encode(vectors)
        return features, sae.decode(features, indices)

    return Trained(layer, read)


if __name__ == "__main__":
    # Where Triton is installed (every torch from PyPI on Linux), sparsify picks its CUDA kernel, on a CPU too.
    os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")
    report({"one_pass": one_pass})
