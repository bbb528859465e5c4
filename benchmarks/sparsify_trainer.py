"""eai-sparsify: its Trainer, which trains the SAEs of all layers from one forward pass.

Runs in the peers' environment. The library's own SAE (TopK, k = 32, fused encoder) and optimiser (schedule-free
SignSGD) with its defaults; the bare Hugging Face model without its head, as its command line loads it; fp32, since
its autocast is for CUDA only; no logging. It writes one checkpoint at the end, which cannot be turned off.
"""

import os
from pathlib import Path

from benchmarks.workload import MODEL_FOLDER, Timing, Workload, read_rows, report, stopwatch


def one_pass(work: Workload, folder: Path) -> Timing:
    """Train one TopK SAE for each layer."""
    from datasets import Dataset
    from sparsify import SaeConfig, TrainConfig, Trainer
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder / MODEL_FOLDER).to(work.device)
    rows = Dataset.from_dict({"input_ids": read_rows(folder)[: work.tokens // work.context]}).with_format("torch")
    config = TrainConfig(
        SaeConfig(num_latents=work.d_sae),
        batch_size=work.batch_tokens // work.context,
        log_to_wandb=False,
        save_dir=str(folder / "sparsify"),
    )
    trainer = Trainer(config, rows, model)
    with stopwatch(work.device) as elapsed:
        trainer.fit()
    settings = "Trainer, TopK with k = 32, schedule-free SignSGD: library defaults"
    return Timing(elapsed[0], work.layers * work.tokens, settings, ("eai-sparsify",))


if __name__ == "__main__":
    # Where Triton is installed (every torch from PyPI on Linux), sparsify picks its CUDA kernel, on a CPU too.
    os.environ.setdefault("SPARSIFY_DISABLE_TRITON", "1")
    report({"one_pass": one_pass})
