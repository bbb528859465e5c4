"""`make bench-gpu`: how fast a GPU trains pythia-160m's SAEs, and what share of the card's products that is.

In: sizes (command line), pythia-160m's if none are given. Out: results/benchmark_gpu.md with the card's name. Random
weights and random rows, no hub. Measured at each precision: the harvest alone, the steps alone and `train` as a whole;
beside them sae-lens's MultiSAETrainingRunner on the same model and rows, where the peers' environment is.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import torch
from torch import Tensor

from benchmarks.competitors import Competitor
from benchmarks.gpu_table import Rates, markdown
from benchmarks.inputs import write_inputs
from benchmarks.kit import kit_config
from benchmarks.machine import machine
from benchmarks.runs import PEERS_PYTHON, PROJECT, run
from benchmarks.workload import MODEL_FOLDER, RANDOM, Workload, read_rows, stopwatch
from saelib.language.corpus.rows import ShuffledRows, TokenRows
from saelib.language.loading import load_language_model
from saelib.language.model import LanguageModel
from saelib.language.precision import Precision, matrix_products
from saelib.language.shapes import PUBLISHED
from saelib.sae.activations import plan_chunk
from saelib.sae.training.plan import PhaseFolders
from saelib.sae.training.train import train
from saelib.transfer.config import ExperimentConfig
from saelib.transfer.plans import scratch_plans
from saelib.transfer.presets import PRESETS
from saelib.transfer.rehearsal import CHUNKS, TimedRows

PEERS: dict[Precision, Competitor] = {
    "float32": Competitor("sae-lens MultiSAETrainingRunner, fp32", "sae_lens_runners", "one_pass_hugging_face"),
    "bfloat16": Competitor("sae-lens MultiSAETrainingRunner, autocast", "sae_lens_runners", "one_pass_autocast"),
}
PAPER = PRESETS["pythia-160m"]
SHAPE = PUBLISHED[PAPER.language_model]


class StoredStreams(LanguageModel):
    """A model whose residual streams are there already, so that `train` spends its time on steps."""

    thread_safe = True

    def __init__(self, model: LanguageModel, rows: int, context: int, layers: Sequence[int]) -> None:
        self.n_layers, self.d_model, self.name, self.device = model.n_layers, model.d_model, model.name, model.device
        tokens = torch.arange(rows * context, device=model.device).view(rows, context) % model.vocabulary
        self._streams = model.residual_streams(tokens, layers)

    def residual_streams(self, tokens: Tensor, layers: Sequence[int]) -> Tensor:
        """The stored ones, whatever the tokens."""
        return self._streams[: len(layers), : len(tokens)]


@dataclass(frozen=True)
class Work:
    """The comparison's sizes in the kit's words."""

    workload: Workload
    folder: Path
    chunks: int

    def config(self, precision: Precision) -> ExperimentConfig:
        """A run of so many chunks."""
        return kit_config(self.workload, self.folder, self.workload.tokens, self.workload.tokens, precision)

    @property
    def layers(self) -> list[int]:
        """All of them."""
        return list(self.workload.layer_indices)


def measure(work: Work, precision: Precision, peers_python: Path) -> Rates:
    """Everything at one precision."""
    config, device = work.config(precision), torch.device(work.workload.device)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    model = load_language_model(config.language_model, work.workload.device)
    rows = ShuffledRows(read_rows(work.folder), config.seed)
    harvest = harvest_rate(model, rows, config, work)
    both = training_rate(model, rows, config, work)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0
    stored = StoredStreams(model, config.chunk_rows, config.context_length, work.layers)
    step = training_rate(stored, rows, config, work)
    del model, stored
    peer, sae_lens = PEERS.get(precision), None
    if peer is not None and peers_python.exists():
        torch.cuda.empty_cache()  # the peer has the card to itself
        sae_lens = run(peer, work.workload, work.folder, peers_python).result["sae_tokens_per_second"]
    return Rates(precision, harvest, step, both, product_rate(precision, device), peak, sae_lens)


def harvest_rate(model: LanguageModel, rows: TokenRows, config: ExperimentConfig, work: Work) -> float:
    """Tokens a second through the language model, activations of all layers kept."""
    with matrix_products(config.precision, model.device):
        plan_chunk(model, rows, 0, config, config.seed, work.layers).filled()
        with stopwatch(work.workload.device) as spent:
            for chunk in range(1, work.chunks):
                plan_chunk(model, rows, chunk, config, config.seed, work.layers).filled()
    return (work.chunks - 1) * config.chunk_tokens / spent.seconds


def training_rate(model: LanguageModel, rows: TokenRows, config: ExperimentConfig, work: Work) -> float:
    """Tokens a second in `train`, from chunk to chunk."""
    timed = TimedRows(rows)
    with tempfile.TemporaryDirectory(dir=work.folder) as folder:
        folders = PhaseFolders(Path(folder) / "saes", Path(folder) / "scratch")
        plans = [replace(plan, data_seed=config.seed) for plan in scratch_plans(work.layers, config)]
        train(plans, config.scratch, model, timed, config, folders)
    return config.chunk_tokens / timed.seconds()


def product_rate(precision: Precision, device: torch.device, repeats: int = 10) -> float:
    """FLOPs a second in one large product of the type that a precision multiplies in."""
    size = 8192 if device.type == "cuda" else 512
    first, second = torch.randn(2, size, size, device=device, dtype=torch.float32).unbind()
    if precision == "bfloat16":
        first, second = first.bfloat16(), second.bfloat16()
    with matrix_products(precision, device):
        torch.mm(first, second)
        with stopwatch(str(device)) as spent:
            for _ in range(repeats):
                torch.mm(first, second)
    return repeats * 2 * size**3 / spent.seconds


def set_heads(folder: Path, heads: int) -> None:
    """Cut attention into so many heads; the weights are the same."""
    path = folder / MODEL_FOLDER / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"num_attention_heads": heads}
    path.write_text(json.dumps(config, indent=2), encoding="utf-8")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    sizes = {"layers": SHAPE.layers, "d_model": SHAPE.d_model, "heads": SHAPE.heads, "vocabulary": SHAPE.vocabulary,
             "d_sae": SHAPE.d_model * PAPER.expansion_factor, "context": PAPER.context_length,
             "batch_tokens": PAPER.batch_tokens, "chunk_rows": PAPER.chunk_rows, "chunks": 10}  # fmt: skip
    for name, value in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--precisions", nargs="+", choices=get_args(Precision), default=list(get_args(Precision)))
    parser.add_argument("--peers-python", type=Path, default=PEERS_PYTHON, help="Python of the peers' environment")
    parser.add_argument("--results", type=Path, default=PROJECT / "results", help="folder of benchmark_gpu.md")
    return parser.parse_args(arguments)


def even_chunks(asked: int) -> int:
    """Enough to be warm, and even: the experiment that nobody runs here would be a half."""
    chunks = max(asked, CHUNKS)
    return chunks + chunks % 2


def workload(options: argparse.Namespace, chunks: int) -> Workload:
    """The sizes of the command line.

    Raises:
        ValueError: they do not fit each other.
    """
    if options.heads < 1 or options.d_model % options.heads:
        raise ValueError(f"heads={options.heads}: d_model={options.d_model} must be a multiple of it")
    chunk_tokens = options.chunk_rows * options.context
    tokens = chunks * chunk_tokens
    return Workload(language_model=RANDOM, layers=options.layers, d_model=options.d_model, d_sae=options.d_sae,
                    vocabulary=options.vocabulary, context=options.context, batch_tokens=options.batch_tokens,
                    chunk_tokens=chunk_tokens, tokens=tokens, experiment_tokens=tokens, device=options.device,
                    l1_coefficient=PAPER.l1_coefficient, learning_rate=PAPER.scratch.learning_rate)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and write."""
    options = parse_arguments(arguments)
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("no CUDA device is here; `--device cpu` with small sizes shows that the benchmark works")
    chunks = even_chunks(options.chunks)
    try:
        work = workload(options, chunks)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    name = torch.cuda.get_device_name(options.device) if options.device.startswith("cuda") else machine()
    with tempfile.TemporaryDirectory() as folder:
        write_inputs(work, Path(folder))
        set_heads(Path(folder), options.heads)
        measured = [measure(Work(work, Path(folder), chunks), precision, options.peers_python)
                    for precision in options.precisions]  # fmt: skip
    report = markdown(measured, work, f"{name}, PyTorch {torch.__version__}")
    options.results.mkdir(parents=True, exist_ok=True)
    (options.results / "benchmark_gpu.md").write_text(report, encoding="utf-8")
    print(report)


if __name__ == "__main__":
    main()
